"""How an apply ends, and what follows: each end is recorded in one transaction with all that it means for others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlmodel import Session

from prbot.audit.entries import PRBOT
from prbot.core.comparison import EntryDifference
from prbot.core.runs import Goal, RunStatus
from prbot.flows.admission import admit_runs
from prbot.flows.approved import forget
from prbot.flows.endings import recorded
from prbot.flows.locks import give_up
from prbot.flows.nudge import report_soon
from prbot.flows.orphans import brought_back
from prbot.flows.plan import describe
from prbot.flows.services import Services
from prbot.flows.steps import Made, kept_summary
from prbot.ports import StepResult
from prbot.store import runs, slots
from prbot.store.tables import Operation, Run

TRIES_ON_A_MOVING_STATE = 5
_STOPPED = frozenset({RunStatus.HELD, RunStatus.AWAITING_APPROVAL})
_MOVES = (
    f"The state moved {TRIES_ON_A_MOVING_STATE} times between the plan and its apply, so that nothing was applied. "
    "Something else keeps writing to this state: find it and stop it first."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an apply that changed nothing in the world: why, and the plan that was made, with where it is kept."""

    status: RunStatus
    why: str = ""
    made: Made | None = None
    plan_key: str = ""
    differs: Sequence[EntryDifference] | None = None
    """How the plan differs from the approved one; None where there was nothing to compare with."""


# -- nothing was done -------------------------------------------------------------------------------------------------
@recorded
def ended(services: Services, run: Run, held: slots.Held, outcome: Outcome) -> None:
    """Record an end that changed nothing. What waits for an approval is from here on held against its own plan."""
    made = outcome.made
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.error = outcome.why
        if made is not None and outcome.status in _STOPPED:
            _held(services, tx, mine, made, outcome)
        elif made is not None and outcome.status is RunStatus.ERRORED:
            mine.summary = kept_summary(made.summary)  # what it would do; there is nothing to be approved
        elif made is not None:
            tell_of(services, tx, mine, made, outcome.plan_key)
        services.audit.append(
            tx,
            "apply.refused",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            merge=run.commit,
            outcome="failed" if outcome.status is RunStatus.ERRORED else "refused",
            facts={"why": outcome.why[:1000], "now": outcome.status.value},
        )
        _finish(services, tx, mine, held, outcome.status)


def _held(services: Services, tx: Session, run: Run, made: Made, outcome: Outcome) -> None:
    facts = {"why": outcome.why, "fingerprint": made.fingerprint, "approved_run": run.reference or ""}
    services.audit.append(
        tx,
        "run.held",
        actor=PRBOT,
        project=run.project,
        pull=run.pull,
        run=run.id,
        merge=run.commit,
        outcome="refused",
        facts=facts,
    )
    _replace(services, tx, run, made, outcome.plan_key)
    run.reference, run.shown_at, run.stale_tries = run.id, None, 0
    run.held_for = outcome.why if outcome.status is RunStatus.HELD else run.held_for
    run.difference = None if outcome.differs is None else [asdict(each) for each in outcome.differs]


def tell_of(services: Services, tx: Session, run: Run, made: Made, plan_key: str) -> None:
    """Put a plan on a run. Where the run's own plan is what was approved, that stays so: this one lies within it."""
    if run.reference != run.id:
        _replace(services, tx, run, made, plan_key)
        return
    run.summary, run.diff = kept_summary(made.summary), made.changes
    run.seal = {**(run.seal or {}), "state": asdict(made.seal.state)}
    tx.add(run)


def _replace(services: Services, tx: Session, run: Run, made: Made, plan_key: str) -> None:
    if run.plan_key:
        forget(services, tx, run)
    describe(run, made, plan_key)
    tx.add(run)


@recorded
def begun_anew(services: Services, run: Run, held: slots.Held) -> None:
    """Plan once more from the start, since not all that was read before the plan is so any longer."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        runs.step(tx, mine, RunStatus.PENDING, services.clock.now())
        slots.free(tx, held)
        tx.flush()
        admit_runs(services, tx)


# -- the engine was told to apply -------------------------------------------------------------------------------------
@recorded
def state_moved(services: Services, run: Run, held: slots.Held) -> None:
    """The state moved between plan and apply, so that nothing was done: the run begins anew, but not without end."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.applying_at, mine.stale_tries = None, mine.stale_tries + 1
        if mine.stale_tries < TRIES_ON_A_MOVING_STATE:
            runs.step(tx, mine, RunStatus.PENDING, services.clock.now())
            slots.free(tx, held)
            tx.flush()
            admit_runs(services, tx)
            return
        mine.error = _MOVES
        _audit_end(services, tx, mine, "failed", {"result": "the state kept moving", "tries": mine.stale_tries})
        _finish(services, tx, mine, held, RunStatus.ERRORED)


