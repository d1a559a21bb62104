"""What the jobs do: each kind's callable takes the slot of what it acts on, so that nobody else does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import structlog

from prbot.audit.entries import PRBOT
from prbot.core.ids import PullKey
from prbot.core.runs import Goal, RunStatus
from prbot.flows import apply, plan, pulls, reconcile, report, unknown
from prbot.flows.admission import admit_runs
from prbot.flows.apply_ends import applied_and_over
from prbot.flows.locks import give_up
from prbot.flows.nudge import report_soon
from prbot.flows.services import Services
from prbot.ports import Again, Job
from prbot.store import runs, slots
from prbot.store.tables import Run

log = structlog.get_logger(__name__)
BUSY_AGAIN_SECONDS = 0.2


def work(services: Services) -> Mapping[str, Callable[[Job], None]]:
    """Kind of job → what does it."""
    rounds = reconcile.Rounds()
    return {
        "pull": lambda job: _look_at(services, _pull_of(job)),
        "report": lambda job: _report(services, _pull_of(job)),
        "inspect": lambda job: _inspect(services, job.args["run"]),
        "run": lambda job: execute_run(services, job.args["run"]),
        "reconcile": lambda job: _reconcile(services, rounds),
    }


def _pull_of(job: Job) -> PullKey:
    return PullKey(job.args["repo"], int(job.args["pull"]))


def _bound(pull: PullKey) -> AbstractContextManager[object]:
    return structlog.contextvars.bound_contextvars(repository=pull.repo, pull=pull.number)


@contextmanager
def _alone(services: Services, key: str) -> Iterator[slots.Held]:
    """Have a slot for the length of the block; Again when somebody has it."""
    owner = services.new_id()
    with services.running.owning(owner):
        with services.db.write() as tx:
            held = slots.take(tx, key, owner=owner, worker=services.identity.worker, now=services.clock.now())
        if held is None:
            raise Again(f"{key} is busy", BUSY_AGAIN_SECONDS)
        try:
            yield held
        finally:
            with services.db.write() as tx:
                if slots.still_held(tx, held):
                    slots.free(tx, held)


def _look_at(services: Services, pull: PullKey) -> None:
    with _bound(pull), _alone(services, slots.pull_slot(pull)):
        pulls.execute(services, pull)


def _report(services: Services, pull: PullKey) -> None:
    with _bound(pull), _alone(services, slots.report_slot(pull)):
        report.execute(services, pull)


def _reconcile(services: Services, rounds: reconcile.Rounds) -> None:
    """One process at a time: a round that lasts until the next one is due does for both."""
    try:
        with _alone(services, slots.RECONCILE):
            reconcile.execute(services, rounds)
    except Again:
        log.info("another process reconciles")
    finally:
        with services.db.write() as tx:
            reconcile.schedule(services, tx)


def _inspect(services: Services, run_id: str) -> None:
    with services.db.read() as tx:
        run = tx.get_one(Run, run_id)
    with _alone(services, slots.project_slot(run.project)):
        unknown.inspect(services, run_id)


def execute_run(services: Services, run_id: str) -> None:
    """Begin a run, unless it is done, not admitted any more, or somebody else's, and see it through."""
    with services.running.owning(run_id):
        begun = _begin(services, run_id)
        if begun is None:
            return
        run, held = begun
        services.running.begin(run.id)
        with structlog.contextvars.bound_contextvars(repository=run.repo, pull=run.pull, run=run.id):
            try:
                (plan if run.goal is Goal.PLAN else apply).execute(services, run.id, held)
            except slots.SlotLost:
                _too_late(services, run, held)
            except Exception:
                _broke(services, run, held)
                raise
            finally:
                services.running.end(run.id)


def _begin(services: Services, run_id: str) -> tuple[Run, slots.Held] | None:
    with services.db.write() as tx:
        run = tx.get(Run, run_id)
        if run is None or run.status is not RunStatus.PENDING:
            return None
        held = slots.take(
            tx, slots.project_slot(run.project), owner=run.id, worker=services.identity.worker, now=services.clock.now()
        )
        if held is None:  # somebody works on the project: admission lets this run in when they are done
            run.admitted_at = None
            tx.add(run)
            return None
        runs.step(tx, run, RunStatus.PLANNING, services.clock.now())
        if run.goal is Goal.PLAN:
            services.audit.append(tx, "plan.started", actor=PRBOT, project=run.project, pull=run.pull, run=run.id)
        return run, held


def _too_late(services: Services, run: Run, held: slots.Held) -> None:
    """We were taken for dead and somebody else took over: what we have is evidence, and nothing is done with it."""
    log.warning("late result", run=run.id)
    with services.db.write() as tx:
        services.audit.append(
            tx,
            "late_result",
            actor=PRBOT,
            project=run.project,
            pull=run.pull,
            run=run.id,
            outcome="unknown",
            facts={"token": held.token, "worker": held.worker},
        )


def _broke(services: Services, run: Run, held: slots.Held) -> None:
    """A bug: the run must not stay under way. An apply that had begun is `unknown`."""
    with services.db.write() as tx:
        if not slots.still_held(tx, held):
            return
        mine = tx.get_one(Run, run.id)
        if mine.status is RunStatus.APPLIED:  # it failed at looking whether anything is left
            slots.free(tx, held)
            applied_and_over(services, tx, mine)
            return
        if mine.superseded:  # another took its place, with its lock
            runs.step(tx, mine, RunStatus.SUPERSEDED, services.clock.now())
            services.audit.append(tx, "run.superseded", actor=PRBOT, project=mine.project, pull=mine.pull, run=mine.id)
            slots.free(tx, held)
            tx.flush()
            admit_runs(services, tx)
            return
        applying = mine.status is RunStatus.APPLYING
        mine.error = "prbot failed here, by its own fault; its log says more."
        runs.step(tx, mine, RunStatus.UNKNOWN if applying else RunStatus.ERRORED, services.clock.now())
        services.audit.append(
            tx,
            "run.unknown" if applying else "plan.finished",
            actor=PRBOT,
            project=mine.project,
            pull=mine.pull,
            run=mine.id,
            outcome="unknown" if applying else "failed",
            facts={"why": "an internal error"},
        )
        if applying:
            services.jobs.enqueue(tx, "inspect", {"run": mine.id})
        slots.free(tx, held)
        if mine.goal is Goal.PLAN:
            give_up(services, tx, mine.project, mine.pull)
        tx.flush()
        admit_runs(services, tx)
        report_soon(services, tx, mine.pull_key)
