"""A plan as it was shown to people: how they name it, and when it inherits the approvals of an earlier one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prbot.core.runs import Goal

MIN_PREFIX = 4
"""How many characters of a fingerprint name it at least."""

_PREFIX = re.compile(rf"[0-9a-fA-F]{{{MIN_PREFIX},}}")


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan of one project, as it was shown to people."""

    run: str
    head_sha: str
    fingerprint: str
    """`<key id>:<hex>`."""
    shown_at: datetime | None
    """When the comment that shows it was complete, by the forge's clock. None: not yet."""
    carries: str | None = None
    """The run of an earlier plan whose approvals are good for this one as well; see `carries_over`."""
    goal: Goal = Goal.PLAN
    """APPLY for a plan made after the merge, in the merge commit: only an explicit approval can be for it."""
    must_be_approved: bool = False
    """An approval is needed whatever the rules say: its state is kept elsewhere than the base's, or left behind."""


def short_fingerprint(fingerprint: str) -> str:
    """The first eight characters of a fingerprint, without the key's id: what people read and type."""
    return _digest_of(fingerprint)[:8]


@dataclass(frozen=True, slots=True)
class NamesNone:
    """A `prbot approve` that names no plan, or more than one; `reason` is a sentence for people."""

    reason: str


def named_plan(prefix: str | None, waiting: Sequence[ShownPlan]) -> ShownPlan | NamesNone:
    """The plan among those that wait for approval which the first characters of a fingerprint name.

    No prefix names the only one that waits. The same change to two projects has one fingerprint: it is never taken
    to name both.
    """
    if not waiting:
        return NamesNone("No plan waits for approval here.")
    if prefix is None:
        if len(waiting) == 1:
            return waiting[0]
        return NamesNone(f"{len(waiting)} plans wait for approval: say which.")
    if not _PREFIX.fullmatch(prefix):  # and is not repeated: it may hold anything, a mention say
        return NamesNone(f"A plan is named by the first characters of its fingerprint, at least {MIN_PREFIX}.")
    matches = [plan for plan in waiting if _digest_of(plan.fingerprint).startswith(prefix.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        return NamesNone(f"`{prefix}` names {len(matches)} plans: say which.")
    return NamesNone(f"`{prefix}` names no plan that waits for approval.")


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Whether approvals of an earlier plan are good for a new one; `reason` is a sentence for the new comment."""

    yes: bool
    reason: str


def carries_over(
    previous_fingerprint: str,
    new_fingerprint: str,
    *,
    own_diff_unchanged: bool,
    same_base_branch: bool,
    same_state: bool,
) -> CarryOver:
    """Approvals carry over if the plan is the same *and* so are the pull request's own diff, over all files
    (docs/adr/0008 says how that is decided), the branch that it is for, and where the state is kept."""
    if not new_fingerprint or previous_fingerprint != new_fingerprint:
        return CarryOver(False, "Earlier approvals are void: this plan does something else than the one before.")
    if not same_base_branch:
        return CarryOver(
            False,
            "Earlier approvals are void: the plan is equal, but it was made for another base branch than the one "
            "before.",
        )
    if not same_state:
        return CarryOver(
            False,
            "Earlier approvals are void: the plan is equal, but it was made against another state than the one before.",
        )
    if not own_diff_unchanged:
        return CarryOver(
            False,
            "Earlier approvals are void: the plan is equal, but a push changed what this pull request changes, and not "
            "all that files do shows in a plan (a provisioner's script, a lifecycle rule).",
        )
    return CarryOver(True, "Earlier approvals carry over: the plan and the pull request's own changes are the same.")


def _digest_of(fingerprint: str) -> str:
    return fingerprint.rpartition(":")[2]
