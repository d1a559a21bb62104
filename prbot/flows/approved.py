"""What was approved: the plan that a fresh one is held against. It is checked before it is believed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial

import structlog
from sqlmodel import Session, col, select

from prbot.core.fingerprint import fingerprint
from prbot.core.planfile import PlanUnreadable, load_plan
from prbot.core.plans import CanonicalPlan
from prbot.core.runs import BUSY
from prbot.flows.services import Services
from prbot.flows.steps import place_of
from prbot.ports import Conflict, NotFound, Transient
from prbot.store import runs
from prbot.store.database import after_commit
from prbot.store.tables import Run

log = structlog.get_logger(__name__)

NONE_SHOWN = "No plan that can be applied was shown of this head before the merge, so none was approved."
GONE = "The plan that was approved is gone from the plan store, so that the new one cannot be compared with it."
UNREADABLE = (
    "The plan that was approved cannot be read any more, so that the new one cannot be compared with it: the server's "
    "log says more."
)
ANOTHER = "The plan store holds another plan than the one that was approved: the fingerprints differ."


@dataclass(frozen=True, slots=True)
class Reference:
    """The run whose plan was approved, and that plan in canonical form; without a plan, `problem` says why."""

    run: Run | None
    plan: CanonicalPlan | None
    problem: str = ""


def reference_of(services: Services, run: Run) -> Reference:
    """What an apply is held against. Raises Transient when the plan store could not answer."""
    with services.db.read() as tx:
        approved = tx.get(Run, run.reference) if run.reference is not None else None
    if approved is None:
        return Reference(None, None, NONE_SHOWN)
    if not approved.plan_key:
        return Reference(approved, None, GONE)
    try:
        kept = load_plan(services.plans.get(place_of(approved.plan_key)))
        key_id = approved.fingerprint.rpartition(":")[0]
        same = fingerprint(kept, *services.fingerprint_key(key_id)) == approved.fingerprint
    except NotFound:
        return Reference(approved, None, GONE)
    except (Conflict, PlanUnreadable) as damage:
        log.error("an approved plan cannot be read", run=approved.id, why=str(damage))
        return Reference(approved, None, UNREADABLE)
    if not same:
        log.error("an approved plan is not what was approved", run=approved.id)
        return Reference(approved, None, ANOTHER)
    return Reference(approved, kept)


def tidy(services: Services) -> None:
    """Forget stored plans that no run names, which somebody left who died before the run came to name them."""
    there = list(services.plans.keys(""))  # first: what comes from here on is not looked at
    with services.db.read() as tx:
        named = {place_of(key) for key in tx.exec(select(Run.plan_key).where(col(Run.plan_key) != ""))}
        busy = {run.id.lower() for run in runs.with_status(tx, BUSY)}
    for place in there:
        if place not in named and not busy & set(place.split("/")):
            services.plans.delete(place)


def forget(services: Services, tx: Session, run: Run) -> None:
    """Let go of a run's plan: its row names it no more, and once that is certain the store forgets it."""
    after_commit(tx, partial(_delete, services, place_of(run.plan_key)))
    run.plan_key = ""
    tx.add(run)


def _delete(services: Services, place: str) -> None:
    with contextlib.suppress(Transient):  # then `tidy` finds it
        services.plans.delete(place)
