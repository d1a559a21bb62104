"""`/healthz`: this process answers. `/readyz`: what it needs does too, each part with its own verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from prbot.flows.services import Services
from prbot.ports import Unavailable
from prbot.store import overview
from prbot.store.slots import DEAD_SECONDS

FORGE_SECONDS = 30.0
"""How long the forge's verdict is kept: whoever asks us often must not spend our allowance of requests."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a part works, and what is known of it."""

    ok: bool
    detail: str


class Kept:
    """A verdict that is asked for at most once in so many seconds."""

    def __init__(self, ask: Callable[[], Verdict], seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, Verdict] | None = None

    def __call__(self) -> Verdict:
        with self._lock:
            if self._known is None or self._clock() - self._known[0] >= self._seconds:
                self._known = self._clock(), self._ask()
            return self._known[1]


def blueprint(services: Services) -> Blueprint:
    """The two addresses that whoever runs the server asks."""
    web = Blueprint("health", __name__)
    forge = Kept(lambda: _forge(services), FORGE_SECONDS)

    @web.get("/healthz")
    def healthz() -> Response:
        return jsonify(ok=True, version=services.identity.version)

    @web.get("/readyz")
    def readyz() -> Response:
        verdicts = {
            "database": _database(services), "worker": _worker(services), "engine": _engine(services), "forge": forge(),
        }  # fmt: skip
        good = all(each.ok for each in verdicts.values())
        answer = jsonify(ok=good, **{name: {"ok": each.ok, "detail": each.detail} for name, each in verdicts.items()})
        answer.status_code = 200 if good else 503
        return answer

    return web


def _database(services: Services) -> Verdict:
    try:
        with services.db.read() as tx:
            services.db.now(tx)
    except SQLAlchemyError as error:
        return Verdict(False, f"does not answer: {type(error).__name__}")
    return Verdict(True, "answers")


def _worker(services: Services) -> Verdict:
    try:
        with services.db.read() as tx:
            age = overview.seconds_since_beat(tx, services.db)
    except SQLAlchemyError:
        return Verdict(False, "cannot be told without the database")
    if age is None:
        return Verdict(False, "no worker has started")
    return Verdict(age < DEAD_SECONDS, f"the newest beat is {age:.1f} s old")


def _engine(services: Services) -> Verdict:
    try:
        found = services.engine.version()
    except Unavailable as failure:
        return Verdict(False, str(failure))
    return Verdict(True, f"{found.product} {found.version}")


def _forge(services: Services) -> Verdict:
    try:
        return Verdict(True, f"answers to {services.forge.check()}")
    except Unavailable as failure:
        return Verdict(False, str(failure))
