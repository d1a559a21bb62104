"""The web application: webhooks in, health and metrics out, and pages to look at. Gets Services, knows no adapter."""

from __future__ import annotations

import structlog
from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from prbot.flows.services import Services
from prbot.web import health, metrics, pages, webhooks
from prbot.web.problems import problem

MOST_BYTES = 25 * 1024 * 1024
"""As much as GitHub sends in one delivery: https://docs.github.com/webhooks/webhook-events-and-payloads."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_web_app(services: Services) -> Flask:
    """The WSGI application over `services`."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.register_blueprint(webhooks.blueprint(services))
    app.register_blueprint(health.blueprint(services))
    app.register_blueprint(metrics.blueprint(services))
    app.register_blueprint(pages.blueprint(services))
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(SQLAlchemyError, _database_failed)
    app.register_error_handler(Exception, _failed)
    app.after_request(_secured)
    return app


def _refused(error: HTTPException) -> Response:
    if error.code == 413:
        return problem(413, f"a delivery may have {MOST_BYTES} bytes")
    refusal = problem(error.code or 500, error.description or "")
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        refusal.headers["Allow"] = ", ".join(sorted(allowed))
    return refusal


def _database_failed(error: Exception) -> Response:
    structlog.get_logger(__name__).error("database.failed", problem=type(error).__name__, exc_info=error)
    return problem(503, "the database did not answer: nothing was stored; try again")


def _failed(error: Exception) -> Response:
    structlog.get_logger(__name__).error("request.failed", exc_info=error)
    return problem(500, "something went wrong; the server's log says what")


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
