"""Which runs may start now: one decision over our own tables, made whenever one was added or has ended.

An apply waits while an earlier merge holds its project, and until what it reads is applied; all else only for a place.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func
from sqlmodel import Session, col, select

from prbot.core.admission import AdmissionLimits, PendingRun, admit, class_of
from prbot.core.runs import BUSY, Goal, RunStatus
from prbot.flows import order
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.store import runs
from prbot.store.slots import project_slot
from prbot.store.tables import Run, Slot


def admit_runs(services: Services, tx: Session) -> None:
    """Queue a job for every run that may start."""
    _mind_the_order(services, tx)
    pending = runs.with_status(tx, {RunStatus.PENDING})
    admitted = [run for run in pending if run.admitted_at is not None]
    waiting = {run.id: run for run in pending if run.admitted_at is None}
    if not waiting:
        return
    under_way = [run.project for run in (*admitted, *runs.with_status(tx, BUSY))]
    under_way += [run.project for run in waiting.values() if _slot_taken(tx, run) and run.project not in under_way]
    last = {
        repo: at
        for repo, at in tx.exec(
            select(Run.repo, func.max(Run.admitted_at)).where(col(Run.admitted_at).is_not(None)).group_by(Run.repo)
        )
        if at is not None
    }
    chosen = admit(
        [PendingRun(run.id, class_of(run.goal, run.trigger), run.project) for run in waiting.values()],
        under_way,
        AdmissionLimits(services.parallel, _per_repo(services, {run.repo for run in waiting.values()})),
        last,
    )
    for run_id in chosen:
        run = waiting[run_id]
        run.admitted_at = services.clock.now()
        tx.add(run)
        services.jobs.enqueue(tx, "run", {"run": run.id})


def _mind_the_order(services: Services, tx: Session) -> None:
    """Let merged runs wait that may not go yet, and go that need not wait any more."""
    queued = runs.with_status(tx, {RunStatus.PENDING, RunStatus.WAITING})
    applies = [run for run in queued if run.goal is Goal.APPLY and run.admitted_at is None]
    waits = order.why_they_wait(tx, applies)
    for run in applies:
        why = waits[run.id]
        new = RunStatus.WAITING if why else RunStatus.PENDING
        if new is not run.status:
            runs.step(tx, run, new, services.clock.now())
            report_soon(services, tx, run.pull_key)
        if why:
            run.error = why
    tx.flush()


def _per_repo(services: Services, repos: Iterable[str]) -> dict[str, int]:
    bounds = {repo: services.rules(repo).parallel for repo in repos}
    return {repo: most for repo, most in bounds.items() if most is not None}


def _slot_taken(tx: Session, run: Run) -> bool:
    slot = tx.get(Slot, project_slot(run.project))
    return slot is not None and slot.owner is not None
