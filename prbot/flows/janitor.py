"""Whatever a dead worker left is taken up, and whatever is in a state that needs a job gets one."""

from __future__ import annotations

import structlog
from sqlmodel import Session, col, select

from prbot.audit.entries import PRBOT
from prbot.core.runs import BUSY, LIVE, Goal, RunStatus
from prbot.disk import remove
from prbot.flows import approved, reconcile
from prbot.flows.admission import admit_runs
from prbot.flows.apply_ends import applied_and_over
from prbot.flows.locks import give_up
from prbot.flows.nudge import look_at, report_soon
from prbot.flows.services import Services
from prbot.flows.unknown import LOOK
from prbot.store import inbox, posts, runs, slots
from prbot.store.tables import Run, Slot

log = structlog.get_logger(__name__)


def started(services: Services) -> None:
    """Put on record that a process begins to work, and by which rules; then take up what lies about."""
    version = services.engine.version()
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "server.started",
            actor=PRBOT,
            facts={
                "worker": services.identity.worker,
                "version": services.identity.version,
                "engine": f"{version.product} {version.version}",
                "isolation": services.engine.isolation(),
            },
        )
        services.audit.append(tx, "rules.loaded", actor=PRBOT, facts={"digest": services.rules.now.digest})
        slots.forget_the_dead_here(tx)
        reconcile.schedule(services, tx, delay=0)
    sweep(services)
    _tidy(services)


def _tidy(services: Services) -> None:
    """Remove what dead processes left on disk; runs that an engine may still be at keep theirs."""
    with services.db.read() as tx:
        kept = [run.id for run in runs.with_status(tx, LIVE | {RunStatus.UNKNOWN})]
    alive = {*kept, *(run + LOOK for run in kept)}
    services.git.prune(alive)
    for place in services.places.scratch.glob("*"):
        if place.name not in alive:
            remove(place)
    approved.tidy(services)


def sweep(services: Services) -> None:
    """One round. Safe at any time, in any number of processes."""
    with services.db.write() as tx:
        left_here = slots.of_worker(tx, services.identity.worker)
        owners = services.running.owners()
        for slot in (*slots.orphans(tx, services.db), *(each for each in left_here if each.owner not in owners)):
            _take_back(services, tx, slot)
        tx.flush()
        _requeue(services, tx)
        admit_runs(services, tx)
        now = services.clock.now()
        for pull in inbox.pulls_waiting(tx, now):
            look_at(services, tx, pull)
        for pull in posts.pulls_unsent(tx, now):
            report_soon(services, tx, pull)
        reconcile.schedule(services, tx)
    _reach_the_cancelled(services)


def _take_back(services: Services, tx: Session, slot: Slot) -> None:
    """The slot of a dead worker, or of nobody in this one, is free, and its token worth nothing from here on. A plan is
    made again; an apply's outcome is not known."""
    key, owner, worker = slot.key, slot.owner, slot.worker
    slots.seize(tx, key)
    log.warning("a slot was left behind", slot=key, worker=worker)
    run = tx.get(Run, owner) if key.startswith("project ") and owner else None
    if run is not None and run.status is RunStatus.APPLIED:  # it was looking whether anything is left
        applied_and_over(services, tx, run)
    if run is None or run.status not in BUSY:
        return
    log.warning("a run was lost", worker=worker, run=run.id, status=run.status)
    here = worker == services.identity.worker
    if not here:
        services.audit.append(
            tx,
            "worker.lost",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            outcome="unknown",
            facts={"worker": worker or "", "status": run.status.value},
        )
    now = services.clock.now()
    if run.status is RunStatus.APPLYING:
        lost = "How this apply ended" if here else "The worker that was applying this"
        run.error = f"{lost} was lost, and nobody knows how far it came."
        services.jobs.enqueue(tx, "inspect", {"run": run.id})
        runs.step(tx, run, RunStatus.UNKNOWN, now)
        services.audit.append(
            tx,
            "run.unknown",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            outcome="unknown",
            merge=run.commit,
            facts={"worker": worker or ""},
        )
    elif run.superseded:
        runs.step(tx, run, RunStatus.SUPERSEDED, now)
    elif run.cancel_requested_at is not None:
        runs.step(tx, run, RunStatus.CANCELLED, now)
        if run.goal is Goal.PLAN:
            give_up(services, tx, run.project, run.pull)
    else:
        runs.step(tx, run, RunStatus.PENDING, now)
    report_soon(services, tx, run.pull_key)


def _requeue(services: Services, tx: Session) -> None:
    """Runs that were let in and are not begun: their job may be lost. The same job twice is one."""
    for run in tx.exec(select(Run).where(Run.status == RunStatus.PENDING, col(Run.admitted_at).is_not(None))):
        services.jobs.enqueue(tx, "run", {"run": run.id})


def _reach_the_cancelled(services: Services) -> None:
    mine = services.running.ids()
    if not mine:
        return
    with services.db.read() as tx:
        asked = tx.exec(select(Run.id).where(col(Run.id).in_(mine), col(Run.cancel_requested_at).is_not(None))).all()
    for run in asked:
        services.running.cancel(run)
