"""What prbot reads out of a plan: captured from Terraform 1.11.4, and in shapes that other engines and times write."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.fingerprint import canonical
from prbot.core.planfile import PlanUnreadable, load_plan, sensitive_values, summarise
from prbot.core.plans import Counts
from tests.core.plan_json import TREE, change_of, golden, plan_of


# -- counts -----------------------------------------------------------------------------------------------------------
def test_a_summary_holds_counts_addresses_and_versions_and_no_values() -> None:
    summary = summarise(golden("create"))

    assert summary.counts == Counts(add=3, outputs=2)
    assert summary.resources[0] == ("terraform_data.web", "create")
    assert (summary.terraform_version, summary.format_version) == ("1.11.4", "1.2")
    assert "horse" not in repr(summary)


def test_a_replace_counts_as_nothing_else() -> None:
    summary = summarise(plan_of(change_of("delete", "create"), change_of("create", "delete", address="x.b")))
    assert summary.counts == Counts(replace=2)


def test_an_import_and_a_move_count_besides_what_else_happens() -> None:
    moved = change_of("update", previous_address="x.old")
    imported = change_of("update", address="x.b")
    imported["change"]["importing"] = {"id": "i-1"}
    summary = summarise(plan_of(moved, imported))

    assert summary.counts == Counts(change=2, imports=1, move=1)
    assert [kind for _, kind in summary.resources] == ["update", "update"]


def test_a_create_that_forgets_the_old_object_destroys_nothing() -> None:
    assert summarise(plan_of(change_of("create", "forget"))).counts == Counts(add=1, forget=1)


def test_resources_and_outputs_that_stay_are_not_listed() -> None:
    same = {"actions": ["no-op"], "before": 1, "after": 1}
    assert summarise(plan_of(change_of("no-op"), output_changes={"o": same})).resources == ()


# -- whether there is something to do, and all of it ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("plan", "applyable"),
    [
        (plan_of(change_of("no-op")), False),
        (plan_of(change_of("no-op", previous_address="x.old")), True),
        (plan_of(change_of("read")), True),
        (plan_of(output_changes={"o": {"actions": ["update"]}}), True),
        (plan_of(action_invocations=[{"address": "action.x.a"}]), True),
        (plan_of(change_of("create"), errored=True), False),
    ],
)
def test_an_engine_that_does_not_say_applyable_is_judged_by_what_happens(plan: dict[str, Any], applyable: bool) -> None:
    assert summarise(plan).applyable is applyable


def test_the_engines_own_word_on_applyable_counts() -> None:
    assert not summarise(plan_of(change_of("create"), applyable=False)).applyable


@pytest.mark.parametrize(
    "more",
    [
        {"complete": False},
        {"complete": True, "deferred_changes": [{"reason": "provider_config_unknown", "resource_change": {}}]},
        {"deferred_action_invocations": [{"reason": "x"}]},
        {"errored": True},
    ],
)
def test_a_plan_with_something_deferred_or_failed_is_not_complete(more: dict[str, Any]) -> None:
    assert not summarise(plan_of(change_of("create"), **more)).complete


def test_what_is_deferred_is_said() -> None:
    deferred = [{"reason": "provider_config_unknown", "resource_change": change_of("create")}]
    assert summarise(plan_of(deferred_changes=deferred)).warnings[0].startswith("1 deferred")


# -- what is no plan --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e99999999999999999999}', "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
    ],
)
def test_bytes_that_are_no_plan_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(PlanUnreadable, match=problem):
        load_plan(data)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({}, "no format_version"),
        ({"format_version": 1}, "format_version is not a string"),
        ({"format_version": "2.0", "planned_values": {}}, "format_version is '2.0'"),
        ({"format_version": "1.0", "values": {}}, "a state instead of a plan"),
        (plan_of({"change": {"actions": ["create"]}}), "has no address"),
        (plan_of({"address": "x.a"}), "x.a has no list of actions"),
        (plan_of(change_of("explode")), "x.a has actions that prbot does not know: explode"),
        (plan_of(change_of()), "x.a has actions"),
        (plan_of(complete="yes"), "complete is neither true nor false"),
        ({**plan_of(), "resource_changes": {}}, "resource_changes is not a list"),
        (plan_of(output_changes=[]), "output_changes is not an object"),
    ],
)
def test_a_document_of_another_shape_is_refused_with_the_reason(plan: dict[str, Any], problem: str) -> None:
    with pytest.raises(PlanUnreadable, match=problem):
        summarise(plan)


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children: list[tuple[str | int, Any]] = list(node.items() if isinstance(node, dict) else enumerate(node))
    inner = [(*path, key) for key, _ in children]
    nested = [
        place for key, child in children if isinstance(child, dict | list) for place in places(child, (*path, key))
    ]
    return inner + nested


@given(name=st.sampled_from(["create", "replace", "read", "import"]), choice=st.data(), junk=TREE)
def test_a_plan_with_junk_anywhere_is_read_or_refused_and_nothing_else(
    name: str, choice: st.DataObject, junk: Any
) -> None:
    plan = golden(name)
    *outer, last = choice.draw(st.sampled_from(places(plan)))
    node: Any = plan
    for step in outer:
        node = node[step]
    node[last] = junk
    for read in (summarise, sensitive_values, canonical):
        with contextlib.suppress(PlanUnreadable):
            read(plan)


# -- numbers ----------------------------------------------------------------------------------------------------------
def test_numbers_are_read_exactly() -> None:
    plan = load_plan(b'{"big": 12345678901234567890123, "fine": 0.1000000000000000000000001}')
    assert plan == {"big": 12345678901234567890123, "fine": Decimal("0.1000000000000000000000001")}


# -- secrets ----------------------------------------------------------------------------------------------------------
def test_values_marked_as_sensitive_anywhere_in_a_plan_are_found() -> None:
    assert sensitive_values(golden("create")) == {"correct horse", "90210", "pepper", "correct horse pepper"}


def test_all_that_is_below_a_mark_is_secret_and_what_is_beside_it_is_not() -> None:
    change = change_of("update")
    change["change"] |= {
        "before": {"login": {"user": "alice", "codes": [1234, 12, "abcd", True]}, "open": "plain"},
        "after": {"list": ["first", "second"], "open": "plain"},
        "before_sensitive": {"login": True, "gone": {"deeper": True}},
        "after_sensitive": {"list": [False, True, True]},
    }
    assert sensitive_values(plan_of(change)) == {"alice", "1234", "abcd", "second"}


def test_short_texts_and_words_of_json_are_never_secret() -> None:
    output = {"actions": ["create"], "after": ["abc", "true", "False", "null", "", 999], "after_sensitive": True}
    assert sensitive_values(plan_of(output_changes={"o": output})) == frozenset()


def test_secrets_of_drift_of_deferred_changes_and_of_actions_are_found() -> None:
    def secret(text: str) -> dict[str, Any]:
        return {"actions": ["update"], "before": text, "before_sensitive": True}

    plan = plan_of(
        resource_drift=[{"address": "x.a", "change": secret("drifted")}],
        deferred_changes=[{"resource_change": {"address": "x.b", "change": secret("deferred")}}],
        action_invocations=[{"config_values": {"key": "invoked"}, "config_sensitive": {"key": True}}],
    )
    assert sensitive_values(plan) == {"drifted", "deferred", "invoked"}


def test_secrets_of_resources_that_stay_as_they_are_are_found_in_the_state() -> None:
    inner = {"resources": [{"values": {"token": "in a module"}, "sensitive_values": {"token": True}}]}
    state = {"outputs": {"o": {"value": "put out", "sensitive": True}}, "root_module": {"child_modules": [inner]}}
    assert sensitive_values(plan_of(prior_state={"values": state})) == {"in a module", "put out"}


def test_a_sensitive_variable_of_a_module_is_followed_to_where_its_value_comes_from() -> None:
    secret = {"sensitive": True}
    inner = {"variables": {"a": secret, "b": secret, "c": secret, "d": {"default": "by default", "sensitive": True}}}
    arguments = {
        "a": {"references": ["var.password"]},
        "b": {"constant_value": "a constant"},
        "c": {"references": ["var.one", "var.two"]},
    }
    outer = {"module_calls": {"m": {"expressions": arguments, "module": inner}}, "variables": {"password": {}}}
    plan = plan_of(variables={"password": {"value": "the password"}}, configuration={"root_module": outer})

    assert sensitive_values(plan) == {"the password", "a constant", "by default"}


@given(value=TREE)
def test_every_long_enough_string_below_a_mark_is_found(value: Any) -> None:
    output = {"actions": ["create"], "after": {"v": value}, "after_sensitive": {"v": True}}
    plan = plan_of(output_changes={"o": output})

    def strings(node: Any) -> set[str]:
        if isinstance(node, str):
            return {node} if len(node) >= 4 and node.lower() not in {"true", "false", "null"} else set()
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        return set().union(*map(strings, children))

    assert strings(value) <= sensitive_values(plan)
