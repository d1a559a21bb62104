from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Prbot = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Good settings, of a GitHub that does not answer."""
    return {
        "PRBOT_DATA_DIR": str(tmp_path / "data"),
        "PRBOT_GITHUB_API_URL": "http://127.0.0.1:9/api/v3",
        "PRBOT_GITHUB_TOKEN": "ghp_a-token-that-nobody-may-see",
        "PRBOT_GITHUB_WEBHOOK_SECRET": "a-webhook-secret",
        "PRBOT_REPO_ALLOWLIST": "acme/*",
    }


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's, with those settings and no others; commands find this tree's prbot from any directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRBOT_")}
    return kept | {"PYTHONPATH": str(ROOT)} | dict(settings)


@pytest.fixture
def prbot() -> Prbot:
    """Runs the real command to its end."""

    def run(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "prbot", *arguments], env=environment(settings), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
