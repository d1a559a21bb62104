"""A company's network: its own certificate authority, and a proxy on the way out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

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


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy, and the addresses that it was asked for."""
    asked: list[str] = []

    class PassOn(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(self.path, headers=kept, timeout=10)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), PassOn)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize("excepted", [False, True])
def test_the_api_is_asked_by_the_proxy_that_the_environment_names(
    world: World, infra: SandboxRepo, proxy: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, excepted: bool
) -> None:
    url, asked = proxy
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("http_proxy", url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1" if excepted else "")
    forge = GitHubForge(Connections(world.api_url), StaticToken(world.token))
    assert forge.pull(PullKey(infra.name, 1)).author == "al"
    forge.close()
    assert bool(asked) is not excepted
