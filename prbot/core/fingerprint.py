"""The canonical form of a plan, and the fingerprint over it: same change, same fingerprint. Specified in docs/seals.md.

A canonical plan holds values, sensitive ones too: it is kept encrypted and never shown.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import rfc8785

from prbot.core.planfile import (
    Change,
    Path,
    PlanUnreadable,
    ResourceChange,
    flagged,
    invocations,
    is_complete,
    leaves,
    object_at,
    objects_at,
    output_changes,
    resource_changes,
)
from prbot.core.plans import CanonicalPlan

VERSION = 1
DOMAIN = b"prbot/plan-fingerprint/v1\n"
"""What the MAC's message begins with, so that no other MAC made with the same key can pass for a fingerprint."""
KEY_BYTES = 32
TAINTED = "replace_because_tainted"

Entry = dict[str, Any]
"""One resource object or output to which something happens, in canonical form."""

EntryKey = tuple[str, str, str]
"""What tells the entries of one plan apart: mode, address, deposed key (empty for the current object)."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MODULE = re.compile(r'module\.([^.\[]+)(?:\[(?:[^"\]]*|"(?:[^"\\]|\\.)*")\])?')

_LeftOut = Callable[[str], bool]
_Provisioners = Mapping[tuple[tuple[str, ...], str, str], list[list[Entry]]]
"""Module path without instance keys, resource type and name → its provisioners, in the order in which they run."""


def canonical(plan: Mapping[str, Any], volatile: Sequence[str] = ()) -> CanonicalPlan:
    """The canonical form of a plan read by `planfile.load_plan`. JSON-able; raises PlanUnreadable.

    `volatile` are globs over `address.path`, in which `*` stands for any characters and nothing else is special. What
    a glob matches, and all below it, is left out and named in the entry's `volatile`.
    `beside` is not fingerprinted: what `prbot.core.comparison` needs besides.
    """
    left_out = _matcher(volatile)
    provisioners = _provisioners(plan)
    changes = [item for item in resource_changes(plan) if item.kind is not None]
    outputs = [(name, change) for name, change in output_changes(plan) if change.kind is not None]
    entries = [_resource(item, provisioners, left_out) for item in changes]
    entries += [_output(name, change, left_out) for name, change in outputs]
    return {
        "version": VERSION,
        "complete": is_complete(plan),
        "entries": sorted(entries, key=entry_key),
        "invocations": sorted((_invocation(item) for item in invocations(plan)), key=json.dumps),
        "beside": {
            "created": {
                item.address: _resource(_as_created(item), provisioners, left_out)
                for item in changes
                if item.reason == TAINTED and item.kind == "replace"
            },
            "sensitive": _sensitive(changes, outputs),
        },
    }


def bound(plan: CanonicalPlan) -> CanonicalPlan:
    """The part of a canonical plan that its fingerprint covers."""
    return {key: value for key, value in plan.items() if key != "beside"}


def message(plan: CanonicalPlan) -> bytes:
    """Exactly the bytes that a fingerprint is the MAC of: the domain, then RFC 8785 JSON. Raises PlanUnreadable."""
    try:
        return DOMAIN + rfc8785.dumps(bound(plan))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise PlanUnreadable("it holds text that is not Unicode") from error


def fingerprint(plan: CanonicalPlan, key_id: str, key: bytes) -> str:
    """`<key id>:<hex HMAC-SHA-256>` of a canonical plan. Two are comparable only if made with one key.

    An equal fingerprint alone approves nothing: `comparison.within` also refuses incomplete plans.
    """
    if len(key) < KEY_BYTES:
        raise ValueError(f"a fingerprint key has at least {KEY_BYTES} bytes, this one has {len(key)}")
    return f"{key_id}:{hmac.new(key, message(plan), hashlib.sha256).hexdigest()}"


def entry_key(entry: Entry) -> EntryKey:
    """The key of an entry."""
    return entry["mode"], entry["address"], entry["deposed"] or ""


def is_under(path: str, roots: Iterable[str]) -> bool:
    """Whether a path, as text, is one of `roots` or inside one. The empty path is the root of everything."""
    return any(root in ("", path) or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def path_text(path: Path) -> str:
    """A path the way Terraform writes it: `tags.owner`, `rule[0].port`, `tags["a.b"]`. Different paths differ."""
    return "".join(_step_text(step) for step in path).removeprefix(".")


def full_path(address: str, path: str) -> str:
    """`address.path`, the text that `volatile` globs are matched with."""
    return f"{address}.{path}" if path and not path.startswith("[") else address + path


# -- entries ----------------------------------------------------------------------------------------------------------
def _resource(item: ResourceChange, provisioners: _Provisioners, left_out: _LeftOut) -> Entry:
    runs_provisioners = item.mode == "managed" and not {"create", "delete"}.isdisjoint(item.change.actions)
    place = (tuple(_MODULE.findall(item.module_address)), item.type, item.name)
    return {
        "mode": item.mode,
        "address": item.address,
        "deposed": item.deposed,
        "previous_address": item.previous_address,
        "provider": item.provider,
        "provisioners": provisioners.get(place, []) if runs_provisioners else [],
        **_changed(item.address, item.change, left_out),
    }


def _output(name: str, change: Change, left_out: _LeftOut) -> Entry:
    address = f"output.{name}"
    return {
        "mode": "output",
        "address": address,
        "deposed": None,
        "previous_address": None,
        "provider": "",
        "provisioners": [],
        **_changed(address, change, left_out),
    }


def _changed(address: str, change: Change, left_out: _LeftOut) -> Entry:
    """What a change does, path by path: only where before and after differ."""
    unknown = flagged(change.after_unknown)
    before, after = _values(change.before), _values(change.after, unknown)
    differing = {path for path in before.keys() | after.keys() if before.get(path, ...) != after.get(path, ...)}
    unknown_paths = {path_text(path) for path in unknown}
    volatile = {path for path in differing | unknown_paths if left_out(full_path(address, path))}
    return {
        "actions": list(change.actions),
        "identity": _identity(change),
        "changes": [_change_at(path, before, after) for path in sorted(differing - volatile)],
        "unknown": sorted(unknown_paths - volatile),
        "replace_paths": sorted(path_text(path) for path in change.replace_paths),
        "volatile": sorted(volatile),
    }


def _change_at(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Entry:
    sides = {"before": before, "after": after}
    return {"path": path} | {side: values[path] for side, values in sides.items() if path in values}


def _values(value: Any, unknown: Sequence[Path] = ()) -> dict[str, Any]:
    """Every leaf by its path; nothing for null as a whole, nor where Terraform left a gap for something unknown."""
    roots = set(unknown)
    around = {
        path[:length] for path in unknown for length in range(len(path))
    }  # empty only for lack of what is unknown
    return {
        path_text(path): _exact(leaf)
        for path, leaf in leaves(value)
        if (path or leaf is not None)
        and not (path in around and leaf in ({}, []))
        and not any(path[:length] in roots for length in range(len(path) + 1))
    }


def _identity(change: Change) -> list[Entry]:
    """Which existing object this is about."""
    known = {
        "id": change.before.get("id") if isinstance(change.before, dict) else None,
        "identity": change.before_identity,
        "importing": change.importing,
    }
    given = {name: value for name, value in known.items() if value is not None}
    return _listed(given) if given else []


def _as_created(item: ResourceChange) -> ResourceChange:
    """A replace of a tainted object, seen as the create that it repeats."""
    change = dataclasses.replace(
        item.change, actions=("create",), before=None, before_identity=None, importing=None, replace_paths=()
    )
    return dataclasses.replace(item, change=change)


def _invocation(item: Mapping[str, Any]) -> Entry:
    facts = {key: value for key, value in item.items() if key != "config_sensitive"}
    return {"address": str(item.get("address", "")), "facts": _listed(facts)}


def _provisioners(plan: Mapping[str, Any]) -> _Provisioners:
    found: dict[tuple[tuple[str, ...], str, str], list[list[Entry]]] = {}
    waiting: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((), object_at(object_at(plan, "configuration"), "root_module"))
    ]
    while waiting:
        names, module = waiting.pop()
        for resource in objects_at(module, "resources"):
            if resource.get("mode") == "managed":
                place = (names, str(resource.get("type")), str(resource.get("name")))
                found[place] = [_listed(provisioner) for provisioner in objects_at(resource, "provisioners")]
        calls = object_at(module, "module_calls")
        waiting += [((*names, name), object_at(object_at(calls, name), "module")) for name in calls]
    return found


def _sensitive(changes: Sequence[ResourceChange], outputs: Sequence[tuple[str, Change]]) -> dict[str, list[str]]:
    """By address, the paths that the plan marks as sensitive before or after."""
    found: dict[str, set[str]] = {}
    named = [(item.address, item.change) for item in changes] + [(f"output.{name}", change) for name, change in outputs]
    for address, change in named:
        marked = flagged(change.before_sensitive) + flagged(change.after_sensitive)
        found.setdefault(address, set()).update(path_text(path) for path in marked)
    return {address: sorted(paths) for address, paths in found.items() if paths}


# -- values -----------------------------------------------------------------------------------------------------------
def _listed(value: Any) -> list[Entry]:
    """A whole JSON value, flat: path and value of each leaf, by path."""
    return [{"path": path, "value": leaf} for path, leaf in sorted(_values(value).items())]


def _exact(leaf: Any) -> Any:
    """A leaf in canonical form: a number becomes an object, which no other leaf is unless it is empty."""
    if isinstance(leaf, int | float | Decimal) and not isinstance(leaf, bool):
        return {"number": _number(leaf)}
    return leaf


def _number(value: float | Decimal) -> str:
    """A number as its digits without zeros at either end, and a power of ten unless it is 0: `25e-1`, `-7`, `1e3`."""
    sign, digits, exponent = Decimal(repr(value) if isinstance(value, float) else value).as_tuple()
    if isinstance(exponent, str):
        raise PlanUnreadable(f"it holds a number that is not finite: {value}")
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    power = exponent + len(text) - len(significant)
    if not significant:
        return "0"
    return f"{'-' * sign}{significant}" + (f"e{power}" if power else "")


def _step_text(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _IDENTIFIER.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def _matcher(globs: Sequence[str]) -> _LeftOut:
    alternatives = "|".join(".*".join(map(re.escape, glob.split("*"))) for glob in globs)
    pattern = re.compile(rf"(?:{alternatives})(?:[.\[].*)?", re.DOTALL)
    return lambda text: bool(globs) and pattern.fullmatch(text) is not None
