"""A GitHub of a few lines: real HTTP on loopback, replies given beforehand, everything that is asked kept."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Answer:
    """One reply: a JSON document (or the text itself), or none at all."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Literal["answer", "drop", "hang"] = "answer"


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    connection: tuple[str, int]


class ScriptedGitHub:
    """Answers each route with its replies in order; 501 for anything else."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._listener())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/v3"

    def on(self, route: str, *answers: Answer) -> None:
        """Answer `GET /repos/…` with these, one a request. `/graphql` is beside the REST API, all else below it."""
        method, path = route.split(" ")
        prefix = "/api" if path == "/graphql" else "/api/v3"
        self._replies[method, prefix + path].extend(answers)

    def left(self) -> list[str]:
        """The routes with answers that nobody asked for."""
        return [" ".join(route) for route, answers in self._replies.items() if answers]

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def _next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            answers = self._replies.get((asked.method, asked.path))
            return (
                answers.popleft()
                if answers
                else Answer(501, {"message": f"nobody expected {asked.method} {asked.path}"})
            )

    def _listener(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Listener(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # a reply in one piece
            timeout = 10

            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(
                    self.command,
                    parts.path,
                    {name: values[-1] for name, values in parse_qs(parts.query).items()},
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(body) if body else None,
                    self.client_address,
                )
                self.send(github._next(asked))

            def send(self, answer: Answer) -> None:
                if answer.how != "answer":
                    self.close_connection = True
                    if answer.how == "hang":
                        github._released.wait(10)
                    return
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                content = b"" if answer.body is None else text.encode()
                self.send_response_only(answer.status)
                usual = {"Content-Type": "application/json; charset=utf-8", "Date": self.date_time_string()}
                for name, value in {**usual, **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name upstream)
                """Say nothing: the test knows what it asked."""

            do_GET = do_POST = do_PATCH = answer

        return Listener
