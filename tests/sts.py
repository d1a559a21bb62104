"""AWS's token service as moto has it, over HTTP on loopback, with what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Sts:
    """A running one. `url` is its endpoint."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._moto: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self) -> list[dict[str, str]]:
        """The parameters of each AssumeRole, in their order."""
        every = [dict(parse_qsl(body.decode())) for body in self._bodies]
        return [each for each in every if each.get("Action") == "AssumeRole"]

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self._bodies.append(body)
        return self._moto({**environ, "wsgi.input": BytesIO(body)}, start_response)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@contextmanager
def sts_server() -> Iterator[Sts]:
    server = Sts()
    server.start()
    try:
        yield server
    finally:
        server.stop()
