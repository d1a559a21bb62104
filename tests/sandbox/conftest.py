"""A stand-in with one repository, and somebody to receive its webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture
def infra(world: World) -> SandboxRepo:
    return world.repo("acme/infra", {"net/main.tf": "# one\n", "README.md": "read me\n"})


class Api:
    """Asks the stand-in's REST API as somebody."""

    def __init__(self, world: World, token: str) -> None:
        self._base = world.api_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"token {token}"

    def __call__(self, method: str, path: str, json: object = None, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, self._base + path, json=json, headers=named, timeout=10)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    api = Api(world, world.token)
    with api.session:
        yield api


@dataclass
class Received:
    """One request that a webhook made."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that webhooks go to; it answers with `status`."""

    url: str = ""
    status: int = 202
    received: list[Received] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(Received(dict(self.headers), body))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks/github"
        yield receiver
        server.shutdown()
        thread.join(10)
