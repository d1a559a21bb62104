"""The life of a run: one project at one commit, from plan to apply."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. The words are those of the glossary."""

    PENDING = "pending"
    WAITING = "waiting"
    PLANNING = "planning"
    PLANNED = "planned"
    NO_CHANGES = "no_changes"
    POLICY_FAILED = "policy_failed"
    AWAITING_APPROVAL = "awaiting_approval"
    HELD = "held"
    APPLYING = "applying"
    APPLIED = "applied"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


class Goal(StrEnum):
    """What a run is to reach: a plan for review, or the apply of a merge commit (which plans afresh first)."""

    PLAN = "plan"
    APPLY = "apply"


S = RunStatus

NEXT: dict[RunStatus, frozenset[RunStatus]] = {
    S.PENDING: frozenset({S.PLANNING, S.WAITING, S.CANCELLED, S.DISCARDED, S.SUPERSEDED, S.ERRORED}),
    S.WAITING: frozenset({S.PENDING, S.CANCELLED, S.DISCARDED, S.SUPERSEDED}),
    S.PLANNING: frozenset(
        {
            S.PENDING,  # its worker died: another plans it again
            S.PLANNED,
            S.NO_CHANGES,
            S.POLICY_FAILED,
            S.AWAITING_APPROVAL,
            S.HELD,
            S.APPLYING,
            S.ERRORED,
            S.CANCELLED,
            S.DISCARDED,
            S.SUPERSEDED,
        }
    ),
    S.PLANNED: frozenset({S.PENDING, S.DISCARDED, S.SUPERSEDED}),
    S.POLICY_FAILED: frozenset({S.PENDING, S.DISCARDED, S.SUPERSEDED}),
    S.AWAITING_APPROVAL: frozenset({S.PENDING, S.DISCARDED, S.SUPERSEDED}),
    S.HELD: frozenset({S.PENDING, S.DISCARDED, S.SUPERSEDED}),
    S.APPLYING: frozenset({S.APPLIED, S.ERRORED, S.UNKNOWN, S.PENDING}),  # pending: the saved plan was stale
    S.UNKNOWN: frozenset({S.APPLIED, S.DISCARDED, S.ERRORED, S.SUPERSEDED}),
    S.NO_CHANGES: frozenset({S.SUPERSEDED}),
    S.ERRORED: frozenset({S.DISCARDED, S.SUPERSEDED}),
    S.APPLIED: frozenset(),
    S.CANCELLED: frozenset({S.SUPERSEDED, S.DISCARDED}),
    S.DISCARDED: frozenset(),
    S.SUPERSEDED: frozenset(),
}

DONE = frozenset({S.APPLIED, S.NO_CHANGES})
"""Nothing of it is left to be applied."""
LIVE = frozenset({S.PENDING, S.PLANNING, S.APPLYING})
"""A worker has it, or will have it without anybody's doing."""

QUEUED = frozenset({S.PENDING, S.WAITING})

RELEASABLE = frozenset({S.HELD, S.AWAITING_APPROVAL})
"""It waits for an approval of its own plan."""

BUSY = frozenset({S.PLANNING, S.APPLYING})
"""An engine may be running for it, so that it holds the project's slot."""

BLOCKS_PROJECT = frozenset(
    {
        S.PENDING,
        S.WAITING,
        S.PLANNING,
        S.PLANNED,
        S.AWAITING_APPROVAL,
        S.HELD,
        S.APPLYING,
        S.ERRORED,
        S.UNKNOWN,
        S.POLICY_FAILED,
        S.CANCELLED,
    }
)
"""An apply run in one of these is merged and not applied: its project keeps its lock."""


class ImpossibleTransition(Exception):
    """A bug: somebody asked for a step that a run cannot take."""


def check_transition(old: RunStatus, new: RunStatus) -> None:
    """Raise ImpossibleTransition unless a run may go from `old` to `new`."""
    if new not in NEXT[old]:
        raise ImpossibleTransition(f"a run cannot go from {old} to {new}; from {old}: {', '.join(sorted(NEXT[old]))}")
