"""The image's recipe, as far as a machine that runs no containers can hold it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def of(instruction: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(instruction + " ")]


def test_it_runs_as_nobody_special_and_is_checked() -> None:
    last = TEXT.rindex("\nFROM ")
    assert re.search(r"^USER 10001$", TEXT[last:], re.MULTILINE)
    assert "/healthz" in of("HEALTHCHECK")[0]


def test_every_base_has_a_full_version() -> None:
    for base in of("FROM"):
        assert re.match(r"python:\d+\.\d+\.\d+-slim-bookworm( AS \w+)?$", base)


def test_what_is_copied_is_there() -> None:
    for line in of("COPY"):
        if not line.startswith("--from="):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_the_engine_is_used_only_after_its_digest_was_checked() -> None:
    engine = next(line for line in of("RUN") if "sha256sum" in line)
    assert 'test -n "${TERRAFORM_SHA256}"' in engine
    assert engine.index("sha256sum --check --strict") < engine.index("zipfile -e")


def test_dependencies_are_installed_by_hash_and_name_no_registry() -> None:
    for line in of("RUN"):
        for command in re.findall(r"pip install [^&]*", line):
            assert "--require-hashes" in command or "--no-index" in command
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert not re.search(r"https?://|--find-links|--index-url", lock.read_text()), lock.name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    where = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(where)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return zipfile.ZipFile(next(where.glob("*.whl"))).namelist()


def test_the_wheel_has_all_that_it_needs_to_run(wheel: list[str]) -> None:
    for needed in (
        "prbot/_workflows/default.yaml",
        "prbot/store/migrations/env.py",
        "prbot/store/migrations/versions/0001_first.py",
        "prbot/store/migrations/script.py.mako",
        "prbot/web/static/prbot.css",
    ):
        assert needed in wheel
    assert any(name.startswith("prbot/web/templates/") for name in wheel)
    assert any(name.startswith("prbot/sandbox/templates/") or "/sandbox/" in name for name in wheel)
    assert not [name for name in wheel if name.startswith("tests/")]


def test_the_default_recipe_names_steps_that_there_are() -> None:
    recipe = yaml.safe_load((ROOT / "workflows/default.yaml").read_text())
    assert recipe["plan"]["steps"] == ["init", "plan", "show"]
    assert set(recipe["apply"]["steps"]) <= {"init", "plan", "show", "apply"}
