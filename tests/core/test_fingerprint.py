"""When two plans are the same change, and that the documented format is the real one."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.comparison import volatile_paths
from prbot.core.fingerprint import bound, canonical, fingerprint, message, path_text
from prbot.core.planfile import PlanUnreadable, load_plan
from tests.core.plan_json import OBJECT, ROOT, Plan, change_of, first, golden, plan_of, provisioners, rich, typed

KEY = bytes(range(32))


def print_of(plan: Plan, *volatile: str) -> str:
    return fingerprint(canonical(plan, volatile), "k1", KEY)


# -- what changes a fingerprint ---------------------------------------------------------------------------------------
MATTERS: dict[str, Callable[[Plan], Any]] = {
    "the address": lambda p: first(p).update(address="x.z"),
    "the instance key": lambda p: first(p).update(address='module.m["a.b"].x.a[1]'),
    "the previous address": lambda p: first(p).update(previous_address="x.older"),
    "the move": lambda p: first(p).pop("previous_address"),
    "the provider": lambda p: first(p).update(provider_name="q"),
    "the mode": lambda p: first(p).update(mode="data"),
    "the order of the actions": lambda p: first(p)["change"]["actions"].reverse(),
    "the actions": lambda p: first(p)["change"].update(actions=["update"]),
    "the id of the object": lambda p: first(p)["change"]["before"].update(id="i-9"),
    "a value before": lambda p: first(p)["change"]["before"].update(size=3),
    "a value after": lambda p: first(p)["change"]["after"].update(size=3),
    "the type of a value": lambda p: first(p)["change"]["after"].update(size="2"),
    "a new attribute": lambda p: first(p)["change"]["after"].update(new=None),
    "an element of a list": lambda p: first(p)["change"]["after"].update(list=["a", "d"]),
    "the length of a list": lambda p: first(p)["change"]["after"]["list"].append(None),
    "the order of a list": lambda p: first(p)["change"]["after"]["list"].reverse(),
    "something more unknown": lambda p: first(p)["change"]["after_unknown"].update(size=True),
    "something less unknown": lambda p: first(p)["change"]["after_unknown"].pop("arn"),
    "a replace path": lambda p: first(p)["change"]["replace_paths"].pop(),
    "the import id": lambda p: p["resource_changes"][1]["change"].update(importing={"id": "i-9"}),
    "the import": lambda p: p["resource_changes"].pop(1),
    "the deposed key": lambda p: p["resource_changes"][2].update(deposed="ffff"),
    "a deposed object that is current": lambda p: p["resource_changes"][2].pop("deposed"),
    "an output's value": lambda p: p["output_changes"]["o"].update(after="z"),
    "an output's name": lambda p: p["output_changes"].update(q=p["output_changes"].pop("o")),
    "an output that is unknown": lambda p: p["output_changes"]["o"].update(after=None, after_unknown=True),
    "a provisioner's argument": lambda p: provisioners(p)[0]["expressions"]["command"].update(constant_value="rm"),
    "a provisioner's references": lambda p: provisioners(p)[1]["expressions"]["source"].update(references=["var.x"]),
    "a provisioner's type": lambda p: provisioners(p)[1].update(type="remote-exec"),
    "the order of the provisioners": lambda p: provisioners(p).reverse(),
    "a provisioner more": lambda p: provisioners(p).append({"type": "local-exec"}),
    "an action's configuration": lambda p: p["action_invocations"][0]["config_values"].update(n=2),
    "an action more": lambda p: p["action_invocations"].append({"address": "action.x.b"}),
    "incompleteness": lambda p: p.update(complete=False),
}


@pytest.mark.parametrize("what", MATTERS)
def test_a_fingerprint_changes_with(what: str) -> None:
    changed = rich()
    MATTERS[what](changed)
    assert print_of(changed) != print_of(rich())


GOLDEN_NAMES = sorted(path.stem for path in (ROOT / "tests" / "golden" / "plans").glob("*.json"))


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_every_value_that_changes_in_a_real_plan_matters(name: str) -> None:
    plan = golden(name)
    prints = {print_of(plan)}
    expected = 1
    for place, values in enumerate(changed_values(plan)):
        for key in values:
            other = copy.deepcopy(plan)
            changed_values(other)[place][key] = "something else"
            prints.add(print_of(other))
            expected += 1
    assert len(prints) == expected


def changed_values(plan: Plan) -> list[Plan]:
    """Each `before` that goes away and each `after` that comes, without what is equal on both sides."""
    entries = [entry["change"] for entry in plan["resource_changes"]] if "resource_changes" in plan else []
    sides = [entry[side] for entry in entries for side in ("before", "after") if entry["actions"] != ["no-op"]]
    return [side for side in sides if side]


@given(before=OBJECT, one=OBJECT, other=OBJECT)
def test_two_plans_from_the_same_state_are_equal_only_if_they_lead_to_the_same_values(
    before: Plan, one: Plan, other: Plan
) -> None:
    plans = [print_of(plan_of(change_of("update", before=before, after=after))) for after in (one, other)]
    assert (plans[0] == plans[1]) == (typed(one) == typed(other))


@given(st.lists(st.text(max_size=6) | st.integers(min_value=0), max_size=4), st.data())
def test_different_paths_have_different_texts(path: list[str | int], choice: st.DataObject) -> None:
    other = choice.draw(
        st.lists(st.text(max_size=6) | st.integers(min_value=0) | st.sampled_from(path or [0]), max_size=4)
    )
    assert (path_text(tuple(path)) == path_text(tuple(other))) == (path == other)


# -- what does not ----------------------------------------------------------------------------------------------------
NOISE: dict[str, Callable[[Plan], Any]] = {
    "a refreshed value that stays": lambda p: [p["resource_changes"][0]["change"][side].update(status="ok")
                                               for side in ("before", "after")],
    "a resource that stays": lambda p: p["resource_changes"].append(change_of("no-op", address="x.c", before={"a": 1})),
    "an output that stays": lambda p: p["output_changes"].update(q={"actions": ["no-op"], "before": 1, "after": 1}),
    "drift": lambda p: p.update(resource_drift=[change_of("update", before={"a": 1}, after={"a": 2})]),
    "the time": lambda p: p.update(timestamp="2030-01-01T00:00:00Z"),
    "the state": lambda p: p.update(prior_state={"values": {"root_module": {"resources": [{"address": "x.z"}]}}}),
    "why": lambda p: first(p).update(action_reason="replace_by_request"),
    "the reason of a taint": lambda p: first(p).update(action_reason="replace_because_tainted"),
    "marks of sensitivity": lambda p: first(p)["change"].update(before_sensitive={"size": True}, after_sensitive=True),
    "the engine's release": lambda p: p.update(terraform_version="9.9.9"),
    "a number written otherwise": lambda p: first(p)["change"]["after"].update(size=Decimal("2.00")),
    "the provisioner of another": lambda p: p["configuration"]["root_module"].update(resources=[
        {"mode": "managed", "type": "x", "name": "a", "provisioners": [{"type": "file"}]}]),
}  # fmt: skip


@pytest.mark.parametrize("what", NOISE)
def test_a_fingerprint_does_not_change_with(what: str) -> None:
    changed = rich()
    NOISE[what](changed)
    assert print_of(changed) == print_of(rich())


def reordered(node: Any, swap: Callable[[list[Any]], list[Any]]) -> Any:
    """The same document with the keys of every object in another order."""
    if isinstance(node, dict):
        return {key: reordered(node[key], swap) for key in swap(list(node))}
    return [reordered(child, swap) for child in node] if isinstance(node, list) else node


@given(name=st.sampled_from(GOLDEN_NAMES), random=st.randoms(use_true_random=False))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys_or_of_resources(name: str, random: Any) -> None:
    plan = golden(name)
    shuffled = reordered(plan, lambda keys: random.sample(keys, len(keys)))
    if "resource_changes" in shuffled:
        random.shuffle(shuffled["resource_changes"])
    assert print_of(shuffled) == print_of(plan)


@given(noise=OBJECT, state=OBJECT)
def test_a_fingerprint_does_not_depend_on_what_was_refreshed_elsewhere(noise: Plan, state: Plan) -> None:
    plan = rich() | {
        "resource_drift": [change_of("update", before=state, after=noise)],
        "prior_state": {"values": state},
    }
    plan["resource_changes"].append(change_of("no-op", address="x.still", before=noise, after=noise))
    assert print_of(plan) == print_of(rich())


def test_a_change_of_nothing_but_a_move_or_an_import_is_a_change() -> None:
    nothing = print_of(golden("nothing"))
    assert len({nothing, print_of(golden("move")), print_of(golden("import")), print_of(golden("forget"))}) == 4


def test_provisioners_of_what_is_only_updated_do_not_count() -> None:
    plans = []
    for command in ("echo one", "echo two"):
        plan = rich()
        first(plan)["change"] |= {"actions": ["update"], "replace_paths": []}
        provisioners(plan)[0]["expressions"]["command"]["constant_value"] = command
        plans.append(print_of(plan))
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (1, "1"), (10, "1e1"), (-7, "-7"), (2.5, "25e-1"), (Decimal("1.50"), "15e-1"),
     (12345678901234567890123, "12345678901234567890123"), (Decimal("1e400"), "1e400"), (1e3, "1e3")],
)  # fmt: skip
def test_a_number_has_one_form(value: Any, text: str) -> None:
    [entry] = canonical(plan_of(change_of("create", after={"n": value})))["entries"]
    assert entry["changes"] == [{"path": "n", "after": {"number": text}}]


def test_a_canonical_plan_survives_being_kept_as_json() -> None:
    plan = canonical(golden("create"))
    assert json.loads(json.dumps(plan)) == plan


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(PlanUnreadable, match="not Unicode"):
        print_of(load_plan(json.dumps(plan_of(change_of("create", after={"a": "\ud800"}))).encode()))


# -- the key ----------------------------------------------------------------------------------------------------------
def test_a_fingerprint_names_its_key_and_depends_on_it() -> None:
    plan = canonical(rich())
    one, other = fingerprint(plan, "k1", KEY), fingerprint(plan, "k1", bytes(32))
    assert re.fullmatch(r"k1:[0-9a-f]{64}", one)
    assert one != other


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        fingerprint(canonical(rich()), "k1", b"short")


# -- volatile paths ---------------------------------------------------------------------------------------------------
def stamped(at: str, **more: Any) -> Plan:
    after = {"triggers": {"at": at, "a.b": "x"}, "list": [{"at": at}], **more}
    return plan_of(change_of("create", address='m.x["k"]', after=after, after_unknown={"id": True}))


@pytest.mark.parametrize("globs", [("*.at",), ('m.x["k"].triggers', "*.list[0].at"), ('m.x["k"].*',), ("*",)])
def test_what_a_rule_calls_volatile_is_left_out(globs: tuple[str, ...]) -> None:
    assert print_of(stamped("one"), *globs) == print_of(stamped("two"), *globs)


@pytest.mark.parametrize("globs", [(), ('m.x["k"].triggers.at',), ("m.x[k].*",), ("*.a",), ("?.x*",), ("triggers.at",)])
def test_what_no_rule_matches_counts(globs: tuple[str, ...]) -> None:
    assert print_of(stamped("one"), *globs) != print_of(stamped("two"), *globs)


def test_what_is_left_out_as_volatile_is_named_and_bound() -> None:
    plan = canonical(stamped("one"), ["*.at", "*.id"])
    assert volatile_paths(plan) == ('m.x["k"].id', 'm.x["k"].list[0].at', 'm.x["k"].triggers.at')
    assert message(plan) != message(canonical(stamped("one"), ["*.at"]))


# -- the documentation ------------------------------------------------------------------------------------------------
def documented(info: str) -> str:
    page = (ROOT / "docs" / "seals.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{info}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, info
    return str(blocks[0])


def test_the_worked_example_in_the_docs_is_what_the_code_makes() -> None:
    plan = canonical(load_plan(documented("json plan").encode()), documented("text volatile").split())
    expected = documented("text fingerprint").strip()

    assert bound(plan) == json.loads(documented("json canonical"))
    assert hashlib.sha256(message(plan)).hexdigest() == documented("text sha256").strip()
    assert fingerprint(plan, expected.partition(":")[0], bytes.fromhex(documented("text key"))) == expected


def test_the_worked_example_can_be_checked_without_our_code() -> None:
    secret = bytes.fromhex(documented("text secret"))
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"prbot/v1/fingerprint").derive(secret)
    text = b"prbot/plan-fingerprint/v1\n" + rfc8785.dumps(json.loads(documented("json canonical")))
    key_id, mac = hashlib.sha256(secret).hexdigest()[:8], hmac.new(key, text, hashlib.sha256).hexdigest()

    assert key.hex() == documented("text key").strip()
    assert hashlib.sha256(text).hexdigest() == documented("text sha256").strip()
    assert f"{key_id}:{mac}" == documented("text fingerprint").strip()
