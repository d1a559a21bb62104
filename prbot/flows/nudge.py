"""Asking for work: queue the job that looks at a pull request, or the one that reports on it."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from prbot.core.ids import PullKey
from prbot.flows.services import Services
from prbot.store.database import after_commit
from prbot.store.tables import Run


def look_at(services: Services, tx: Session, pull: PullKey) -> None:
    """Have a pull request's inbox handled."""
    services.jobs.enqueue(tx, "pull", {"repo": pull.repo, "pull": str(pull.number)})


def report_soon(services: Services, tx: Session, pull: PullKey) -> None:
    """Have the forge brought to where it shows what is so."""
    services.jobs.enqueue(tx, "report", {"repo": pull.repo, "pull": str(pull.number)})


def stop(services: Services, tx: Session, run: Run, *, superseded: bool = False) -> None:
    """Ask whoever works on a run to stop it."""
    run.cancel_requested_at = run.cancel_requested_at or services.clock.now()
    run.superseded = run.superseded or superseded
    tx.add(run)
    after_commit(tx, partial(services.jobs.abort, run.id))