@recorded
def applied(services: Services, run: Run, held: slots.Held, result: StepResult, said: str) -> None:
    """Record what became of an apply. After a good one the slot is kept until `converged`."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.applied_output = said[-60_000:]
        mine.error = "" if result.ok else said[-20_000:]
        facts = {
            "exit_code": result.exit_code,
            "ending": result.ending,
            "milliseconds": int(result.seconds * 1000),
            "log_digest": "sha256:" + hashlib.sha256(said.encode()).hexdigest(),
        }
        _audit_end(services, tx, mine, "ok" if result.ok else "failed", facts)
        if result.ok:
            runs.step(tx, mine, RunStatus.APPLIED, services.clock.now())
        else:
            _finish(services, tx, mine, held, RunStatus.ERRORED)


@recorded
def converged(services: Services, run: Run, held: slots.Held, left: str) -> None:
    """Record what a plan after the apply still wants (`clean`; empty when that is not known), and let others go on."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        mine.convergence = left
        slots.free(tx, held)
        applied_and_over(services, tx, mine)


def applied_and_over(services: Services, tx: Session, run: Run) -> None:
    """The end of a run that was applied, once nobody has its project's slot."""
    left = run.convergence
    services.audit.append(
        tx,
        "convergence.checked",
        actor=PRBOT,
        project=run.project,
        pull=run.pull,
        run=run.id,
        outcome="ok" if left == "clean" else "unknown" if not left else "failed",
        facts={"result": "clean" if left == "clean" else "differences" if left else "not checked"},
    )
    tx.add(run)
    brought_back(services, tx, run)
    give_up(services, tx, run.project, run.pull)
    tx.flush()
    admit_runs(services, tx)
    report_soon(services, tx, run.pull_key)


def _audit_end(
    services: Services, tx: Session, run: Run, outcome: Literal["ok", "failed"], facts: Mapping[str, str | int]
) -> None:
    services.audit.append(
        tx,
        "apply.finished",
        actor=PRBOT,
        project=run.project,
        pull=run.pull,
        run=run.id,
        merge=run.commit,
        outcome=outcome,
        facts=facts,
    )


# -- what follows -----------------------------------------------------------------------------------------------------
def _finish(services: Services, tx: Session, run: Run, held: slots.Held, ending: RunStatus) -> None:
    """The run's last transaction: its status, the slot, the lock, and who is next."""
    had_begun = run.status is RunStatus.APPLYING
    runs.step(tx, run, ending, services.clock.now())
    if had_begun:
        _plan_what_is_left(services, tx, run)
    slots.free(tx, held)
    if ending is RunStatus.NO_CHANGES:
        brought_back(services, tx, run)
        give_up(services, tx, run.project, run.pull)
    tx.flush()
    admit_runs(services, tx)
    report_soon(services, tx, run.pull_key)


def _plan_what_is_left(services: Services, tx: Session, failed: Run) -> None:
    """After a failed apply, the same commit is planned again at once; it goes no further by itself."""
    operation = Operation(
        id=services.new_id(),
        repo=failed.repo,
        pull=failed.pull,
        goal=Goal.APPLY,
        trigger="retry",
        actor="prbot",
        head_sha=failed.head_sha,
        base_sha=failed.base_sha,
        created_at=services.clock.now(),
    )
    tx.add(operation)
    tx.flush()
    tx.add(another_attempt(services, failed, operation))


def another_attempt(services: Services, failed: Run, operation: Operation) -> Run:
    """The same project at the same commit, once more, up to its plan."""
    return Run(
        id=services.new_id(),
        operation=operation.id,
        repo=failed.repo,
        pull=failed.pull,
        dir=failed.dir,
        workspace=failed.workspace,
        goal=Goal.APPLY,
        trigger="retry",
        head_sha=failed.head_sha,
        base_sha=failed.base_sha,
        commit=failed.commit,
        tree=failed.tree,
        var_files=failed.var_files,
        extra_args=failed.extra_args,
        reason=failed.reason,
        auto=False,
        reference=failed.reference,
        held_for=failed.held_for,
        attempt=failed.attempt + 1,
        comes_after=failed.comes_after,
        state_places=failed.state_places,
        input_digest=failed.input_digest,
        created_at=services.clock.now(),
    )
