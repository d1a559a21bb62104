"""Plans: which projects are planned when, and one run's plan from checkout to seal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import structlog
from sqlmodel import Session

from prbot.audit.entries import PRBOT, Actor
from prbot.core import dependencies, locks
from prbot.core.commands import Command
from prbot.core.comments.replies import no_such_project, nothing_affected
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.inputs import input_digest
from prbot.core.projects import Project, Selection
from prbot.core.pulls import Pull
from prbot.core.runs import BUSY, NEXT, Goal, RunStatus
from prbot.core.shown import carries_over
from prbot.core.states import Places, elsewhere
from prbot.core.wanted import NoSuchProject, Wanted, all_but, for_command
from prbot.flows import gather, orphans, report
from prbot.flows.admission import admit_runs
from prbot.flows.endings import recorded
from prbot.flows.locks import claim, claimed_by, give_up, stands_before
from prbot.flows.nudge import report_soon, stop
from prbot.flows.services import Services
from prbot.flows.steps import Made, StepFailed, against, bench, kept_summary
from prbot.ports import MergeConflict, Merged, Unavailable
from prbot.store import runs, slots
from prbot.store.tables import Operation, PullRow, Run

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What brings a plan about: a trigger, by whom, and the command where there is one."""

    trigger: str
    actor: Actor
    command: Command | None = None
    comment_id: int | None = None
    slug: str = "answer"
    """Under which name it is answered, where nothing is planned: a comment may hold several commands."""

    @property
    def whole(self) -> bool:
        """Whether every project is meant."""
        named = self.command is not None and (self.command.dirs or self.command.projects or self.command.workspace)
        return not named


@dataclass(frozen=True, slots=True)
class Candidate:
    """A project to be planned, and the earlier run whose approvals may carry over to its plan."""

    project: Project
    input_digest: str
    carries: str | None
    reads: tuple[ProjectKey, ...] = ()
    """The other projects of the pull request that it reads."""
    places: Places | None = None
    """Where its state is kept on the base and in the merge result."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a pull request found: it does not merge, or these are the projects to be planned."""

    base_sha: str
    conflict: tuple[str, ...] = ()
    commit: str = ""
    tree: str = ""
    selection: Selection = field(default_factory=Selection)
    candidates: tuple[Candidate, ...] = ()


# -- starting ---------------------------------------------------------------------------------------------------------
def start(services: Services, pull: Pull, asked: Asked) -> None:
    """Plan a pull request's projects at its present head and base, in place of what was planned or under way before."""
    base = gather.fetched(services, pull)
    merged = services.git.merge(pull.repo, base, pull.head_sha)
    if isinstance(merged, MergeConflict):
        _record(services, pull, asked, Found(base, conflict=merged.files))
        return
    with services.db.read() as tx:
        afresh = asked.command is not None and asked.whole
        named = () if afresh else runs.named_projects(tx, pull.key, pull.head_sha)
    change = gather.change_between(services, pull.repo, base, merged.commit, named)
    _note_what_the_base_says(services, pull, orphans.base_at(base, change.before, services, pull))
    projects = _meant(services, pull, asked, change)
    if projects is None:
        return
    candidates = tuple(_candidates(services, pull, asked, change, merged, projects))
    with services.db.read() as tx:
        selection = orphans.with_what_stays(tx, pull.key.repo, change.selection)
    _record(services, pull, asked, Found(base, (), merged.commit, merged.tree, selection, candidates))


def _note_what_the_base_says(services: Services, pull: Pull, base: orphans.Base) -> None:
    with services.db.read() as tx:
        new = orphans.is_new(base, tx, pull)
    if new:
        with services.db.write() as tx:
            orphans.seen_on(base, services, tx, pull)


def _meant(services: Services, pull: Pull, asked: Asked, change: gather.Change) -> Sequence[Project] | None:
    """Which projects are to be planned; None where who asked was told that there is no such project."""
    if asked.command is None:
        return change.selection.projects
    wanted = Wanted(asked.command.dirs, asked.command.workspace, asked.command.projects)
    found = for_command(pull.key.repo, change.selection, change.after, wanted, change.known)
    if not asked.whole and not isinstance(found, NoSuchProject):
        named = wanted.workspace is not None
        found = all_but(found, gather.refused(services, pull.repo, change.after, found, workspace_named=named))
    if isinstance(found, NoSuchProject):
        report.reply(services, pull.key, asked.comment_id, no_such_project(found), asked.slug)
        return None
    if not found and change.selection.is_empty:
        report.reply(services, pull.key, asked.comment_id, nothing_affected(pull.base_branch), asked.slug)
    return found


