"""When a plan lies within what was approved, and how people are told what differs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prbot.core.comparison import EntryDifference, Verdict, difference, marked_again, volatile_paths, within
from prbot.core.fingerprint import canonical
from prbot.core.plans import CanonicalPlan
from tests.core.plan_json import OBJECT, Plan, change_of, first, plan_of, provisioners, rich, typed


# -- within what was approved -----------------------------------------------------------------------------------------
def c(*changes: Plan, **more: Any) -> CanonicalPlan:
    return canonical(plan_of(*changes, **more))


ONE = change_of("create", address="x.one", after={"size": 1}, after_unknown={"id": True})
TWO = change_of(
    "update", address="x.two", before={"id": "i", "of": "old"}, after={"id": "i"}, after_unknown={"of": True}
)


def two(**more: Any) -> Plan:
    return change_of("update", address="x.two", before={"id": "i", "of": "old"}, **more)


def test_the_same_plan_is_equal() -> None:
    assert within(c(ONE, TWO), c(TWO, ONE)) is Verdict.EQUAL


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(c(ONE), id="an entry less"),
        pytest.param(c(), id="nothing left"),
        pytest.param(c(ONE, two(after={"id": "i", "of": "new"})), id="an unknown that is a string"),
        pytest.param(c(two(after={"id": "i", "of": ["a", {"b": 1}]})), id="an unknown that is a tree"),
        pytest.param(c(two(after={"id": "i", "of": {}}, after_unknown={"of": {"b": True}})), id="an unknown in part"),
    ],
)
def test_a_plan_that_does_nothing_unapproved_is_a_subset(fresh: CanonicalPlan) -> None:
    assert within(c(ONE, TWO), fresh) is Verdict.SUBSET


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(c(ONE, TWO, change_of("delete", address="x.three")), id="an entry more"),
        pytest.param(c(change_of("delete", address="x.one")), id="another action"),
        pytest.param(c(change_of("create", address="x.one", after={"size": 2}, after_unknown={"id": True})),
                     id="a value"),
        pytest.param(c(change_of("create", address="x.one", after={}, after_unknown={"id": True, "size": True})),
                     id="a value that is unknown now"),
        pytest.param(c(two(after={"id": "i", "of": "new", "more": 1})), id="a value more"),
        pytest.param(c(change_of("update", address="x.two", before={"id": "j", "of": "old"}, after={"id": "j"},
                                 after_unknown={"of": True})), id="another object"),
        pytest.param(c(change_of("delete", "create", address="x.one", before={"size": 1}, after={"size": 1},
                                 after_unknown={"id": True}, action_reason="replace_because_tainted")),
                     id="a taint that nobody vouches for"),
        pytest.param(c(output_changes={"o": {"actions": ["create"], "after": 1}}), id="an output more"),
        pytest.param(c(action_invocations=[{"address": "action.x.a"}]), id="an action more"),
    ],
)  # fmt: skip
def test_a_plan_that_does_anything_unapproved_is_different(fresh: CanonicalPlan) -> None:
    assert within(c(ONE, TWO), fresh) is Verdict.DIFFERENT


@pytest.mark.parametrize("more", [{"complete": False}, {"deferred_changes": [{"reason": "x"}]}, {"errored": True}])
def test_an_incomplete_plan_never_matches_not_even_itself(more: Plan) -> None:
    assert within(c(ONE, **more), c(ONE, **more)) is Verdict.DIFFERENT
    assert within(c(ONE, **more), c(ONE)) is Verdict.DIFFERENT
    assert within(c(ONE), c(ONE, **more)) is Verdict.DIFFERENT


def tainted(size: int, before: int = 1) -> Plan:
    return change_of(
        "delete", "create", address="x.one", before={"id": "i", "size": before}, after={"size": size},
        after_unknown={"id": True}, action_reason="replace_because_tainted",
    )  # fmt: skip


def test_a_tainted_object_may_be_made_again_exactly_as_approved() -> None:
    ours = frozenset({"x.one"})
    assert within(c(ONE, TWO), c(tainted(1)), tainted=ours) is Verdict.SUBSET
    assert within(c(ONE, TWO), c(tainted(1, before=9)), tainted=ours) is Verdict.SUBSET
    assert within(c(ONE, TWO), c(tainted(2)), tainted=ours) is Verdict.DIFFERENT
    assert within(c(ONE, TWO), c(tainted(2, before=2)), tainted=ours) is Verdict.DIFFERENT
    assert within(c(ONE, TWO), c(tainted(1)), tainted=frozenset({"x.two"})) is Verdict.DIFFERENT


def test_a_replace_that_is_no_taint_was_not_approved_as_a_create() -> None:
    replace = tainted(1)
    replace["action_reason"] = "replace_because_cannot_update"
    assert within(c(ONE), c(replace), tainted=frozenset({"x.one"})) is Verdict.DIFFERENT


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True),
    st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True),
)
def test_a_plan_of_independent_entries_is_a_subset_exactly_if_its_entries_are(one: list[str], other: list[str]) -> None:
    approved, fresh = (c(*(change_of("delete", address=f"x.{n}") for n in names)) for names in (one, other))
    assert (within(approved, fresh) is not Verdict.DIFFERENT) == (set(other) <= set(one))
    assert (within(approved, fresh) is Verdict.EQUAL) == (set(other) == set(one)) == (difference(approved, fresh) == ())


# -- the difference, for people ---------------------------------------------------------------------------------------
def test_the_difference_names_entries_paths_and_aspects() -> None:
    fresh = rich()
    first(fresh)["change"]["after"].update(size=3, list=["a", "c", "d"])
    provisioners(fresh).pop()
    fresh["resource_changes"].pop(1)
    fresh["output_changes"]["o"]["after"] = "z"
    fresh["output_changes"]["n"] = {"actions": ["create"], "after": 1}
    fresh["action_invocations"] = []

    assert difference(canonical(rich()), canonical(fresh)) == (
        EntryDifference(
            'module.m["a.b"].x.a[0]', "move and replace", "move and replace", ("list[2]", "size"), ("provisioners",)
        ),
        EntryDifference("x.b", "import", None, ()),
        EntryDifference("output.n", None, "create", ()),
        EntryDifference("output.o", "update", "update", ("value",)),
        EntryDifference("action.x.a", "invoke", None, ()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "words"),
    [(("create", "delete"), "replace, creating first"), (("create", "forget"), "create, forgetting the old object"),
     (("forget",), "forget"), (("read",), "read")],
)  # fmt: skip
def test_actions_are_told_in_words(actions: tuple[str, ...], words: str) -> None:
    [found] = difference(c(), c(change_of(*actions)))
    assert found.now == words


@given(before=OBJECT, one=OBJECT, other=OBJECT)
def test_a_difference_says_nothing_about_what_is_inside_a_sensitive_value(before: Plan, one: Plan, other: Plan) -> None:
    assume(typed(one) != typed(other))
    plans = [
        c(change_of("update", before={"s": before}, after={"s": after}, after_sensitive={"s": True}))
        for after in (one, other)
    ]
    assert difference(*plans) == (EntryDifference("x.a", "update", "update", ("s",)),)


def test_a_sensitive_path_left_out_as_volatile_is_named_as_a_whole() -> None:
    change = change_of("create", after={"s": {"hush": "x"}}, after_sensitive={"s": True})
    assert volatile_paths(canonical(plan_of(change), ["x.a.s.hush"])) == ("x.a.s",)


def test_what_differed_before_as_well_is_marked_with_the_rule_that_leaves_it_out() -> None:
    at, value, output = (
        EntryDifference("a.x", "create", "create", ("input", "tags[0]")),
        EntryDifference("a.value", "update", "update", ("value",)),
        EntryDifference("output.o", "update", "update", ("value",)),
    )
    nothing = canonical(plan_of())
    before = (EntryDifference("a.x", "create", "create", ("tags[0]", "other")), value, output)
    found = marked_again((at, value, output), before, nothing)
    assert [each.again for each in found] == [("a.x.tags[0]",), ("a.value.value",), ("output.o",)]
    assert [each.again for each in marked_again((at, value), (), nothing)] == [(), ()]


def test_what_the_rules_leave_out_by_now_is_not_marked() -> None:
    made = [change_of("create", address="x.a", after={"at": second}) for second in (1, 2)]
    [now] = difference(canonical(plan_of(made[0])), canonical(plan_of(made[1]), ("x.a.at",)))
    assert now.paths == ("at",)
    assert marked_again((now,), (now,), canonical(plan_of(made[1]), ("x.a.at",)))[0].again == ()
    assert marked_again((now,), (now,), canonical(plan_of(made[1])))[0].again == ("x.a.at",)
