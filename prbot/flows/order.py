"""The order of a merge's applies: who waits for whom, from our own tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, select

from prbot.core import dependencies, locks
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.marks import marked
from prbot.core.runs import DONE, Goal, RunStatus
from prbot.flows.locks import holders
from prbot.store.tables import Run


def why_they_wait(tx: Session, members: Sequence[Run]) -> dict[str, str]:
    """Why each of these applies may not be planned yet, by run, as a sentence for people; empty when it may."""
    waiting: dict[PullKey, dict[ProjectKey, tuple[ProjectKey, ...]]] = {}
    first = holders(tx, {run.repo for run in members})
    found = {}
    for run in members:
        if run.pull_key not in waiting:
            waiting[run.pull_key] = dependencies.waiting(*_graph(tx, run.pull_key))
        found[run.id] = _it_reads(waiting[run.pull_key][run.project]) or _comes_later(run, first.get(run.project))
    return found


def _comes_later(run: Run, first: locks.Claim | None) -> str:
    if first is None or first.pull == run.pull:
        return ""
    return f"#{first.pull} was merged before and comes first."


def _it_reads(before: Sequence[ProjectKey]) -> str:
    if not before:
        return ""
    named = ", ".join(marked(each.label) for each in before)
    they, are, them = ("these", "are", "them") if len(before) > 1 else ("that", "is", "it")
    return (
        f"It reads {named} of the same merge. It is planned anew once {they} {are} applied, or given up: until then "
        f"nobody can say what it does with what comes out of {them}."
    )


def read_too_early(tx: Session, pull: PullKey, members: Iterable[Run]) -> list[str]:
    """What to know of those among some runs that were applied before something that they read, as sentences."""
    early = dependencies.read_too_early(*_graph(tx, pull))
    found = []
    for run in members:
        later = early.get(run.project) if run.status in DONE else None
        if later:
            named, mine = ", ".join(marked(each.label) for each in later), marked(run.project.label)
            found.append(
                f"{mine} and {named} read each other, so that {mine} was planned before {named} was applied, and may "
                "stay on old values: it is planned with its next pull request."
            )
    return found


def _graph(tx: Session, pull: PullKey) -> tuple[dict[ProjectKey, list[ProjectKey]], dict[ProjectKey, RunStatus]]:
    """What each project of a merge reads, and how it stands."""
    query = select(Run.dir, Run.workspace, Run.comes_after, Run.status).where(
        Run.repo == pull.repo, Run.pull == pull.number, Run.goal == Goal.APPLY, Run.status != RunStatus.SUPERSEDED
    )
    reads: dict[ProjectKey, list[ProjectKey]] = {}
    status: dict[ProjectKey, RunStatus] = {}
    for directory, workspace, others, now in tx.exec(query.order_by(col(Run.seq))):
        key = ProjectKey(pull.repo, directory, workspace)
        reads[key], status[key] = [ProjectKey(pull.repo, *each) for each in others or ()], RunStatus(now)
    return reads, status