def _candidates(
    services: Services, pull: Pull, asked: Asked, change: gather.Change, merged: Merged, projects: Sequence[Project]
) -> Iterator[Candidate]:
    with services.db.read() as tx:
        every = {run.id: run for run in runs.of_pull(tx, pull.key, Goal.PLAN) if run.fingerprint}
    last = {run.project: run for run in every.values()}
    heads = {key: _heads(run, every) for key, run in last.items()}
    version = services.engine.version()
    known = {each.key: each for each in (*change.selection.projects, *projects)}
    reads = dependencies.read_by(change.after, known.values())
    same_as = {
        head: gather.same_on_base(services, pull, change.base_sha, head, merged)
        for head in {head for project in projects for head in heads.get(project.key, ())}
    }
    for project in projects:
        previous = last.get(project.key)
        same = all(same_as[head] for head in heads.get(project.key, ()))
        digest = input_digest(
            project,
            change.after,
            engine_version=f"{version.product} {version.version}",
            extra_args=asked.command.extra_args if asked.command else (),
        )
        carries = previous.id if previous is not None and same else None
        with services.db.read() as tx:
            places = orphans.places(tx, change, project.key)
        yield Candidate(project, digest, carries, reads[project.key], places)


def _heads(run: Run, every: Mapping[str, Run]) -> set[str]:
    """The head of a plan, and those of all whose approvals it carries: each gave the same as the next one on the base
    of its time, and need not on another."""
    heads, link = set(), every.get(run.id)
    while link is not None:
        heads.add(link.head_sha)
        link = every.get(link.carries or "")
    return heads


def _record(services: Services, pull: Pull, asked: Asked, found: Found) -> None:
    """Write down what was found together with the runs that follow from it, and let what they replace go: a look at the
    whole without its runs would read as if nothing were to be planned."""
    whole = asked.whole or bool(found.conflict)
    operation = Operation(
        id=services.new_id(),
        repo=pull.key.repo,
        pull=pull.key.number,
        goal=Goal.PLAN,
        trigger=asked.trigger,
        actor=asked.actor.name,
        comment_id=asked.comment_id,
        head_sha=pull.head_sha,
        base_sha=found.base_sha,
        base_branch=pull.base_branch,
        whole=whole,
        conflict=list(found.conflict) or None,
        refusals=[asdict(each) for each in found.selection.refusals] if whole else [],
        orphans=[asdict(each) for each in found.selection.orphans] if whole else [],
        notes=list(found.selection.notes) if whole else [],
        created_at=services.clock.now(),
    )
    with services.db.write() as tx:
        tx.add(operation)
        tx.flush()
        supersede(services, tx, pull.key, None if whole else {each.project.key for each in found.candidates})
        if whole:
            kept = {project.key for project in found.selection.projects}
            for project in claimed_by(tx, pull.key):
                if project not in kept:
                    give_up(services, tx, project, pull.key.number)
        for candidate in found.candidates:
            _add_run(services, tx, operation, asked, (found, candidate))
        tx.flush()
        admit_runs(services, tx)
        report_soon(services, tx, pull.key)


def _add_run(
    services: Services, tx: Session, operation: Operation, asked: Asked, what: tuple[Found, Candidate]
) -> None:
    """Claim a project, and add the run that plans it."""
    (found, candidate), command = what, asked.command
    key = candidate.project.key
    if locks.claims_project(services.rules(operation.repo).locks, merged=False):
        claim(services, tx, key, operation.pull)
    tx.add(
        Run(
            id=services.new_id(),
            operation=operation.id,
            repo=key.repo,
            pull=operation.pull,
            dir=key.dir,
            workspace=key.workspace,
            goal=Goal.PLAN,
            trigger=asked.trigger,
            head_sha=operation.head_sha,
            base_sha=operation.base_sha,
            commit=found.commit,
            tree=found.tree,
            var_files=list(candidate.project.var_files),
            extra_args=list(command.extra_args) if command else [],
            verbose=command.verbose if command else False,
            reason=candidate.project.reason,
            left_out=list(candidate.project.left_out),
            speculative=stands_before(tx, key, operation.pull),
            input_digest=candidate.input_digest,
            carries=candidate.carries,
            comes_after=[[other.dir, other.workspace] for other in candidate.reads],
            state_places=asdict(candidate.places) if candidate.places else None,
            created_at=services.clock.now(),
        )
    )


def supersede(services: Services, tx: Session, pull: PullKey, projects: Collection[ProjectKey] | None) -> None:
    """Let the plans of a pull request (of some projects, or all) give way: what runs is stopped, the rest put aside."""
    now = services.clock.now()
    for run in runs.plans_in_force(tx, pull):
        if projects is not None and run.project not in projects:
            continue
        if run.status in BUSY:
            stop(services, tx, run, superseded=True)
        elif RunStatus.SUPERSEDED in NEXT[run.status]:
            runs.step(tx, run, RunStatus.SUPERSEDED, now)
            if not run.fingerprint:
                services.audit.append(tx, "run.superseded", actor=PRBOT, project=run.project, pull=run.pull, run=run.id)


