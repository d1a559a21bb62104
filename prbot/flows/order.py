"""The order of a merge's applies: who waits for whom, from our own tables."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session

from prbot.core import dependencies, locks
from prbot.core.ids import ProjectKey, PullKey
from prbot.core.marks import marked
from prbot.core.runs import Goal, RunStatus
from prbot.flows.locks import queue_of
from prbot.store import runs
from prbot.store.tables import Run

DONE = frozenset({RunStatus.APPLIED, RunStatus.NO_CHANGES})


def why_it_waits(tx: Session, run: Run) -> str:
    """Why an apply may not be planned yet, as a sentence for people; empty when it may."""
    first = locks.holder(queue_of(tx, run.project))
    if first is not None and first.pull != run.pull:
        return f"#{first.pull} was merged before and comes first."
    reads, status = _graph(tx, run.pull_key)
    before = dependencies.waits_for(run.project, reads, status) if run.comes_after else ()
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
    reads, status = _graph(tx, pull)
    found = []
    for run in members:
        later = dependencies.read_too_early(run.project, reads, status) if run.status in DONE else ()
        if later:
            named, mine = ", ".join(marked(each.label) for each in later), marked(run.project.label)
            found.append(
                f"{mine} and {named} read each other, so that {mine} was planned before {named} was applied, and may "
                "stay on old values: it is planned with its next pull request."
            )
    return found


def _graph(tx: Session, pull: PullKey) -> tuple[dict[ProjectKey, list[ProjectKey]], dict[ProjectKey, RunStatus]]:
    """What each project of a merge reads, and how it stands."""
    newest = runs.newest(runs.of_pull(tx, pull, Goal.APPLY))
    reads = {key: [ProjectKey(key.repo, *each) for each in run.comes_after or ()] for key, run in newest.items()}
    return reads, {key: run.status for key, run in newest.items()}
