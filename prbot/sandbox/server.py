"""The stand-in's HTTP server: REST, git, pages and the Terraform state server on one port of the loopback interface."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from prbot.sandbox import appforms, githttp, pages, statebackend
from prbot.sandbox.current import ENVIRONMENT_KEY, current_hub
from prbot.sandbox.faults import Fault
from prbot.sandbox.hub import Hub, RecordedRequest
from prbot.sandbox.rest import api, graphql_beside_v3
from prbot.sandbox.rest.web import ApiError, error_reply

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_API = ("v3", "root", "enterprise_graphql")
_HOURLY_BUDGET = 5000


class SandboxApp(Flask):
    """Everything that reads or changes the state does so under its lock; git and Terraform states keep their own."""

    def dispatch_request(self) -> Any:
        if request.blueprint in (*_API, pages.routes.name):
            with current_hub().state.lock:
                return super().dispatch_request()
        return super().dispatch_request()


@functools.cache
def _application() -> Flask:
    """The API (below `/api/v3` and, as on api.github.com, below `/`), git, states and pages.

    Made once a process: to compile its routes takes a quarter of a second.
    """
    app = SandboxApp("prbot.sandbox", static_folder="static", static_url_path="/_assets")
    routes = api()
    app.register_blueprint(routes, url_prefix="/api/v3", name=_API[0])
    app.register_blueprint(routes, name=_API[1])
    app.register_blueprint(graphql_beside_v3(), url_prefix="/api", name=_API[2])
    for part in (githttp.routes, statebackend.routes, appforms.routes, pages.routes):
        app.register_blueprint(part)
    app.before_request(_meet_fault)
    app.after_request(_finish)
    app.register_error_handler(ApiError, _refuse)
    app.register_error_handler(HTTPException, _unknown)
    return app


def application_of(stand_in: Hub) -> WSGIApplication:
    """The WSGI application of one stand-in."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[ENVIRONMENT_KEY] = stand_in
        return _application()(environ, start_response)

    return answer


def _meet_fault() -> Response | None:
    g.login = None
    g.fault = None
    g.scopes = None
    if not _recorded():
        return None
    fault = current_hub().faults.take(_route())
    if fault is None:
        return None
    time.sleep(fault.delay)
    if fault.after_effect:
        g.fault = fault
        return None
    return _failed(fault)


def _failed(fault: Fault) -> Response | None:
    if fault.drop:
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response(status=500)
    if not fault.status:
        return None
    response = error_reply(fault.status, fault.message)
    response.headers.update(fault.headers)
    return response


def _finish(response: Response) -> Response:
    if g.get("fault") is not None:
        response = _failed(g.fault) or response
    now = current_hub().clock.now()
    response.headers["Date"] = http_date(now)
    if g.get("scopes") is not None:
        response.headers["X-OAuth-Scopes"] = ", ".join(g.scopes)
    if request.blueprint in _API:
        used = current_hub().spend(response.status_code) % _HOURLY_BUDGET
        for name, value in (
            ("x-ratelimit-limit", _HOURLY_BUDGET),
            ("x-ratelimit-used", used),
            ("x-ratelimit-remaining", _HOURLY_BUDGET - used),
            ("x-ratelimit-reset", int(time.time()) + 3600),
            ("x-ratelimit-resource", "core"),
        ):
            response.headers.setdefault(name, str(value))
    if _recorded() or response.status_code == 501:
        entry = RecordedRequest(request.method, _route(), request.path, response.status_code, g.get("login"))
        current_hub().requests.append(entry)
    return response


def _refuse(refusal: ApiError) -> Response:
    return error_reply(refusal.status, refusal.message, refusal.errors)


def _unknown(error: HTTPException) -> Response | HTTPException:
    """A route that GitHub may have, but the stand-in has not: 501, and remembered. A person gets the plain error."""
    for_people = request.blueprint == pages.routes.name and "Authorization" not in request.headers
    if request.url_rule is not None and (for_people or request.blueprint in _API):
        return error
    current_hub().unknown_routes.append(f"{request.method} {request.path}")
    return error_reply(501, f"The stand-in does not know {request.method} {request.path}")


def _recorded() -> bool:
    return request.blueprint in (*_API, githttp.routes.name)


def _route() -> str:
    return (request.endpoint or "unknown").rsplit(".", 1)[-1]


class _QuietHandler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line alone: the Date of the stand-in's own clock is among the application's headers."""
        self.send_response_only(code, message)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are recorded, not printed."""


class _Listener(ThreadedWSGIServer):
    """Knows its open connections, so that stopping it ends those that clients keep alive."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self._open: set[socket.socket] = set()
        with socket.create_server((host, port)) as listening:
            bound_port = listening.getsockname()[1]
            super().__init__(host, bound_port, app, _QuietHandler, fd=listening.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Server:
    """Serves a stand-in from a thread, between `start` and `stop`."""

    def __init__(self, stand_in: Hub, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = _Listener(host, port, application_of(stand_in))
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self.port: int = self._listener.port
        self.url = f"http://{host}:{self.port}"
        self.stopped = False

    def start(self) -> None:
        """Begin to answer. OSError was raised before, at construction, if the port is taken."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more, and end the connections that are open."""
        self._listener.shutdown()
        self._listener.close_connections()
        self._listener.server_close()
        self._thread.join(10)
        self.stopped = True
