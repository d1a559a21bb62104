"""What becomes of an apply once its fresh plan is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prbot.core.comparison import Verdict
from prbot.core.rules import Rules


@dataclass(frozen=True, slots=True)
class ApplyDecision:
    """What is done; `reason` is a sentence for people and for the audit log."""

    action: Literal["apply", "hold", "await_approval"]
    reason: str


def decide_apply(
    verdict: Verdict,
    *,
    unreviewed: str,
    rules: Rules,
    approved: bool,
    retry: bool = False,
    state_elsewhere: bool = False,
) -> ApplyDecision:
    """Compare done, decide. `verdict` is how the fresh plan relates to the approved one (a deferred or incomplete plan
    is DIFFERENT), `approved` whether the gate of that name is met, `unreviewed` what of the code that the apply runs
    nobody reviewed here, a sentence, `retry` whether an apply of the same approved plan failed before: then a SUBSET is
    what that one left to do, `state_elsewhere` whether the state is kept elsewhere than where it was when the approved
    plan was made."""
    if not approved:
        return ApplyDecision("await_approval", "There are not enough approvals that count.")
    if state_elsewhere:
        return ApplyDecision("hold", "The approved plan was made against a state that is kept elsewhere than this one.")
    if verdict is Verdict.DIFFERENT:
        other = "The plan made after the merge does something else than what was approved."
        return ApplyDecision("hold", f"{other} {unreviewed}".strip())
    if unreviewed:
        return ApplyDecision("hold", f"The plan lies within what was approved. {unreviewed}")
    if verdict is Verdict.EQUAL:
        return ApplyDecision("apply", "The plan made after the merge is what was approved.")
    if retry:
        return ApplyDecision("apply", "What the failed apply left to do lies within what was approved.")
    if rules.subset == "apply":
        return ApplyDecision("apply", "The plan does nothing that was not approved, and the rules allow it to differ.")
    return ApplyDecision(
        "hold",
        "The plan does nothing that was not approved, but is not the same, and the rules ask for a new approval then.",
    )
