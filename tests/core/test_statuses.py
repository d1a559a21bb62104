"""What each commit status says of each way in which a pull request can stand: a success only where all is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prbot.core.gate_facts import GateFacts, Looked
from prbot.core.gates import evaluate
from prbot.core.plans import Counts
from prbot.core.pulls import CheckRun, Status
from prbot.core.runs import RunStatus
from prbot.core.statuses import (
    MOST_STATUSES,
    Member,
    apply_status,
    gate_status,
    plan_statuses,
    worst_check,
    worst_status,
)
from prbot.core.unplanned import narrowing
from tests.core.gate_samples import READY, with_project, with_pull

S = RunStatus
URL = "https://prbot.example/7"
ONE = Counts(add=1)


def plan(status: RunStatus | None, looked: Looked | None = Looked()) -> dict[str, Status]:  # noqa: B008
    members = [] if status is None else [Member("net", status, ONE)]
    return {each.context: each for each in plan_statuses(looked, members, URL, prefix="prbot")}


PLAN_TABLE = {
    S.PENDING: ("pending", "planning 1 project", None),
    S.WAITING: ("pending", "type `prbot plan`: there is no plan of net", "pending"),
    S.PLANNING: ("pending", "planning 1 project", None),
    S.PLANNED: ("success", "1 to add", "success"),
    S.NO_CHANGES: ("success", "1 to add", "success"),
    S.POLICY_FAILED: ("failure", "1 not planned; see the comment", "failure"),
    S.AWAITING_APPROVAL: ("success", "1 to add", "success"),
    S.HELD: ("success", "1 to add", "success"),
    S.APPLYING: ("pending", "planning 1 project", None),
    S.APPLIED: ("pending", "type `prbot plan`: there is no plan of net", "pending"),
    S.ERRORED: ("failure", "1 not planned; see the comment", "failure"),
    S.CANCELLED: ("failure", "1 not planned; see the comment", "failure"),
    S.DISCARDED: ("pending", "type `prbot plan`: there is no plan of net", "pending"),
    S.SUPERSEDED: ("pending", "type `prbot plan`: there is no plan of net", "pending"),
    S.UNKNOWN: ("failure", "1 not planned; see the comment", "failure"),
}


@pytest.mark.parametrize("status", RunStatus)
def test_the_plans_statuses(status: RunStatus) -> None:
    state, description, own = PLAN_TABLE[status]
    found = plan(status)
    assert (found["prbot/plan"].state, found["prbot/plan"].description) == (state, description)
    assert (found["prbot/plan: net"].state if "prbot/plan: net" in found else None) == own
    assert plan(status, looked=None)["prbot/plan"].state != "success"
    assert plan(status, looked=Looked(refused=("db",)))["prbot/plan"].state != "success"


def test_that_nothing_is_affected_is_a_success_only_where_it_was_found() -> None:
    found = plan(None)["prbot/plan"]
    assert (found.state, found.description) == ("success", "no project is affected")
    unknown = plan(None, looked=None)["prbot/plan"]
    assert (unknown.state, unknown.description) == ("pending", "not all of it was looked at; see `prbot apply`")
    conflict = plan(None, Looked(conflict=("net/main.tf",)))["prbot/plan"]
    assert (conflict.state, conflict.description) == ("failure", "does not merge: conflicts in 1 file")
    refused = plan(None, Looked(refused=("db",)))["prbot/plan"]
    assert (refused.state, refused.description) == ("failure", "1 not planned; see the comment")


def test_the_total_counts_every_project_and_of_many_none_has_its_own() -> None:
    members = [Member(f"p{number:02}", S.PLANNED, ONE) for number in range(MOST_STATUSES + 1)]
    (total,) = plan_statuses(Looked(), members, URL, prefix="prbot")
    assert (total.state, total.description) == ("success", "21 to add")
    (named, *_) = plan_statuses(Looked(), [Member(f"p{n}" * 40, S.SUPERSEDED) for n in range(9)], URL, prefix="prbot")
    assert len(named.description) == 140


def gate(facts: GateFacts) -> tuple[str, str]:
    found = gate_status(facts, evaluate(facts), URL)
    assert (found.context, found.target_url) == ("prbot/gate", URL)
    return found.state, found.description


def test_the_gates_status() -> None:
    none = replace(READY, projects=(), reviews=())
    assert gate(READY) == ("success", "all requirements but the merge are met")
    assert gate(none) == ("success", "all requirements but the merge are met")
    assert gate(replace(none, looked=None)) == ("pending", "not met: planned, approved, unlocked; see `prbot apply`")
    assert gate(replace(READY, looked=None)) == ("pending", "not met: planned; see `prbot apply`")
    broken = ("failure", "not every directory could be planned; see the comment")
    assert gate(replace(none, looked=Looked(conflict=("net/main.tf",)))) == (
        "failure",
        "it conflicts with main; see the comment",
    )
    assert gate(replace(READY, looked=Looked(refused=("db",)))) == broken
    elsewhere = replace(with_pull(base_branch="topic"), governed=False)
    assert gate(elsewhere) == ("pending", "topic is not planned for")
    for status in RunStatus:
        green = status in (S.PLANNED, S.NO_CHANGES, S.AWAITING_APPROVAL, S.HELD)
        assert (gate(with_project(status=status))[0] == "success") is green, status


def test_what_was_not_looked_at_or_cannot_be_planned_is_told_with_the_way_on() -> None:
    def planned(facts: GateFacts) -> tuple[str, str]:
        (found,) = [each for each in evaluate(facts).gates if each.name == "planned"]
        assert not found.met
        return found.why, found.todo

    assert planned(replace(READY, looked=None)) == (
        "the whole of 2222222 was not looked at for main", "wait for its plan, or type `prbot plan`",
    )  # fmt: skip
    assert planned(replace(READY, looked=Looked(conflict=("net/main.tf",)))) == (
        "it conflicts with main, so that nothing is planned",
        "merge main into more, or rebase, and resolve the conflicts",
    )
    assert planned(replace(READY, looked=Looked(refused=("db",)))) == (
        "db cannot be planned as it is", "change it as the plan's comment says, and push",
    )  # fmt: skip
    assert planned(replace(with_pull(base_branch="topic"), governed=False)) == (
        "topic is not a branch that prbot plans for",
        "change the base to main, or have topic listed in the rules",
    )
    assert planned(with_project(narrowed=("-target=a.b",))) == (
        "net was planned with `-target=a.b`, and such a plan cannot be applied", "type `prbot plan` without arguments",
    )  # fmt: skip
    assert planned(with_project(complete=False)) == (
        "net has a plan that puts changes off until others are applied, and such a plan cannot be approved",
        "change the code so that all of it can be planned at once, and push",
    )


APPLY_TABLE = {
    S.PENDING: ("pending", "under way"),
    S.WAITING: ("pending", "waits for its turn: net"),
    S.PLANNING: ("pending", "under way"),
    S.PLANNED: ("pending", "waits for `prbot apply`: net"),
    S.NO_CHANGES: ("success", "there was nothing to apply"),
    S.POLICY_FAILED: ("failure", "not applied; see the comment: net"),
    S.AWAITING_APPROVAL: ("failure", "held until somebody approves; see the comment: net"),
    S.HELD: ("failure", "held until somebody approves; see the comment: net"),
    S.APPLYING: ("pending", "under way"),
    S.APPLIED: ("success", "applied: 1 to add"),
    S.ERRORED: ("failure", "not applied; see the comment: net"),
    S.CANCELLED: ("failure", "not applied; see the comment: net"),
    S.DISCARDED: ("failure", "discarded, so merged and never applied: net"),
    S.SUPERSEDED: ("failure", "not applied; see the comment: net"),
    S.UNKNOWN: ("failure", "not known whether it was applied; see the comment: net"),
}


@pytest.mark.parametrize("status", RunStatus)
def test_the_applys_status(status: RunStatus) -> None:
    found = apply_status([Member("net", status, ONE)], URL, prefix="prbot")
    assert (found.context, found.state, found.description) == ("prbot/apply", *APPLY_TABLE[status])
    beside = apply_status([Member("db", S.APPLIED, ONE), Member("net", status, ONE)], URL, prefix="prbot")
    assert beside.state == found.state


def test_after_an_apply_that_failed_its_new_plan_is_not_under_way() -> None:
    found = apply_status([Member("net", S.PLANNED, ONE, tried=True)], URL, prefix="prbot")
    assert (found.state, found.description) == ("failure", "the apply failed; `prbot apply` tries again: net")


@pytest.mark.parametrize(
    "args",
    [
        ("-target=a.b",), ("--target=a.b",), ("-target",), ("-replace=a.b",), ("-destroy",), ("-destroy=true",),
        ("-refresh=false",), ("-refresh=FALSE",), ("-refresh=0",), ("-refresh-only",), ("-state=x",), ("-lock=false",),
        ("-exclude=a.b",), ("-target-file=t",), ("-exclude-file=t",),
    ],
)  # fmt: skip
def test_arguments_that_leave_something_out(args: tuple[str, ...]) -> None:
    assert narrowing(("-parallelism=2", *args)) == args


def test_arguments_that_leave_nothing_out() -> None:
    assert (
        narrowing(("-parallelism=2", "-refresh=true", "-lock-timeout=3s", "-lock=true", "-var=a=b", "-compact")) == ()
    )


# -- several pull requests of one commit ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ({7: "success"}, "said by 7"),
        ({7: "success", 9: "success"}, "#7: said by 7"),
        ({7: "success", 9: "pending"}, "#9: said by 9"),
        ({7: "failure", 9: "pending"}, "#7: said by 7"),
        ({9: "failure", 7: "error", 3: "success"}, "#7: said by 7"),
    ],
)
def test_of_several_pull_requests_the_worst_shows_and_says_whose_it_is(states: dict[int, Any], shown: str) -> None:
    asked = {number: Status("prbot/gate", state, f"said by {number}") for number, state in states.items()}
    found = worst_status(asked)
    assert found.description == shown
    assert worst_status({7: Status("c", "success", "x" * 140), 8: Status("c", "success", "")}).description == (
        "#7: " + "x" * 136
    )
    conclusions: dict[Any, Any] = {"success": "success", "pending": None, "failure": "failure", "error": "cancelled"}
    checks = {number: CheckRun("c", conclusions[each], f"said by {number}", "") for number, each in states.items()}
    page = CheckRun("c", "success", "said by 7", "the page of 7")
    assert worst_check(checks, 7, page).title == shown
    assert worst_check(checks, 7, page).summary == "the page of 7"
    assert (
        worst_check(checks, 5, page).title == f"#{shown.rsplit(maxsplit=1)[-1]}: said by {shown.rsplit(maxsplit=1)[-1]}"
    )
