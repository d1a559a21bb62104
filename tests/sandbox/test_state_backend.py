"""The Terraform state server, with the real Terraform."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from prbot.sandbox import samples
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World

ENGINE = shutil.which("terraform") or ""

pytestmark = pytest.mark.skipif(not ENGINE, reason="terraform is not on PATH")


def terraform(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }
    return subprocess.run(
        [ENGINE, *arguments, "-no-color"], cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )


def laid_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_sample_is_applied_and_its_state_is_read(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    root = laid_out(tmp_path / "checkout", samples.acme(infra.backend))
    for name in ("network", "dns"):
        assert terraform(root / name, "init", "-input=false").returncode == 0
        applied = terraform(root / name, "apply", "-auto-approve", "-input=false")
        assert applied.returncode == 0, applied.stderr
    assert infra.state("network") == {"cidr": "10.0.0.0/16", "subnets": ["a", "b"]}
    assert infra.state("dns") == {"www": "www.acme.example A 192.0.2.10"}
    assert infra.state_serial("network") > 0
    assert not infra.state_locked("network")
    assert not [file for file in root.rglob("*.tfstate") if ".terraform" not in file.parts]
    assert world.unknown_routes == []


def test_a_held_lock_stops_terraform(world: World, infra: SandboxRepo, tmp_path: Path) -> None:
    root = laid_out(tmp_path / "net", {"main.tf": samples.project(infra.backend("net"), {"v": "1"})})
    assert terraform(root, "init", "-input=false").returncode == 0
    address = f"{world.url}/_state/acme/infra/net"
    lock = {"ID": "one", "Operation": "plan", "Who": "somebody@else", "Version": "1.11.4", "Path": "", "Info": ""}
    assert requests.request("LOCK", address, json=lock, timeout=10).status_code == 200
    assert infra.state_locked("net")
    refused = terraform(root, "apply", "-auto-approve", "-input=false")
    assert refused.returncode == 1
    assert "already locked: ID=one" in refused.stderr
    assert infra.state("net") == {}
    assert requests.post(address, data="{}", timeout=10).status_code == 423
    assert requests.request("UNLOCK", address, json={"ID": "other"}, timeout=10).status_code == 423
    assert requests.request("UNLOCK", address, json=lock, timeout=10).status_code == 200
    assert terraform(root, "apply", "-auto-approve", "-input=false").returncode == 0
    assert infra.state("net") == {"v": "1"}


def test_the_local_kind_keeps_workspaces_outside_of_the_checkout(infra: SandboxRepo, tmp_path: Path) -> None:
    root = laid_out(tmp_path / "net", {"main.tf": samples.project(infra.backend("net", "local"), {"v": "1"})})
    assert terraform(root, "init", "-input=false").returncode == 0
    assert terraform(root, "workspace", "new", "prod").returncode == 0
    assert terraform(root, "apply", "-auto-approve", "-input=false").returncode == 0
    assert infra.state("net", "prod") == {"v": "1"}
    assert infra.state("net") == {}
    assert infra.state_serial("net") == 0
