from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from prbot.github.auth import StaticToken
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from tests.adapters.github.scripted import ScriptedGitHub

TOKEN = "ghp_0123456789secret"


@dataclass
class Timeline:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def github() -> Iterator[ScriptedGitHub]:
    server = ScriptedGitHub()
    yield server
    server.close()
    assert not server.left()


@pytest.fixture
def seen() -> list[tuple[str, str, int]]:
    """Method, route and status of each request that the forge made."""
    return []


MakeForge = Callable[[float], GitHubForge]


@pytest.fixture
def make_forge(github: ScriptedGitHub, timeline: Timeline, seen: list[tuple[str, str, int]]) -> Iterator[MakeForge]:
    forges: list[GitHubForge] = []

    def make(timeout: float) -> GitHubForge:
        forge = GitHubForge(
            Connections(github.url, timeout),
            StaticToken(TOKEN),
            sleep=timeline.sleep,
            clock=timeline.read,
            on_request=lambda method, route, status, seconds: seen.append((method, route, status)),
        )
        forges.append(forge)
        return forge

    yield make
    for forge in forges:
        forge.close()


@pytest.fixture
def forge(make_forge: MakeForge) -> GitHubForge:
    return make_forge(5.0)