# -- one run ----------------------------------------------------------------------------------------------------------
def execute(services: Services, run_id: str, held: slots.Held) -> None:
    """Plan one project, with the plan's environment, and record how that went. The caller has taken the slot."""
    with services.db.read() as tx:
        run = tx.get_one(Run, run_id)
        pull = tx.get_one(PullRow, (run.repo, run.pull))
    made: Made | None = None
    error, ending, key = "", RunStatus.ERRORED, ""
    try:
        with bench(services, run, pull, "plan", services.rules.now) as work:
            made = work.plan()
            key = work.keep(made)
        ending = RunStatus.PLANNED if made.summary.applyable else RunStatus.NO_CHANGES
    except StepFailed as failed:
        error = failed.said
        ending = RunStatus.CANCELLED if failed.result.ending == "cancelled" else RunStatus.ERRORED
    except Unavailable as failed:
        error = str(failed)
    finish(services, run, held, ending, error=error, made=made, plan_key=key)


@recorded
def finish(
    services: Services,
    run: Run,
    held: slots.Held,
    ending: RunStatus,
    *,
    error: str = "",
    made: Made | None = None,
    plan_key: str = "",
) -> None:
    """Record a plan's end, give the slot back, and let others go on. Raises SlotLost, with nothing written."""
    with services.db.write() as tx:
        slots.check(tx, held)
        mine = tx.get_one(Run, run.id)
        if mine.superseded:
            ending = RunStatus.SUPERSEDED
        elif mine.cancel_requested_at is not None and ending is RunStatus.ERRORED:
            ending = RunStatus.CANCELLED
        mine.error = error
        if made is not None:
            describe(mine, made, plan_key)
            _carry(tx, mine)
        runs.step(tx, mine, ending, services.clock.now())
        _audit_end(services, tx, mine, ending)
        slots.free(tx, held)
        if ending in locks.GIVES_WAY:
            give_up(services, tx, mine.project, mine.pull)
        tx.flush()
        admit_runs(services, tx)
        report_soon(services, tx, mine.pull_key)


def describe(run: Run, made: Made, plan_key: str) -> None:
    """Put a plan's outcome on its run."""
    run.summary, run.fingerprint = kept_summary(made.summary), made.fingerprint
    run.seal, run.plan_key, run.diff = asdict(made.seal), plan_key, made.changes


def _carry(tx: Session, run: Run) -> None:
    """Whether the approvals of the plan before carry over to this one; its comment says so either way."""
    every = runs.of_pull(tx, run.pull_key, Goal.PLAN, run.project)
    before = [each for each in every if each.fingerprint and each.seq < run.seq]
    # the one that this was compared with: it may have given way before it was shown, and pass on what it carries
    compared = [each for each in before if each.id == run.carries]
    seen = compared or [each for each in before if each.shown_at is not None]
    if not seen:
        run.carries = None
        return
    previous = seen[-1]
    then, now = (tx.get_one(Operation, each.operation).base_branch for each in (previous, run))
    verdict = carries_over(
        previous.fingerprint,
        run.fingerprint,
        own_diff_unchanged=run.carries == previous.id,
        same_base_branch=then == now,
        same_state=not elsewhere(against(previous), against(run)),
    )
    run.carries = previous.id if verdict.yes else None
    run.carry_note = verdict.reason


def _audit_end(services: Services, tx: Session, run: Run, ending: RunStatus) -> None:
    if ending is RunStatus.SUPERSEDED or ending is RunStatus.CANCELLED:
        action = "run.superseded" if ending is RunStatus.SUPERSEDED else "run.cancelled"
        services.audit.append(tx, action, actor=PRBOT, project=run.project, pull=run.pull, run=run.id)
        return
    seal = run.seal or {}
    services.audit.append(
        tx,
        "plan.finished",
        actor=PRBOT,
        project=run.project,
        pull=run.pull,
        run=run.id,
        head=run.head_sha,
        base=run.base_sha,
        outcome="failed" if ending is RunStatus.ERRORED else "ok",
        resources=[address for address, _ in (run.summary or {}).get("resources", ())],
        facts={
            "result": ending.value,
            "fingerprint": run.fingerprint,
            "input_digest": run.input_digest,
            "plan_file_digest": seal.get("plan_file_digest", ""),
            "tree": run.tree,
            "commit": run.commit,
            "rules_digest": seal.get("rules_digest", ""),
            "engine": seal.get("engine_version", ""),
            "speculative": run.speculative,
            "carries": run.carries or "",
            "lineage": (seal.get("state") or {}).get("lineage") or "",
            "serial": (seal.get("state") or {}).get("serial") or 0,
        },
    )
