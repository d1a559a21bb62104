"""Reads `terraform show -json` of a plan: what it changes, how much, and which of its values are secret.

The format is Terraform's "JSON Output Format", major version 1 (https://developer.hashicorp.com/terraform/internals/json-format);
OpenTofu writes the same. What is read is checked: a plan of another shape raises PlanUnreadable and is never half
understood. Keys that this module does not know are skipped, as the format's compatibility promise wants it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from prbot.core.plans import ChangeKind, Counts, PlanSummary

FORMAT_MAJOR = "1"

Path = tuple[str | int, ...]
"""Where a value is inside a resource or an output: attribute names, map keys and list indexes, from the outside in."""

KINDS: Mapping[tuple[str, ...], ChangeKind | None] = {
    ("no-op",): None,
    ("create",): "create",
    ("read",): "read",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
    ("create", "forget"): "create",
    ("forget", "create"): "create",
}
"""Every list of actions that a plan may hold. Any other is refused: a change that nobody understands is not applied."""

COUNTED = {"create": "add", "update": "change", "delete": "destroy", "replace": "replace"}

MASKED_FROM = 4
"""Shorter texts are not masked: they occur everywhere, and hiding them hides nothing."""
NEVER_MASKED = frozenset({"true", "false", "null"})


class PlanUnreadable(Exception):
    """What was given is not a plan that prbot understands. `problem` says what is wrong, without values of the plan."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the plan cannot be read: {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource object or output. Values are JSON values, numbers exact (int or Decimal)."""

    actions: tuple[str, ...]
    """One of the keys of KINDS."""
    before: Any
    after: Any
    """Without what is unknown until apply: see `after_unknown`."""
    after_unknown: Any
    """Mirrors `after`: True where a value, or all below it, is known only after apply."""
    before_sensitive: Any
    after_sensitive: Any
    importing: Mapping[str, Any] | None
    before_identity: Any
    replace_paths: tuple[Path, ...]

    @property
    def kind(self) -> ChangeKind | None:
        """What the actions amount to; None for `no-op`."""
        return KINDS[self.actions]


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One entry of `resource_changes`; there may be several for one address, told apart by `deposed`."""

    address: str
    module_address: str
    """Empty for the root module."""
    mode: str
    type: str
    name: str
    provider: str
    deposed: str | None
    previous_address: str | None
    """Where a `moved` block, or an implied move, takes the object from."""
    reason: str | None
    """Terraform's `action_reason`."""
    change: Change

    @property
    def kind(self) -> ChangeKind | None:
        """What happens; a `no-op` that imports or moves is that. None when nothing happens."""
        if self.change.kind is not None:
            return self.change.kind
        if self.change.importing is not None:
            return "import"
        return "move" if self.previous_address is not None else None


