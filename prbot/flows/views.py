"""From rows to what comments and statuses show. Reads rows that it is given, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlmodel import Session

from prbot.core import locks
from prbot.core.comments.apply import AppliedProject, ApplyView
from prbot.core.comments.plan import Lock, PlannedProject, PlanView, provisional
from prbot.core.ids import ProjectKey
from prbot.core.projects import Orphan, left_out_note
from prbot.core.refusals import Refusal
from prbot.core.rules import Rules
from prbot.core.runs import RELEASABLE, RunStatus
from prbot.core.states import told
from prbot.core.statuses import Member
from prbot.core.unplanned import narrowing
from prbot.flows.locks import queue_of
from prbot.flows.order import read_too_early
from prbot.flows.steps import counts_of, differences_of, places_of, seal_of
from prbot.store import runs
from prbot.store.outputs import read as read_output
from prbot.store.tables import Operation, PullRow, Run

STOPPED = frozenset({RunStatus.HELD, RunStatus.AWAITING_APPROVAL, RunStatus.WAITING, RunStatus.PLANNED})


def plan_view(
    tx: Session, pull: PullRow, operation: Operation, rules: Rules, prefix: str, reviewers: Sequence[str]
) -> PlanView:
    """What the plan comment of an operation shows."""
    return PlanView(
        head_sha=operation.head_sha,
        base_branch=pull.base_branch,
        base_sha=operation.base_sha,
        projects=planned(tx, runs.of_operation(tx, operation.id)),
        refusals=tuple(Refusal(**each) for each in operation.refusals or ()),
        orphans=tuple(Orphan(**{**each, "workspaces": tuple(each["workspaces"])}) for each in operation.orphans or ()),
        reviewers=tuple(reviewers),
        notes=tuple(operation.notes or ()),
        applies_by_itself=rules.apply == "auto",
        prefix=prefix,
    )


def planned(tx: Session, members: Sequence[Run]) -> tuple[PlannedProject, ...]:
    """The projects of some runs of a repository as the plan comment shows them."""
    unfounded = [run for run in members if run.workspace != "default" and not run.var_files]
    applied = runs.applied_projects(tx, unfounded[0].repo) if unfounded else set()
    slips = {run.project for run in unfounded} - applied
    return tuple(_planned(tx, run, is_slip=run.project in slips) for run in members)


def _planned(tx: Session, run: Run, *, is_slip: bool) -> PlannedProject:
    output = ""
    if run.verbose:
        output = "\n".join(chunk.body for chunk in read_output(tx, run.id) if chunk.step == "plan")
    return PlannedProject(
        key=run.project,
        status=run.status,
        counts=counts_of(run),
        fingerprint=run.fingerprint,
        lock=lock_of(tx, run.project, run.pull),
        speculative=run.speculative,
        partial=bool(narrowing(run.extra_args or ())),
        changes=run.diff,
        error=run.error,
        output=output,
        carry_note=run.carry_note if run.status is RunStatus.PLANNED else "",
        notes=(*_notes(run), *([_slip(run.workspace)] if is_slip else [])),
        unapplied=tuple(each.pull for each in runs.unapplied(tx, run.project) if each.pull != run.pull),
    )


def _notes(run: Run) -> tuple[str, ...]:
    found = []
    narrowed = narrowing(run.extra_args or ())
    if narrowed:
        found.append(f"Made with `{' '.join(narrowed)}`, so that it cannot be applied. Plan again without that.")
    elif run.extra_args:
        found.append(f"Made with `{' '.join(run.extra_args)}`, which goes into what an approval is for.")
    if run.comes_after:
        labels = [ProjectKey(run.repo, *each).label for each in run.comes_after]
        found.append(provisional(labels, failed=run.status is RunStatus.ERRORED))
    if run.left_out:
        found.append(left_out_note(run.left_out))
    return (*found, *_state_note(run))


def _slip(space: str) -> str:
    """A workspace that nothing but a command speaks of may be a slip."""
    nothing = f"Nothing was applied in the workspace `{space}` yet, and there is no `env/{space}.tfvars`."
    return f"{nothing} If the name is a slip, a `plan` command that names nothing leaves it out again."


def _state_note(run: Run) -> tuple[str, ...]:
    places, seal = places_of(run), seal_of(run)
    return (told(places, seal.state if seal is not None else None),) if places is not None and places.differ else ()


def lock_of(tx: Session, project: ProjectKey, pull: int) -> Lock | None:
    """Who holds a project, as a pull request that claims it sees it."""
    queue = queue_of(tx, project)
    place = locks.place(queue, pull)
    if place is None:
        return None
    return Lock(None if place == 0 else queue[0].pull, place)


def apply_view(tx: Session, pull: PullRow, members: Sequence[Run], prefix: str) -> ApplyView:
    """What the apply comment of a merged pull request shows."""
    failed = runs.first_tried(tx, pull.key)
    return ApplyView(
        merge_sha=pull.merge_sha or "",
        base_branch=pull.base_branch,
        projects=tuple(_applied(run, is_retry=failed.get(run.project, run.attempt) < run.attempt) for run in members),
        notes=tuple(read_too_early(tx, pull.key, members)),
        prefix=prefix,
    )


def _applied(run: Run, *, is_retry: bool) -> AppliedProject:
    given_up = run.status in (RunStatus.DISCARDED, RunStatus.CANCELLED)
    tried = bool(run.applied_output)
    why = "" if run.status is RunStatus.PLANNED else run.error
    explains = run.status in STOPPED or run.status is RunStatus.UNKNOWN
    return AppliedProject(
        key=run.project,
        status=run.status,
        counts=counts_of(run),
        seconds=(run.ended_at - run.started_at).total_seconds() if tried and run.ended_at and run.started_at else None,
        output=run.applied_output,
        error="" if explains or tried or given_up else run.error,
        convergence=run.convergence,
        reason=" ".join(filter(None, (why, *_state_note(run)))) if explains else "",
        difference=differences_of(run) if run.status in RELEASABLE else (),
        fingerprint=run.fingerprint if run.status in STOPPED else "",
        changes=run.diff if run.status in STOPPED or given_up else "",
        is_retry=is_retry,
        ended_by=run.ended_by,
    )


def stranger_notice(head_sha: str) -> str:
    """The key of the comment that says that nothing of a head runs yet."""
    return f"stranger:{head_sha}"


# -- statuses ---------------------------------------------------------------------------------------------------------
def members_of(latest: Iterable[Run], every: Sequence[Run] = ()) -> list[Member]:
    """Runs as the statuses show them; `every` are all of the same pull request and goal."""
    tried = {run.project for run in every if run.applied_output and run.status is not RunStatus.APPLIED}
    return [Member(run.project.label, run.status, counts_of(run), run.project in tried) for run in latest]
