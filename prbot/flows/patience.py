"""What a run asks of the forge and of git is asked again where it is refused: an apply does not fail for one 502."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from prbot.core.retries import next_try
from prbot.flows.services import Services
from prbot.ports import Transient, Unavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)
MOST_TRIES = 4
"""Within seven seconds, for a run keeps others of its project waiting; then it ends, and people are told why."""
LONGEST_WAIT = 60.0
"""Seconds that the forge may ask us to wait within a run."""


def patiently(services: Services, run: str, ask: Callable[[], T]) -> T:
    """What `ask` gives; it changes nothing, and is called again a little later when it is refused. Raises Unavailable
    once that was often enough, and at once when the run is cancelled meanwhile."""
    cancelled = services.running.begin(run)
    tries = 0
    while True:
        tries += 1
        try:
            return ask()
        except Unavailable as refusal:
            pause = _pause(services, tries, refusal)
            if pause is None:
                raise
            log.warning("asked again", run=run, tries=tries, seconds=pause, why=str(refusal))
            if cancelled.wait(pause):
                raise


def _pause(services: Services, tries: int, refusal: Unavailable) -> float | None:
    now = services.clock.now()
    at = next_try(tries, now, MOST_TRIES)
    if at is None:
        return None
    said = refusal.retry_after if isinstance(refusal, Transient) and refusal.retry_after is not None else 0.0
    return max((at - now).total_seconds(), said) if said <= LONGEST_WAIT else None
