"""Finding the engine, and telling whether it will do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prbot.ports import Conflict, EngineVersion
from prbot.terraform.engine import TerraformEngine
from prbot.terraform.versions import find, parse, version_of


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_the_real_engine_tells_its_product_and_version() -> None:
    version = TerraformEngine().version()
    assert version.product in {"terraform", "opentofu"}
    assert version.version.split(".")[0] == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Terraform v1.11.4\non linux_amd64\n", EngineVersion("terraform", "1.11.4")),
        ("Terraform v1.12.0-beta1\non linux_amd64\n", EngineVersion("terraform", "1.12.0-beta1")),
        ("OpenTofu v1.9.1\non linux_arm64\n+ provider x\n", EngineVersion("opentofu", "1.9.1")),
    ],
)
def test_both_products_are_told_apart(text: str, expected: EngineVersion) -> None:
    assert parse(text, Path("engine")) == expected


def test_the_engine_is_asked_once_until_its_binary_changes(tmp_path: Path) -> None:
    engine = script(tmp_path / "terraform", f"echo asked >> {tmp_path}/log", "echo Terraform v1.11.4")
    known: dict[tuple[str, int, int], EngineVersion] = {}
    assert [version_of(engine, known).version for _ in range(3)] == ["1.11.4"] * 3
    assert (tmp_path / "log").read_text() == "asked\n"
    script(engine, "echo Terraform v1.12.10")
    assert version_of(engine, known).version == "1.12.10"


def test_the_engine_is_asked_without_the_environment_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRBOT_GITHUB_TOKEN", "server-secret")
    engine = script(tmp_path / "terraform", f"env > {tmp_path}/env", "echo Terraform v1.11.4")
    version_of(engine, {})
    assert "server-secret" not in (tmp_path / "env").read_text()


def test_an_old_engine_is_refused_with_what_to_do(tmp_path: Path) -> None:
    engine = TerraformEngine(str(script(tmp_path / "terraform", "echo Terraform v1.0.0")))
    with pytest.raises(Conflict, match=r"terraform 1\.0\.0 is too old; prbot needs 1\.10\.0 or later: upgrade it"):
        engine.version()


def test_something_else_is_refused_with_what_to_do(tmp_path: Path) -> None:
    engine = script(tmp_path / "terraform", "echo Usage: terraform")
    with pytest.raises(Conflict, match="does not answer `version` as Terraform or OpenTofu do"):
        version_of(engine, {})


def test_a_missing_engine_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="the engine `terrafarm` was not found on PATH: install it, or set PRBOT_ENGINE"):
        TerraformEngine("terrafarm").version()
    with pytest.raises(Conflict, match="is not an executable file"):
        find(str(tmp_path / "terraform"))


def test_an_engine_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    engine = script(tmp_path / "terraform", "true")
    assert find("terraform", path=str(tmp_path)) == engine
    assert find(str(engine)) == engine
    assert find("sh") == Path(str(shutil.which("sh")))
