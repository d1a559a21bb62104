"""What becomes of an apply once its fresh plan is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prbot.core.comparison import Verdict
from prbot.core.gates import GateReport
from prbot.core.rules import Rules


@dataclass(frozen=True, slots=True)
class ApplyDecision:
    """What is done; `reason` is a sentence for people and for the audit log."""

    action: Literal["apply", "hold", "await_approval", "refuse"]
    reason: str


def decide_unmet(report: GateReport) -> ApplyDecision | None:
    """What is done where a requirement is not met that the fresh plan does not answer; None where all are. No approval
    releases what another requirement keeps: that is refused, with what would meet it."""
    others = [gate for gate in report.unmet if gate.name not in ("planned", "approved")]
    if others:
        return ApplyDecision("refuse", "\n".join(f"{_sentence(gate.why)} To go on: {gate.todo}." for gate in others))
    lacking = next((gate for gate in report.unmet if gate.name == "approved"), None)
    return None if lacking is None else ApplyDecision("await_approval", f"It is not approved: {lacking.why}.")


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."


def decide_apply(
    verdict: Verdict, *, unreviewed: str, rules: Rules, retry: bool = False, state_elsewhere: bool = False
) -> ApplyDecision:
    """All requirements met and compare done, decide. `verdict` is how the fresh plan relates to the approved one (a
    deferred or incomplete plan is DIFFERENT), `unreviewed` what of the code that the apply runs nobody reviewed here, a
    sentence, `retry` whether an apply of the same approved plan failed before: then a SUBSET is what that one left to
    do, `state_elsewhere` whether the state is kept elsewhere than where it was when the approved plan was made."""
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