def load_plan(data: bytes) -> dict[str, Any]:
    """The JSON document in `data`, every number exact: whole ones as int, all others as Decimal.

    Terraform's numbers have 512 bits; reading them as floats would let two different plans look alike. Raises
    PlanUnreadable.
    """
    try:
        plan = json.loads(data, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise PlanUnreadable("it is not JSON as the engine writes it") from error
    if not isinstance(plan, dict):
        raise PlanUnreadable("it is not a JSON object")
    return plan


def summarise(plan: Mapping[str, Any]) -> PlanSummary:
    """What a plan does, in counts, addresses and kinds: no values. Raises PlanUnreadable.

    The counts are those of the engine's own "Plan: …" line, but a replace counts in `replace` alone, and imports and
    moves count besides whatever else happens to the same resource. Changed outputs come last in `resources`, as
    `output.<name>`.
    """
    version = _check_format(plan)
    changes = resource_changes(plan)
    outputs = [name for name, change in output_changes(plan) if change.kind is not None]
    resources = [(item.address, item.kind) for item in changes if item.kind is not None]
    happening: list[tuple[str, ChangeKind]] = [*resources, *((f"output.{name}", "output") for name in outputs)]
    return PlanSummary(
        counts=_counts(changes, len(outputs)),
        applyable=_applyable(plan, bool(happening) or bool(invocations(plan))),
        complete=is_complete(plan),
        resources=tuple(happening),
        terraform_version=_text(plan, "terraform_version") or "",
        format_version=version,
        warnings=tuple(_warnings(plan)),
        remaining=_remaining(plan),
    )


def _remaining(plan: Mapping[str, Any]) -> int | None:
    """How many managed resources the planned state holds, in all modules."""
    if "planned_values" not in plan:
        return None
    found, todo = 0, [object_at(object_at(plan, "planned_values"), "root_module")]
    while todo:
        module = todo.pop()
        found += sum(each.get("mode") == "managed" for each in objects_at(module, "resources"))
        todo.extend(objects_at(module, "child_modules"))
    return found


def is_complete(plan: Mapping[str, Any]) -> bool:
    """Whether applying this plan would do all that the configuration asks for: nothing is deferred, nothing failed.

    Engines that do not say `complete` (OpenTofu) know no deferred changes.
    """
    deferred = objects_at(plan, "deferred_changes") or objects_at(plan, "deferred_action_invocations")
    return _flag(plan, "complete", default=True) and not deferred and not _flag(plan, "errored", default=False)


def resource_changes(plan: Mapping[str, Any]) -> list[ResourceChange]:
    """Every entry of `resource_changes`, in the plan's order, also those to which nothing happens."""
    return [_resource_change(item) for item in objects_at(plan, "resource_changes")]


def output_changes(plan: Mapping[str, Any]) -> list[tuple[str, Change]]:
    """Name and change of every output of the root module, also of the unchanged ones."""
    outputs = object_at(plan, "output_changes")
    return [(name, _change(object_at(outputs, name), f"output.{name}")) for name in outputs]


def invocations(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The provider actions that this plan invokes (Terraform 1.14 and later), as the plan has them."""
    return objects_at(plan, "action_invocations")


def leaves(value: Any) -> Iterator[tuple[Path, Any]]:
    """Path and value of every scalar, empty list and empty object in a JSON value, in no particular order."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict) and node:
            waiting.extend(((*path, key), child) for key, child in node.items())
        elif isinstance(node, list) and node:
            waiting.extend(((*path, index), child) for index, child in enumerate(node))
        else:
            yield path, node


def flagged(flags: Any) -> list[Path]:
    """The paths at which one of Terraform's flag trees (`after_unknown`, `before_sensitive`, …) says true."""
    return [path for path, flag in leaves(flags) if flag is True]


def sensitive_values(plan: Mapping[str, Any]) -> frozenset[str]:
    """Every text that the plan, its state or its variables mark as sensitive: what has to be masked wherever it shows.

    Strings as they are and numbers as text; not what is shorter than four characters, nor `true`, `false`, `null`.
    A variable of a nested module counts when its value is a constant, a default, or comes from one variable of the
    caller. Raises PlanUnreadable.
    """
    found: set[str] = set()
    for value, flags in _marked(plan):
        for path in flagged(flags):
            found.update(_texts(_at(value, path)))
    return frozenset(found)


# -- what goes into a summary -----------------------------------------------------------------------------------------
def _check_format(plan: Mapping[str, Any]) -> str:
    version = _text(plan, "format_version")
    if version is None:
        raise PlanUnreadable("it has no format_version")
    if version.partition(".")[0] != FORMAT_MAJOR:
        raise PlanUnreadable(f"its format_version is {version[:20]!r}; prbot reads {FORMAT_MAJOR}.x")
    if "planned_values" not in plan:
        raise PlanUnreadable("it has no planned_values: is it a state instead of a plan?")
    return version


def _counts(changes: list[ResourceChange], outputs: int) -> Counts:
    number = Counter(COUNTED[item.change.kind] for item in changes if item.change.kind in COUNTED)
    return Counts(
        **number,
        imports=sum(item.change.importing is not None for item in changes),
        move=sum(item.previous_address is not None for item in changes),
        forget=sum("forget" in item.change.actions for item in changes),
        outputs=outputs,
    )


def _applyable(plan: Mapping[str, Any], happening: bool) -> bool:
    derived = happening and not _flag(plan, "errored", default=False)
    return _flag(plan, "applyable", default=derived)


def _warnings(plan: Mapping[str, Any]) -> Iterator[str]:
    if _flag(plan, "errored", default=False):
        yield "planning failed part-way: this plan cannot be applied"
    deferred = len(objects_at(plan, "deferred_changes")) + len(objects_at(plan, "deferred_action_invocations"))
    if deferred:
        yield f"{deferred} deferred: the engine could not plan everything, so this plan never matches an approval"


# -- entries ----------------------------------------------------------------------------------------------------------
def _resource_change(item: Mapping[str, Any]) -> ResourceChange:
    address = _text(item, "address")
    if not address:
        raise PlanUnreadable("a resource change has no address")
    return ResourceChange(
        address=address,
        module_address=_text(item, "module_address") or "",
        mode=_text(item, "mode") or "managed",
        type=_text(item, "type") or "",
        name=_text(item, "name") or "",
        provider=_text(item, "provider_name") or "",
        deposed=_text(item, "deposed"),
        previous_address=_text(item, "previous_address"),
        reason=_text(item, "action_reason"),
        change=_change(object_at(item, "change"), address),
    )


def _change(item: Mapping[str, Any], where: str) -> Change:
    actions = item.get("actions")
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        raise PlanUnreadable(f"{where} has no list of actions")
    if tuple(actions) not in KINDS:
        raise PlanUnreadable(f"{where} has actions that prbot does not know: {', '.join(actions)}")
    importing = item.get("importing")
    return Change(
        actions=tuple(actions),
        before=item.get("before"),
        after=item.get("after"),
        after_unknown=item.get("after_unknown"),
        before_sensitive=item.get("before_sensitive"),
        after_sensitive=item.get("after_sensitive"),
        importing=None if importing is None else object_at(item, "importing"),
        before_identity=item.get("before_identity"),
        replace_paths=_paths(item.get("replace_paths"), where),
    )


def _paths(value: Any, where: str) -> tuple[Path, ...]:
    paths = [] if value is None else value
    if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
        raise PlanUnreadable(f"{where} has replace paths that are no lists")
    if not all(isinstance(step, str | int) for path in paths for step in path):
        raise PlanUnreadable(f"{where} has a replace path of something else than names and indexes")
    return tuple(tuple(path) for path in paths)


# -- secrets ----------------------------------------------------------------------------------------------------------
def _marked(plan: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every value in the plan that comes with a tree of sensitivity flags, and that tree."""
    deferred = [object_at(item, "resource_change") for item in objects_at(plan, "deferred_changes")]
    entries = [*objects_at(plan, "resource_changes"), *objects_at(plan, "resource_drift"), *deferred]
    changes = [object_at(entry, "change") for entry in entries]
    outputs = object_at(plan, "output_changes")
    for change in [*changes, *(object_at(outputs, name) for name in outputs)]:
        yield change.get("before"), change.get("before_sensitive")
        yield change.get("after"), change.get("after_sensitive")
    for values in (object_at(plan, "planned_values"), object_at(object_at(plan, "prior_state"), "values")):
        yield from _marked_state(values)
    for action in (*invocations(plan), *objects_at(plan, "deferred_action_invocations")):
        yield action.get("config_values"), action.get("config_sensitive")
    given = object_at(plan, "variables")
    values = {name: object_at(given, name).get("value") for name in given}
    yield from _marked_variables(object_at(object_at(plan, "configuration"), "root_module"), values)


def _marked_state(values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    outputs = object_at(values, "outputs")
    for name in outputs:
        output = object_at(outputs, name)
        yield output.get("value"), output.get("sensitive")
    modules = [object_at(values, "root_module")]
    while modules:
        module = modules.pop()
        modules.extend(objects_at(module, "child_modules"))
        for resource in objects_at(module, "resources"):
            yield resource.get("values"), resource.get("sensitive_values")


def _marked_variables(module: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The variables of a configured module and of those it calls; `values` are what this module was given."""
    waiting = [(module, values)]
    while waiting:
        module, values = waiting.pop()
        declared = object_at(module, "variables")
        for name in declared:
            variable = object_at(declared, name)
            yield values.get(name), variable.get("sensitive")
            yield variable.get("default"), variable.get("sensitive")
        calls = object_at(module, "module_calls")
        for call in (object_at(calls, name) for name in calls):
            given = {name: _resolved(expression, values) for name, expression in object_at(call, "expressions").items()}
            waiting.append((object_at(call, "module"), given))


def _resolved(expression: Any, values: Mapping[str, Any]) -> Any:
    """The value of a module argument where the plan tells it: a constant, or what one variable of the caller holds."""
    if not isinstance(expression, dict):
        return None
    references = expression.get("references")
    if isinstance(references, list) and len(references) == 1 and isinstance(references[0], str):
        return values.get(references[0].removeprefix("var."))
    return expression.get("constant_value")


def _at(value: Any, path: Path) -> Any:
    """What is at `path`; None where the flags mirror more than there is."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _texts(value: Any) -> Iterator[str]:
    for _, leaf in leaves(value):
        if isinstance(leaf, bool) or not isinstance(leaf, str | int | float | Decimal):
            continue
        text = str(leaf)
        if len(text) >= MASKED_FROM and text.lower() not in NEVER_MASKED:
            yield text


# -- checked access ---------------------------------------------------------------------------------------------------
def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def object_at(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`, empty when there is none. PlanUnreadable for anything else."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PlanUnreadable(f"{key} is not an object")
    return value


def objects_at(parent: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects under `key`, empty when there is none. PlanUnreadable for anything else."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PlanUnreadable(f"{key} is not a list of objects")
    return value


def _text(parent: Mapping[str, Any], key: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise PlanUnreadable(f"{key} is not a string")
    return value


def _flag(parent: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = parent.get(key, default)
    if not isinstance(value, bool):
        raise PlanUnreadable(f"{key} is neither true nor false")
    return value
