"""A Git server over HTTP: git's own http-backend behind Basic authentication, and repositories to serve."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from prbot.core.ids import Repo
from prbot.git import GitMirrors

TOKEN = "ghs_ThisIsTheTokenThatNobodyMaySee0123456789"
IDENTITY = {
    f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "al"), ("EMAIL", "al@x"))
}


def git(directory: Path, *args: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **IDENTITY}
    done = subprocess.run(["git", *args], cwd=directory, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Origin:
    """A repository on the server, and the working tree that commits are made in."""

    work: Path
    repo: Repo

    def commit(self, files: Mapping[str, str | None], *, on: str = "main", start: str = "main", text: str = "x") -> str:
        """A new commit on a branch, which if new starts at `start` (or nowhere if empty). None deletes a file."""
        exists = subprocess.run(["git", "rev-parse", "-q", "--verify", on], cwd=self.work, capture_output=True)
        if exists.returncode == 0:
            git(self.work, "checkout", "-q", on)
        elif on != "main":
            git(self.work, "checkout", "-q", *(("-b", on, start) if start else ("--orphan", on)))
        for name, content in files.items():
            path = self.work / name
            if content is None:
                git(self.work, "rm", "-q", name)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", text)
        git(self.work, "push", "-q", "--force", "origin", on)
        return git(self.work, "rev-parse", "HEAD")

    def git(self, *args: str) -> str:
        return git(self.work, *args)


@dataclass
class Server:
    """Serves `root`. `requests` are those so far; `answer`, when set, is the status and headers of every reply."""

    root: Path
    url: str = ""
    requests: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    answer: tuple[int, dict[str, str]] | None = None
    hang: threading.Event | None = None

    def origin(self, name: str = "acme/infra") -> Origin:
        bare, work = self.root / f"{name}.git", self.root / "work" / name
        bare.mkdir(parents=True)
        work.mkdir(parents=True)
        git(bare, "init", "-q", "--bare", "--initial-branch=main")
        git(bare, "config", "http.uploadpack", "true")
        git(work, "init", "-q", "--initial-branch=main")
        git(work, "remote", "add", "origin", str(bare))
        return Origin(work, Repo(name, f"{self.url}/{name}.git"))


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    expected = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(f"{self.command} {self.path}")
            server.authorizations.append(self.headers["Authorization"])
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if server.hang is not None:
                server.hang.wait(20)
                return
            if server.answer is not None:
                self._reply(*server.answer)
            elif self.headers["Authorization"] != expected:
                self._reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
            else:
                self._backend(body)

        do_POST = do_GET

        def _reply(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _backend(self, body: bytes) -> None:
            url = urlsplit(self.path)
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_PROJECT_ROOT": str(server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
            )
            head, _, rest = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self._reply(int(headers.pop("Status", "200").split()[0]), headers, rest)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "server")
    made.root.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    if made.hang is not None:
        made.hang.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def origin(server: Server) -> Origin:
    return server.origin()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "prbot"


@pytest.fixture
def mirrors(root: Path) -> GitMirrors:
    return GitMirrors(root, timeout=30)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[str, Callable[[], list[str]]]:
    """A git that notes its arguments: its path, and what it was called with so far, a call a line."""
    binary, log = tmp_path / "git-recorded", tmp_path / "calls"
    binary.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\necho >> {log}\nexec git "$@"\n')
    binary.chmod(0o755)
    return str(binary), lambda: log.read_text().splitlines() if log.exists() else []
