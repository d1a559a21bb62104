"""What the engine's files say, when they are not as they should be."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from prbot.core.plans import StatePosition
from prbot.ports import Conflict, StepResult
from prbot.terraform.evidence import (
    backend_identity,
    lock_file,
    provider_versions,
    stale,
    state_lock,
    state_position,
)

LOCK = """# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/random" {
  version     = "3.6.0"
  constraints = "~> 3.5"
  hashes = [
    "h1:abc=",
  ]
}

provider "registry.terraform.io/hashicorp/aws" {
  version = "5.1.0" # pinned
}
"""


def failed(output: str) -> StepResult:
    return StepResult("apply", "failed", 1, output, 0.1)


def test_provider_versions_are_read_from_the_lock_file() -> None:
    versions = provider_versions(LOCK)
    assert list(versions.items()) == [
        ("registry.terraform.io/hashicorp/aws", "5.1.0"),
        ("registry.terraform.io/hashicorp/random", "3.6.0"),
    ]
    assert provider_versions(LOCK.replace("\n", "\r\n")) == versions
    assert provider_versions(None) == {}
    assert provider_versions('version = "1"\nprovider "x" {') == {}


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("server-secret")
    (tmp_path / ".terraform.lock.hcl").symlink_to(tmp_path / "secret")
    with pytest.raises(Conflict, match="must be a regular text file"):
        lock_file(tmp_path)


def test_a_lock_file_is_read_as_it_is_or_is_none(tmp_path: Path) -> None:
    assert lock_file(tmp_path) is None
    (tmp_path / ".terraform.lock.hcl").write_bytes(LOCK.replace("\n", "\r\n").encode())
    assert lock_file(tmp_path) == LOCK.replace("\n", "\r\n")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_plan_file_is_a_conflict(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan").write_bytes(content)
    with pytest.raises(Conflict, match="plan is not a saved plan that can be read"):
        state_position(tmp_path / "plan")


@pytest.mark.parametrize("state", ["{}", "[]", "null", "{", '{"lineage": "a", "serial": "x"}'])
def test_a_plan_file_with_a_damaged_state_is_a_conflict(tmp_path: Path, state: str) -> None:
    with zipfile.ZipFile(tmp_path / "plan", "w") as archive:
        archive.writestr("tfstate", state)
    with pytest.raises(Conflict):
        state_position(tmp_path / "plan")


def test_a_state_that_does_not_exist_has_no_position(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plan", "w") as archive:
        archive.writestr("tfstate", '{"lineage": "", "serial": 0}')
    assert state_position(tmp_path / "plan") == StatePosition(None, None)


def backend(tmp_path: Path, content: object) -> Path:
    (tmp_path / "terraform.tfstate").write_text(json.dumps(content))
    return tmp_path


def test_settings_that_are_not_set_and_their_order_do_not_change_a_backends_identity(tmp_path: Path) -> None:
    one = backend_identity(backend(tmp_path, {"backend": {"type": "s3", "config": {"bucket": "b", "key": "k"}}}), b"k")
    other = {"backend": {"type": "s3", "config": {"key": "k", "new_in_1_12": None, "bucket": "b"}, "hash": 1}}
    assert backend_identity(backend(tmp_path, other), b"k") == one
    assert one.startswith("s3:")


def test_a_directory_without_a_backend_has_an_empty_identity(tmp_path: Path) -> None:
    assert backend_identity(tmp_path, b"k") == ""
    assert backend_identity(backend(tmp_path, {"version": 3}), b"k") == ""


@pytest.mark.parametrize("content", [[], {"backend": 1}, {"backend": {"type": "s3", "config": 1}}, {"backend": {}}])
def test_damaged_backend_settings_are_a_conflict(tmp_path: Path, content: object) -> None:
    with pytest.raises(Conflict, match="backend settings that init wrote can't be read"):
        backend_identity(backend(tmp_path, content), b"k")


@pytest.mark.parametrize(
    "output",
    [
        "\nError: Saved plan is stale\n\nThe given plan file …\n",
        "Acquiring state lock. This may take a few moments...\n\nError: Saved plan is stale\n",
        "╷\n│ Error: Saved plan is stale\n│ \n",
        "\nError: Saved plan does not match the given state\n",
    ],
)
def test_staleness_is_recognised(output: str) -> None:
    assert stale(failed(output))


@pytest.mark.parametrize(
    "output",
    [
        "x.a: Creating...\n\nError: Saved plan is stale\n",
        "Warning: Check block assertion failed\n\nError: Saved plan is stale\n",
        "[prbot: earlier output is left out; …]\nError: Saved plan is stale\n",
        "Error: no\nError: Saved plan is stale\n",
        "",
    ],
)
def test_staleness_is_believed_only_as_the_first_word(output: str) -> None:
    assert not stale(failed(output))
    assert not stale(StepResult("apply", "ok", 0, "Error: Saved plan is stale", 0.1))


def test_a_lock_error_without_details_is_still_one() -> None:
    lock = state_lock(failed("\nError: Error acquiring the state lock\n\nError message: 403\n"))
    assert lock is not None
    assert (lock.id, lock.who) == ("", "")
    assert state_lock(failed("\nError: something else\n  ID: 1\n")) is None
