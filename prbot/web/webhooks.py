"""`POST /webhooks/github`: a delivery is answered 202 only once it is stored."""

from __future__ import annotations

import re

import structlog
from flask import Blueprint, Response, jsonify, request
from structlog.contextvars import bound_contextvars

from prbot.flows.intake import receive
from prbot.flows.services import Services
from prbot.web.problems import problem

_DELIVERY = re.compile(r"[!-~]{1,128}")


def blueprint(services: Services) -> Blueprint:
    """GitHub's webhook at its two addresses."""
    web = Blueprint("webhooks", __name__)

    @web.post("/webhooks/github")
    @web.post("/events")
    def github() -> Response:
        body = request.get_data(cache=False)
        signature = request.headers.get("X-Hub-Signature-256")
        if not services.webhooks["github"].verify(body, signature):
            return _unsigned(signature)
        delivery = request.headers.get("X-GitHub-Delivery", "")
        if not _DELIVERY.fullmatch(delivery):
            return problem(400, "the X-GitHub-Delivery header is missing or wrong: expected the delivery's id")
        with bound_contextvars(delivery=delivery):
            return _taken(services, delivery, body)

    return web


def _unsigned(signature: str | None) -> Response:
    # Not in the audit log: anybody could fill it.
    said = "is missing" if signature is None else "does not fit the body and the secret"
    structlog.get_logger(__name__).warning("delivery.unsigned", problem=said, sender=request.remote_addr)
    refusal = problem(401, f"the X-Hub-Signature-256 header {said}")
    refusal.headers["WWW-Authenticate"] = "X-Hub-Signature-256"
    return refusal


def _taken(services: Services, delivery: str, body: bytes) -> Response:
    name = request.headers.get("X-GitHub-Event", "")
    receipt = receive(services, "github", delivery, name, request.headers.get("Content-Type", ""), body)
    if receipt.status >= 400:
        structlog.get_logger(__name__).warning("delivery.refused", status=receipt.status, problem=receipt.reason)
        return problem(receipt.status, receipt.reason)
    answer = jsonify(delivery=delivery, outcome=receipt.outcome, reason=receipt.reason)
    answer.status_code = receipt.status
    return answer
