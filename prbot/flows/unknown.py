"""A run whose outcome is unknown: what can be found out without touching anything is found out, and said."""

from __future__ import annotations

import structlog

from prbot.audit.entries import PRBOT
from prbot.core.aftermath import what_became, who_holds
from prbot.core.plans import StatePosition
from prbot.core.runs import RunStatus
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.flows.steps import StepFailed, bench, seal_of
from prbot.ports import StateLock, Unavailable
from prbot.store.tables import PullRow, Run

log = structlog.get_logger(__name__)
LOOK = "-look"
"""Ends the name of the directories that are looked from: the lost worker's engine may still use the run's own."""


def inspect(services: Services, run_id: str) -> None:
    """Compare the state with what it was, see who holds its lock, and put that on the run. The caller has the slot."""
    with services.db.read() as tx:
        run = tx.get_one(Run, run_id)
        pull = tx.get_one(PullRow, (run.repo, run.pull))
    if run.status is not RunStatus.UNKNOWN:
        return
    seal = seal_of(run)
    before = seal.state if seal is not None else StatePosition(None, None)
    now, lock, said = StatePosition(None, None), None, ""
    try:
        now, lock = _look(services, run, pull)
        said = what_became(before, now)
    except (StepFailed, Unavailable) as problem:
        log.warning("the state of an unknown run could not be read", run=run.id)
        said = f"The state could not be read: {problem}"
    if lock is not None:
        said += " " + who_holds(lock.id, lock.who, lock.operation, lock.created)
    with services.db.write() as tx:
        mine = tx.get_one(Run, run_id)
        if mine.status is not RunStatus.UNKNOWN:
            return
        mine.error = said
        tx.add(mine)
        services.audit.append(
            tx,
            "run.inspected",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            merge=run.commit,
            outcome="unknown",
            facts={
                "lineage_before": before.lineage or "",
                "serial_before": before.serial or 0,
                "lineage": now.lineage or "",
                "serial": now.serial or 0,
                "lock": f"{lock.id} {lock.who}" if lock is not None else "",
                "found": said[:1000],
            },
        )
        report_soon(services, tx, run.pull_key)


def _look(services: Services, run: Run, pull: PullRow) -> tuple[StatePosition, StateLock | None]:
    """With the plan's environment, which reads."""
    with bench(services, run, pull, "plan", services.rules.now, owner=run.id + LOOK) as work:
        work.init()
        result, position = services.engine.state(work.site, work.limits)
        work.must(result)
        return position, services.engine.lock_holder(work.site, work.limits)
