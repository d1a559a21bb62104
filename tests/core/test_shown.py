"""How people name a plan, and when a plan inherits the approvals of an earlier one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prbot.core.shown import NamesNone, carries_over, named_plan, short_fingerprint
from tests.core.opinions import OTHER, PLAN, PRINT_A, PRINT_B


@pytest.mark.parametrize(
    ("previous", "new", "unchanged", "same_branch", "same_state", "yes", "says"),
    [
        (PRINT_A, PRINT_A, True, True, True, True, "carry over"),
        (PRINT_A, PRINT_A, False, True, True, False, "void: the plan is equal, but a push changed what this pull"),
        (PRINT_A, PRINT_A, True, False, True, False, "void: the plan is equal, but it was made for another base"),
        (PRINT_A, PRINT_A, True, True, False, False, "void: the plan is equal, but it was made against another state"),
        (PRINT_A, PRINT_B, True, True, True, False, "void: this plan does something else"),
        (PRINT_A, "k2" + PRINT_A[2:], True, True, True, False, "void"),
        ("", "", True, True, True, False, "void"),
    ],
)
def test_approvals_carry_over_only_with_an_equal_plan_an_unchanged_diff_the_same_branch_and_state(
    previous: str, new: str, unchanged: bool, same_branch: bool, same_state: bool, yes: bool, says: str
) -> None:
    decision = carries_over(
        previous, new, own_diff_unchanged=unchanged, same_base_branch=same_branch, same_state=same_state
    )
    assert decision.yes is yes
    assert says in decision.reason


def test_a_plan_is_named_by_the_first_characters_of_its_fingerprint() -> None:
    assert named_plan("7f3a", [PLAN, OTHER]) is PLAN
    assert named_plan("7F3B", [PLAN, OTHER]) is OTHER
    assert named_plan(short_fingerprint(PRINT_B), [PLAN, OTHER]) is OTHER


def test_a_bare_approve_names_the_only_plan_that_waits() -> None:
    assert named_plan(None, [PLAN]) is PLAN
    assert named_plan(None, [PLAN, OTHER]) == NamesNone("2 plans wait for approval: say which.")
    assert named_plan(None, []) == NamesNone("No plan waits for approval here.")


@pytest.mark.parametrize("prefix", ["7f3", "", "k1:7f3a", "7f3a `@acme/everybody`", "7f3a\n"])
def test_what_is_no_start_of_a_fingerprint_names_nothing_and_is_not_repeated(prefix: str) -> None:
    named = named_plan(prefix, [PLAN])
    assert named == NamesNone("A plan is named by the first characters of its fingerprint, at least 4.")


def test_a_fingerprint_that_two_projects_share_names_neither() -> None:
    twin = replace(PLAN, run="run-of-the-twin")
    named = named_plan("7f3a", [PLAN, twin])
    assert isinstance(named, NamesNone)
    assert "names 2 plans" in named.reason


def test_a_fingerprint_of_no_waiting_plan_names_nothing() -> None:
    assert named_plan("beef", [PLAN]) == NamesNone("`beef` names no plan that waits for approval.")
