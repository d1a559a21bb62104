"""A GitHub Enterprise Server whose certificate only the company's own authority vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from prbot.core.ids import PullKey, Repo
from prbot.git.mirrors import GitMirrors
from prbot.github.auth import StaticToken
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from prbot.ports import Transient, Unavailable
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.adapters.authority import Authority, behind_tls


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github") as world:
        yield world


@pytest.fixture
def infra(world: World) -> SandboxRepo:
    infra = world.repo("acme/infra", {"a.tf": "#\n"})
    infra.open_pull(by="al", files={"b.tf": "#\n"})
    return infra


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def server(world: World, authority: Authority) -> Iterator[str]:
    with behind_tls(urlsplit(world.url).port or 0, authority.loopback()) as port:
        yield f"https://127.0.0.1:{port}"


def test_the_api_is_verified_by_the_named_certificates_alone(
    world: World, infra: SandboxRepo, authority: Authority, server: str
) -> None:
    trusting = GitHubForge(Connections(f"{server}/api/v3", ca_file=authority.ca_file), StaticToken(world.token))
    assert trusting.pull(PullKey(infra.name, 1)).author == "al"
    trusting.close()
    wary = GitHubForge(Connections(f"{server}/api/v3"), StaticToken(world.token), sleep=lambda seconds: None)
    with pytest.raises(Transient, match="SSLError"):
        wary.pull(PullKey(infra.name, 1))
    wary.close()


def test_git_is_verified_by_the_named_certificates_alone(
    world: World, infra: SandboxRepo, authority: Authority, server: str, tmp_path: Path
) -> None:
    repo = Repo(infra.name, f"{server}/{infra.name}.git")
    trusting = GitMirrors(tmp_path / "one", ca_file=authority.ca_file)
    trusting.fetch(repo, refs=["refs/heads/main"], token=world.token)
    assert trusting.resolve(repo, "refs/heads/main") == infra.head()
    with pytest.raises(Unavailable, match="certificate"):
        GitMirrors(tmp_path / "other").fetch(repo, refs=["refs/heads/main"], token=world.token)
