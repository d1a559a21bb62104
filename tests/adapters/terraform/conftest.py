"""A project's directory with state of its own outside of it, and the real Terraform."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.ports import Limits, Site
from prbot.terraform.engine import TerraformEngine

BACKEND = """
terraform {{
  backend "local" {{
    path          = "{state}/default.tfstate"
    workspace_dir = "{state}/workspaces"
  }}
}}
"""

Configure = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    directory = tmp_path / "checkout"
    directory.mkdir()
    return Site(directory, directory, "default", tmp_path / "data", tmp_path / "tmp")


@pytest.fixture
def configure(site: Site, tmp_path: Path) -> Configure:
    """Write the project's main.tf, with its backend, and other files by name."""

    def write(main: str, **others: str) -> None:
        (site.dir / "backend.tf").write_text(BACKEND.format(state=tmp_path / "state"))
        (site.dir / "main.tf").write_text(main)
        for name, text in others.items():
            (site.dir / f"{name}.tf").write_text(text)

    return write


@pytest.fixture
def limits() -> Limits:
    return Limits(threading.Event(), timeout=60, grace=10)


@pytest.fixture
def engine() -> TerraformEngine:
    return TerraformEngine()
