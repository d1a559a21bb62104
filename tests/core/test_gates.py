"""Every requirement at once, each with why it is not met and what would meet it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.approvals import ExplicitApproval
from prbot.core.comments.plan import PlannedProject, PlanView, plan_document
from prbot.core.comments.replies import gates
from prbot.core.comments.split import split
from prbot.core.gate_facts import GateFacts, ProjectFacts
from prbot.core.gates import Gate, GateName, evaluate
from prbot.core.ids import ProjectKey
from prbot.core.locks import Claim
from prbot.core.permissions import WhoMay
from prbot.core.rules import Rules
from prbot.core.runs import RunStatus
from tests.core.gate_samples import (
    APPLICABLE,
    DB,
    HELD,
    MERGED,
    NOON,
    OLD,
    PEOPLE,
    PLAN,
    PROJECT,
    PULL,
    READY,
    REVIEW,
    with_project,
    with_pull,
)


def gate(facts: GateFacts, name: GateName) -> Gate:
    (found,) = [each for each in evaluate(facts).gates if each.name == name]
    return found


def unmet(facts: GateFacts) -> list[str]:
    return [each.name for each in evaluate(facts).unmet]


# -- the whole --------------------------------------------------------------------------------------------------------
def test_with_all_but_the_merge_met_the_gate_is_open_and_the_apply_is_not() -> None:
    report = evaluate(READY)
    assert [each.name for each in report.unmet] == ["merged"]
    assert report.approve_ready
    assert not report.may_apply


def test_once_merged_it_may_be_applied() -> None:
    report = evaluate(APPLICABLE)
    assert report.unmet == ()
    assert report.may_apply


def test_all_unmet_requirements_are_named_at_once_each_with_what_to_do() -> None:
    facts = with_pull(
        with_project(replace(READY, reviews=()), status=None, plan=None, holder=Claim(5, NOON)), draft=True
    )
    report = evaluate(facts)
    assert [each.name for each in report.unmet] == ["planned", "approved", "mergeable", "unlocked", "merged"]
    assert all(each.why and each.todo for each in report.unmet)


def test_without_projects_the_gate_is_open_whatever_else_holds() -> None:
    report = evaluate(with_pull(replace(READY, projects=(), reviews=()), mergeable=False))
    assert report.approve_ready
    assert {each.why for each in report.gates if each.name != "merged"} == {"no project is affected"}


def test_what_is_met_asks_for_nothing() -> None:
    assert all(each.todo == "" for each in evaluate(APPLICABLE).gates)


# -- planned ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": None, "plan": None}, "net was never planned"),
        ({"status": RunStatus.PLANNING, "plan": None}, "net is being planned"),
        ({"status": RunStatus.WAITING, "plan": None}, "net waits for its turn"),
        ({"status": RunStatus.ERRORED}, "net could not be planned"),
        ({"status": RunStatus.CANCELLED}, "net was cancelled"),
        ({"status": RunStatus.POLICY_FAILED}, "net failed a policy"),
        ({"plan": None}, "net has no plan that was shown"),
        ({"plan": replace(PLAN, head_sha=OLD)}, "net was planned on 1111111, not on this head"),
        ({"speculative": True}, "net has only a speculative plan, made while somebody else held it"),
    ],
)
def test_a_project_without_a_good_plan_of_this_head_is_not_planned(changes: dict[str, Any], why: str) -> None:
    found = gate(with_project(**changes), "planned")
    assert (found.met, found.why) == (False, why)
    assert found.todo
    assert not evaluate(with_project(**changes)).approve_ready


@pytest.mark.parametrize("status", RunStatus)
def test_only_a_run_that_ended_with_a_plan_is_a_plan(status: RunStatus) -> None:
    good = {RunStatus.PLANNED, RunStatus.NO_CHANGES, RunStatus.AWAITING_APPROVAL, RunStatus.HELD}
    assert gate(with_project(status=status), "planned").met is (status in good)


def test_each_project_is_asked_and_the_same_advice_given_once() -> None:
    other = replace(PROJECT, project=DB, status=None)
    found = gate(replace(READY, projects=(replace(PROJECT, status=RunStatus.CANCELLED), other)), "planned")
    assert found.why == "net was cancelled; db was never planned"
    assert found.todo == "type `prbot plan`"


def test_advice_is_given_in_the_commands_own_first_word() -> None:
    facts = replace(with_project(status=None, holder=None), prefix="tf")
    assert gate(facts, "planned").todo == "type `tf plan`"
    assert gate(facts, "unlocked").todo == "type `tf plan` to claim it"


def test_a_merged_change_is_planned_afresh_so_that_its_old_plans_age_does_not_matter() -> None:
    facts = with_project(APPLICABLE, speculative=True, status=RunStatus.ERRORED)
    assert gate(facts, "planned").met


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (RunStatus.PENDING, ("net is about to be planned", "wait for it to end")),
        (RunStatus.WAITING, ("net waits for its turn", "wait for its turn")),
        (RunStatus.PLANNING, ("net is being planned", "wait for it to end")),
        (RunStatus.APPLYING, ("net is being applied", "wait for it to end")),
    ],
)
def test_a_merged_project_with_a_run_under_way_is_not_applied_again(status: RunStatus, said: tuple[str, str]) -> None:
    found = gate(with_project(APPLICABLE, status=status), "planned")
    assert (found.why, found.todo) == said


def test_a_merged_project_of_unknown_outcome_asks_a_human() -> None:
    found = gate(with_project(APPLICABLE, status=RunStatus.UNKNOWN), "planned")
    assert not found.met
    assert "not known" in found.why
    assert "maintain access" in found.todo


def test_the_run_that_applies_is_not_stopped_by_being_under_way_itself() -> None:
    assert evaluate(with_project(APPLICABLE, status=RunStatus.PLANNING)).may_apply


# -- approved ---------------------------------------------------------------------------------------------------------
def test_the_count_the_reasons_and_who_can_are_all_said() -> None:
    stranger = replace(REVIEW, id=2, user="eve")
    early = replace(REVIEW, submitted_at=NOON)
    found = gate(replace(READY, reviews=(stranger, early)), "approved")
    assert not found.met
    assert found.why == "no approval counts, and 1 is needed"
    assert found.notes == (
        "bo's approval came in the same second as the plan's comment at 2026-11-20 12:00:03Z; approve again.",
        "eve's approval does not count: eve has no write access (read).",
    )
    assert found.todo == (
        "somebody with write access, and other than al, can approve 2222222 by a review, after the plan's comment"
    )


def test_those_who_cannot_approve_are_named_once_each() -> None:
    people = replace(PEOPLE, last_pushers=frozenset({"Al", "cy"}), commit_authors=frozenset({"di"}))
    found = gate(replace(READY, people=people, reviews=()), "approved")
    assert "other than al, cy and di," in found.todo


def test_what_counted_is_said_as_well() -> None:
    assert gate(READY, "approved").notes == ("bo approved by a review at 2026-11-20 12:01:03Z: it counts.",)
    first = replace(PLAN, run="run-1", head_sha=OLD, shown_at=NOON - timedelta(hours=1))
    carried = replace(PLAN, carries="run-1")
    facts = with_project(plan=carried, earlier={"run-1": first, "run-2": carried})
    found = gate(replace(facts, reviews=(replace(REVIEW, commit_id=OLD),)), "approved")
    assert found.met
    assert found.notes == (
        "bo approved by a review at 2026-11-20 12:01:03Z: it counts, and it carries over from an earlier plan.",
    )


def test_who_can_approve_is_told_as_the_rules_have_it() -> None:
    people = replace(READY.people, approvers=WhoMay(users=("cy", "di")))
    found = gate(replace(READY, people=people), "approved")
    assert not found.met
    assert found.todo.startswith("cy or di, and other than al, can approve")
    assert found.notes == ("bo's approval does not count: the rules keep approving for cy or di.",)


def test_the_rules_say_how_many_approvals_are_needed() -> None:
    found = gate(replace(READY, rules=Rules(approvals=2)), "approved")
    assert (found.met, found.why) == (False, "1 approval counts, and 2 are needed")
    free = gate(replace(READY, rules=Rules(approvals=0), reviews=()), "approved")
    assert (free.met, free.why) == (True, "no approval is needed")


def test_every_project_needs_its_own_approvals_and_is_named_where_they_differ() -> None:
    later = replace(PLAN, run="run-3", shown_at=NOON + timedelta(hours=1))
    db = replace(PROJECT, project=DB, plan=later, earlier={})
    found = gate(replace(READY, projects=(PROJECT, db)), "approved")
    assert not found.met
    assert found.why == "net: 1 approval counts, and 1 is needed; db: no approval counts, and 1 is needed"
    assert found.notes == (
        "net: bo approved by a review at 2026-11-20 12:01:03Z: it counts.",
        "db: bo's approval came before the plan's comment at 2026-11-20 13:00:03Z; approve again.",
    )


def test_a_note_about_one_of_two_projects_names_it_even_if_nothing_is_said_of_the_other() -> None:
    db = replace(PROJECT, project=DB, plan=None, earlier={})
    found = gate(replace(READY, projects=(PROJECT, db)), "approved")
    assert found.notes == ("net: bo approved by a review at 2026-11-20 12:01:03Z: it counts.",)


def test_a_request_for_changes_is_named_with_who_made_it() -> None:
    objection = replace(REVIEW, id=2, state="CHANGES_REQUESTED", submitted_at=NOON + timedelta(seconds=70))
    found = gate(replace(READY, rules=Rules(approvals=0), reviews=(objection,)), "approved")
    assert (found.met, found.why) == (False, "no approval is needed; bo requested changes")
    assert found.todo.startswith("ask bo to review again, or have the review dismissed")


def test_a_plan_that_is_not_shown_is_waited_for() -> None:
    found = gate(with_project(plan=None), "approved")
    assert not found.met
    assert found.todo.startswith("wait until the plan is shown; somebody with write access")


def test_a_push_that_was_merged_before_it_was_planned_is_not_covered_by_approvals_of_the_head_before() -> None:
    old = replace(PLAN, head_sha=OLD)
    approved_before = replace(REVIEW, commit_id=OLD)
    for rules in (Rules(), Rules(approvals=0)):
        facts = replace(with_project(APPLICABLE, plan=old, earlier={}), reviews=(approved_before,), rules=rules)
        assert unmet(facts) == ["approved"]
        assert not evaluate(facts).may_apply
        found = gate(facts, "approved")
        assert found.why == "the plan that was shown is of 1111111, not of the head 2222222: approvals are void"
        assert found.todo == "wait until the plan is shown"


def test_a_held_plan_is_released_by_the_command_that_the_report_tells() -> None:
    facts = with_project(APPLICABLE, status=RunStatus.HELD, plan=HELD, earlier={PLAN.run: PLAN, HELD.run: HELD})
    found = gate(facts, "approved")
    assert not found.met
    assert found.todo == "somebody with write access, and other than al, can type `prbot approve beefbbbb`"
    said = ExplicitApproval("bo", False, HELD.run, HELD.fingerprint, NOON + timedelta(seconds=121), 900)
    assert evaluate(replace(facts, explicit=(said,))).may_apply


def test_a_plan_that_differs_after_the_merge_needs_an_approval_even_where_none_was_needed() -> None:
    facts = replace(with_project(APPLICABLE, status=RunStatus.HELD, plan=HELD, earlier={}), rules=Rules(approvals=0))
    assert gate(facts, "approved").why == "no approval counts, and 1 is needed"


def test_a_merged_pull_request_without_its_time_of_merging_is_not_judged() -> None:
    with pytest.raises(ValueError, match="time of merging"):
        with_pull(APPLICABLE, merged_at=None)


# -- mergeable --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "why", "todo"),
    [
        ({"mergeable": None}, "the forge is still computing whether it merges", "try again in a moment"),
        (
            {"mergeable": False},
            "it conflicts with main",
            "merge main into more, or rebase, and resolve the conflicts",
        ),
        ({"draft": True}, "it is a draft", "mark it as ready for review"),
        ({"state": "closed"}, "it is closed", "reopen it"),
    ],
)
def test_what_cannot_be_merged_says_why(changes: dict[str, Any], why: str, todo: str) -> None:
    found = gate(with_pull(**changes), "mergeable")
    assert (found.met, found.why, found.todo) == (False, why, todo)
    assert gate(replace(with_pull(**changes), rules=Rules(require_mergeable=False)), "mergeable").met


def test_being_blocked_by_branch_rules_is_not_a_conflict_since_our_own_gate_may_be_what_blocks() -> None:
    assert READY.pull.mergeable_state == "blocked"
    assert gate(READY, "mergeable").met


def test_a_merged_pull_request_is_mergeable() -> None:
    assert APPLICABLE.pull.mergeable is None
    assert gate(APPLICABLE, "mergeable").met


# -- unlocked ---------------------------------------------------------------------------------------------------------
def test_a_project_that_another_pull_request_holds_names_it_and_who_can_free_it() -> None:
    found = gate(with_project(holder=Claim(5, NOON)), "unlocked")
    assert (found.met, found.why) == (False, "net is held by #5")
    assert found.todo == (
        "wait for #5, or have its author or somebody with maintain access type `prbot unlock -d net` there"
    )


def test_a_merged_and_unapplied_pull_request_blocks_the_others_by_name() -> None:
    found = gate(with_project(holder=Claim(5, NOON, merged_position=12)), "unlocked")
    assert found.why == "net is held by #5, which is merged and not applied yet"
    assert found.todo == (
        "wait until #5 is applied, or have somebody with maintain access type `prbot unlock -d net` there"
    )


def test_who_must_hold_a_project_depends_on_the_rules_mode() -> None:
    unheld = with_project(holder=None)
    assert gate(unheld, "unlocked").why == "this pull request does not hold net"
    assert gate(replace(unheld, rules=Rules(locks="apply")), "unlocked").met
    assert gate(replace(unheld, rules=Rules(locks="off")), "unlocked").met
    merged = replace(with_project(APPLICABLE, holder=None), rules=Rules(locks="apply"))
    assert gate(merged, "unlocked").why == "net was given up by this pull request"
    blocked = replace(with_project(holder=Claim(5, NOON, 12)), rules=Rules(locks="apply"))
    assert not gate(blocked, "unlocked").met


# -- merged -----------------------------------------------------------------------------------------------------------
def test_merged_means_that_the_merge_commit_is_on_the_base() -> None:
    found = gate(replace(APPLICABLE, merge_on_base=False), "merged")
    assert (found.met, found.why) == (False, "its merge commit 9999999 is not on main")
    assert gate(APPLICABLE, "merged").why == "merged as 9999999"


def test_being_on_the_base_does_not_make_an_open_pull_request_merged() -> None:
    assert not gate(replace(READY, merge_on_base=True), "merged").met


def test_a_pull_request_closed_without_merging_is_to_be_reopened() -> None:
    assert gate(with_pull(state="closed"), "merged").todo == "reopen it, and merge it"


# -- no requirement is met by another's being met ---------------------------------------------------------------------
@given(
    approved=st.booleans(), planned=st.booleans(), mergeable=st.sampled_from([True, False, None]),
    held_by=st.sampled_from([None, 5, 7]), merged=st.booleans(), on_base=st.booleans(),
)  # fmt: skip
def test_it_may_be_applied_only_with_an_approval_the_lock_and_the_merge(
    approved: bool, planned: bool, mergeable: bool | None, held_by: int | None, merged: bool, on_base: bool
) -> None:
    facts = replace(
        with_project(
            status=RunStatus.PLANNED if planned else RunStatus.ERRORED,
            holder=None if held_by is None else Claim(held_by, NOON),
        ),
        pull=replace(MERGED if merged else PULL, mergeable=mergeable),
        merge_on_base=on_base,
        reviews=(REVIEW,) if approved else (),
    )
    report = evaluate(facts)
    assert report.may_apply is (approved and held_by == 7 and merged and on_base)
    ready = approved and held_by == 7 and (merged or (planned and mergeable is True))
    assert report.approve_ready is ready


def test_of_hundreds_of_projects_only_the_first_are_named_so_that_a_line_stays_one() -> None:
    keys = [ProjectKey("acme/infra", f"a/long/path/to/project-{number:03}") for number in range(600)]
    prints = [f"k1:{number:08x}" for number in range(600)]
    planned = [PlannedProject(key, RunStatus.PLANNED, fingerprint=each) for key, each in zip(keys, prints, strict=True)]
    *_, last = split("k", plan_document(PlanView(HELD.head_sha, "main", "b" * 40, tuple(planned))))
    assert "```" not in last
    assert "`prbot approve 00000013` and 580 more.\n" in last
    held = [
        ProjectFacts(key, status, replace(HELD, run=str(number), fingerprint=prints[number]))
        for number, key in enumerate(keys)
        for status in [RunStatus.HELD if number % 2 else RunStatus.UNKNOWN]
    ]
    [body] = split("k", gates(evaluate(replace(APPLICABLE, projects=tuple(held), reviews=())).gates))
    assert "```" not in body
    assert body.count("; 280 more | compare") == 1
    assert body.count(" and 280 more; type `prbot plan`") + body.count(" and 280 more |") == 1
