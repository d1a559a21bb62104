"""What becomes of an apply once its fresh plan is known, and which code of the base counts as reviewed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prbot.core.comparison import Verdict
from prbot.core.decision import ApplyDecision, decide_apply, decide_unmet
from prbot.core.gates import Gate, GateReport
from prbot.core.ids import ProjectKey
from prbot.core.reviewed import Merge, base_moved, other_content, unreviewed
from prbot.core.rules import Rules
from prbot.core.runs import RunStatus

NET, APP = ProjectKey("acme/infra", "net"), ProjectKey("acme/infra", "app")
SNEAKED = "The base branch changed what it reads."


# -- after the fresh plan ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("verdict", "moved", "subset", "action"),
    [
        (Verdict.EQUAL, False, "hold", "apply"),
        (Verdict.EQUAL, True, "apply", "hold"),
        (Verdict.SUBSET, False, "hold", "hold"),
        (Verdict.SUBSET, False, "apply", "apply"),
        (Verdict.SUBSET, True, "apply", "hold"),
        (Verdict.DIFFERENT, False, "apply", "hold"),
        (Verdict.DIFFERENT, True, "apply", "hold"),
    ],
)
def test_only_what_was_reviewed_is_applied(verdict: Verdict, moved: bool, subset: Any, action: str) -> None:
    rules = Rules(subset=subset)
    decision = decide_apply(verdict, unreviewed=SNEAKED if moved else "", rules=rules)
    assert decision.action == action
    assert decision.reason.endswith(".")
    assert decision.reason.endswith(SNEAKED) is moved


def test_what_a_failed_apply_left_to_do_is_retried_within_what_was_approved() -> None:
    def again(verdict: Verdict, *, moved: bool = False) -> str:
        return decide_apply(verdict, unreviewed=SNEAKED if moved else "", rules=Rules(), retry=True).action

    assert again(Verdict.SUBSET) == "apply"
    assert again(Verdict.DIFFERENT) == "hold"
    assert again(Verdict.SUBSET, moved=True) == "hold"


def test_what_is_not_approved_waits_for_that_and_what_another_requirement_keeps_no_approval_releases() -> None:
    approved = Gate("approved", False, "no approval counts, and 1 is needed", "somebody can approve")
    merged = Gate("merged", False, "its merge commit 1a2b3c4 is not on main", "bring 1a2b3c4 back to main")
    planned = Gate("planned", False, "net is being planned", "wait for it to end")
    assert decide_unmet(GateReport((planned,), {})) is None
    assert decide_unmet(GateReport((planned, approved), {})) == ApplyDecision(
        "await_approval", "It is not approved: no approval counts, and 1 is needed."
    )
    assert decide_unmet(GateReport((approved, merged), {})) == ApplyDecision(
        "refuse", "Its merge commit 1a2b3c4 is not on main. To go on: bring 1a2b3c4 back to main."
    )


# -- what was reviewed ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [*RunStatus])
def test_only_what_came_to_its_end_reviewed_anything(status: RunStatus) -> None:
    merge = Merge(4, frozenset({"1" * 40, "2" * 40}), {APP: status}, approved=True)
    found = unreviewed(["1" * 40, "2" * 40], [merge], NET)
    assert (found == ()) is (status in (RunStatus.APPLIED, RunStatus.NO_CHANGES))
    assert len(unreviewed(["1" * 40, "2" * 40], [replace(merge, approved=False)], NET)) == 2


def test_a_merge_that_had_nothing_to_apply_counts_and_a_commit_that_nothing_brought_does_not() -> None:
    docs, direct = "1" * 40, "2" * 40
    found = unreviewed([docs, direct], [Merge(4, frozenset({docs}), {}, approved=True)], NET)
    assert [each.commit for each in found] == [direct]


def test_what_was_applied_to_this_project_is_reviewed_for_it_and_not_for_others() -> None:
    merge = Merge(4, frozenset({"1" * 40}), {NET: RunStatus.APPLIED, APP: RunStatus.HELD})
    assert unreviewed(["1" * 40], [merge], NET) == ()
    assert [each.merge for each in unreviewed(["1" * 40], [merge], APP)] == [merge]
    same_commit = Merge(3, frozenset({"1" * 40}), {})
    assert unreviewed(["1" * 40], [same_commit, merge], NET) == ()


def test_the_reason_names_commits_and_whose_they_are() -> None:
    merge = Merge(4, frozenset({"2" * 40}), {APP: RunStatus.AWAITING_APPROVAL, NET: RunStatus.DISCARDED})
    found = unreviewed(["1" * 40, "2" * 40], [merge], NET)
    assert base_moved("main", found, {"1" * 40: "Bo", "2" * 40: ""}) == (
        "Since the approved plan was made, main changed what this project reads, without a review: "
        "1111111 by Bo; 2222222, of #4, which is awaiting approval and discarded."
    )
    idle = unreviewed(["3" * 40], [Merge(5, frozenset({"3" * 40}), {NET: RunStatus.NO_CHANGES})], NET)
    assert base_moved("main", idle, {}).endswith(" without a review: 3333333, of #5, which nobody had approved.")
    many = unreviewed([str(number) * 40 for number in range(1, 9)], [], NET)
    assert base_moved("main", many, {}).endswith("review: 1111111; 2222222; 3333333; 4444444; 5555555; 3 more.")
    assert other_content("main", "9" * 40, "1" * 40, "Al") == (
        "The merge 9999999 by Al holds other content than 1111111 merged into main gives, and nobody reviewed that."
    )
