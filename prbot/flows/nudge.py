"""Asking for work: queue the job that looks at a pull request, or the one that reports on it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlmodel import Session

from prbot.core.ids import PullKey
from prbot.flows.services import Services
from prbot.store.database import after_commit
from prbot.store.tables import Run


def look_at(services: Services, tx: Session, pull: PullKey, at: datetime | None = None) -> None:
    """Have a pull request's inbox handled, at some time or now."""
    services.jobs.enqueue(tx, "pull", {"repo": pull.repo, "pull": str(pull.number)}, delay=_until(services, at))


def report_soon(services: Services, tx: Session, pull: PullKey, at: datetime | None = None) -> None:
    """Have the forge brought to where it shows what is so, at some time or now."""
    services.jobs.enqueue(tx, "report", {"repo": pull.repo, "pull": str(pull.number)}, delay=_until(services, at))


def _until(services: Services, at: datetime | None) -> float:
    return 0.0 if at is None else max(0.0, (at - services.clock.now()).total_seconds())


def stop(services: Services, tx: Session, run: Run, *, superseded: bool = False) -> None:
    """Ask whoever works on a run to stop it."""
    run.cancel_requested_at = run.cancel_requested_at or services.clock.now()
    run.superseded = run.superseded or superseded
    tx.add(run)
    after_commit(tx, partial(services.jobs.abort, run.id))
