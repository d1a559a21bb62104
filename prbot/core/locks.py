"""Who holds a project. The holder is never stored: it is the first of the claims in order.

Merged pull requests come before open ones, in the order in which the base branch has them; open ones come in the
order in which they claimed the project. A claim ends when its pull request is applied, discarded or closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prbot.core.rules import LockMode
from prbot.core.runs import RunStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A pull request's claim on a project: one for each pair of them."""

    pull: int
    since: datetime
    merged_position: int | None = None
    """Where the merge stands among the base branch's first parents, counted from the root. None while it is open."""

    @property
    def merged(self) -> bool:
        return self.merged_position is not None


def queue(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """All claims in order, the holder's first. The order in which they are given does not matter."""
    return tuple(sorted(claims, key=_rank))


def _rank(claim: Claim) -> tuple[bool, int, datetime, int]:
    return (not claim.merged, claim.merged_position or 0, claim.since, claim.pull)


def holder(claims: Iterable[Claim]) -> Claim | None:
    """The claim that holds the project; None if nobody claims it."""
    return min(claims, key=_rank, default=None)


def blocker(claims: Iterable[Claim], pull: int) -> Claim | None:
    """Who holds the project instead of `pull`; None if `pull` does, or nobody.

    A plan of a project with a blocker is speculative, and an apply waits.
    """
    first = holder(claims)
    return None if first is None or first.pull == pull else first


def place(claims: Iterable[Claim], pull: int) -> int | None:
    """How many are before `pull`: 0 for the holder, 1 for the first that waits, None without a claim."""
    return next((number for number, claim in enumerate(queue(claims)) if claim.pull == pull), None)


def claims_project(mode: LockMode, *, merged: bool) -> bool:
    """Whether a pull request that plans (or, once `merged`, applies) a project claims it."""
    match mode:
        case "plan":
            return True
        case "apply":
            return merged
        case "off":
            return False


GIVES_WAY = frozenset({RunStatus.NO_CHANGES, RunStatus.ERRORED, RunStatus.CANCELLED, RunStatus.POLICY_FAILED})
"""A plan that ended so has nothing to apply: its pull request needs no lock, and stands in nobody's way."""

ChangeKind = Literal["taken", "passed", "waiting", "left", "freed"]


@dataclass(frozen=True, slots=True)
class LockChange:
    """What became of a project's lock, for the audit log and for notices to `pull`.

    taken: `pull` holds it, and nobody did. passed: `pull` holds it now, after `other`. waiting: `pull` is new in the
    queue, or lost the lock; `other` holds it and `place` are before `pull`. left: `pull` waits no more. freed: `pull`
    held it, and nobody does now.
    """

    kind: ChangeKind
    pull: int
    other: int | None = None
    place: int = 0


def lock_changes(before: Iterable[Claim], after: Iterable[Claim]) -> tuple[LockChange, ...]:
    """What happened between two sets of claims on one project: the holder's change first, then each pull request
    that began or ceased to wait, in the order of the queue."""
    old, new = [claim.pull for claim in queue(before)], [claim.pull for claim in queue(after)]
    changes = [_of_holder(old[0] if old else None, new[0] if new else None)]
    changes += [
        LockChange("waiting", pull, other=new[0], place=number)
        for number, pull in enumerate(new)
        if number > 0 and pull not in old[1:]
    ]
    changes += [LockChange("left", pull) for pull in old[1:] if pull not in new]
    return tuple(change for change in changes if change is not None)


def _of_holder(old: int | None, new: int | None) -> LockChange | None:
    if old == new:
        return None
    if new is None:
        return None if old is None else LockChange("freed", old)
    return LockChange("taken", new) if old is None else LockChange("passed", new, other=old)
