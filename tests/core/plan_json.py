"""Plans in the engine's JSON: captured ones, built ones, and generated values for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from prbot.core.planfile import load_plan

ROOT = Path(__file__).parents[2]
Plan = dict[str, Any]


def golden(name: str) -> Plan:
    return load_plan((ROOT / "tests" / "golden" / "plans" / f"{name}.json").read_bytes())


def plan_of(*changes: Plan, **more: Any) -> Plan:
    return {"format_version": "1.2", "planned_values": {}, "resource_changes": list(changes), **more}


def change_of(*actions: str, address: str = "x.a", before: Any = None, after: Any = None, **more: Any) -> Plan:
    parts = {"actions": list(actions), "before": before, "after": after}
    about: Plan = {key: more.pop(key) for key in ("deposed", "previous_address", "action_reason") if key in more}
    return {"address": address, "mode": "managed", "provider_name": "p", **about, "change": parts | more}


def rich() -> Plan:
    """A plan with something of everything that a fingerprint covers."""
    provisioner = {"type": "local-exec", "expressions": {"command": {"constant_value": "echo one"}}}
    second = {"type": "file", "expressions": {"source": {"references": ["path.module"]}}}
    resource = {"mode": "managed", "type": "x", "name": "a", "provisioners": [provisioner, second]}
    module = {"resources": [resource], "module_calls": {}}
    replace = change_of(
        "delete", "create",
        address='module.m["a.b"].x.a[0]', deposed=None, previous_address="x.old",
        before={"id": "i-1", "size": 1, "list": ["a", "b"], "arn": "arn:1"},
        after={"size": 2, "list": ["a", "c"]},
        after_unknown={"id": True, "arn": True}, replace_paths=[["size"], ["list", 1]],
    )  # fmt: skip
    replace |= {"module_address": 'module.m["a.b"]', "type": "x", "name": "a"}
    imported = change_of("no-op", address="x.b", before={"id": "i-2"}, after={"id": "i-2"}, importing={"id": "i-2"})
    return plan_of(
        replace,
        imported,
        change_of("delete", address="x.b", deposed="abcd1234", before={"id": "i-3"}),
        output_changes={"o": {"actions": ["update"], "before": "x", "after": "y"}},
        action_invocations=[{"address": "action.x.a", "config_values": {"n": 1}}],
        configuration={"root_module": {"module_calls": {"m": {"module": module}}}},
    )


def provisioners(plan: Plan) -> list[Plan]:
    module = plan["configuration"]["root_module"]["module_calls"]["m"]["module"]
    found: list[Plan] = module["resources"][0]["provisioners"]
    return found


def first(plan: Plan) -> Plan:
    found: Plan = plan["resource_changes"][0]
    return found


TREE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(st.text(max_size=4), TREE, max_size=3)


def typed(value: Any) -> Any:
    """A value that is equal to another exactly if both are the same JSON, 1 and 1.0 being the same number."""
    if isinstance(value, dict):
        return {key: typed(child) for key, child in value.items()}
    if isinstance(value, list):
        return [typed(child) for child in value]
    return (isinstance(value, bool), value)
