"""Compares two canonical plans: whether a fresh one lies within what was approved, and where the two part ways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from prbot.core.fingerprint import Entry, EntryKey, bound, entry_key, full_path, is_under
from prbot.core.planfile import KINDS
from prbot.core.plans import CanonicalPlan


class Verdict(StrEnum):
    """How a fresh plan stands to the approved one."""

    EQUAL = "equal"
    """It does exactly what was approved."""
    SUBSET = "subset"
    """It does something else, but nothing that was not approved: less, or with values that were unknown before."""
    DIFFERENT = "different"


def within(approved: CanonicalPlan, fresh: CanonicalPlan, *, tainted: frozenset[str] = frozenset()) -> Verdict:
    """Whether `fresh` lies within what was approved. Both come from `fingerprint.canonical`.

    An approved unknown matches any value. The replace of a tainted object counts as the approved create of it when its
    address is in `tainted`: those whose create failed half-way in an apply of the approved plan. An incomplete plan, on
    either side, is DIFFERENT. A fresh plan that does nothing at all is a SUBSET of any other.
    """
    if not (approved["complete"] and fresh["complete"]) or approved["version"] != fresh["version"]:
        return Verdict.DIFFERENT
    if bound(approved) == bound(fresh):
        return Verdict.EQUAL
    allowed = {entry_key(entry): entry for entry in approved["entries"]}
    retried = {address: entry for address, entry in fresh["beside"]["created"].items() if address in tainted}
    entries_fit = all(
        _fits(allowed.get(entry_key(entry)), entry) or _repeats(allowed.get(entry_key(entry)), entry, retried)
        for entry in fresh["entries"]
    )
    if entries_fit and _invoked(fresh) <= _invoked(approved):
        return Verdict.SUBSET
    return Verdict.DIFFERENT


@dataclass(frozen=True, slots=True)
class EntryDifference:
    """What differs for one resource object or output. For people; holds no values and nothing that is sensitive."""

    address: str
    approved: str | None
    """What was approved to happen, in words (`create`, `move and update`). None: nothing."""
    now: str | None
    """What would happen now. None: nothing."""
    paths: tuple[str, ...]
    """Where the values differ, when something happens in both plans. A sensitive value is named as a whole."""
    aspects: tuple[str, ...] = ()
    """What else differs, in words: `provider`, `provisioners`, …"""
    again: tuple[str, ...] = ()
    """`address.path` of what already differed when the plan that was approved was made: perhaps it always does."""


def difference(approved: CanonicalPlan, fresh: CanonicalPlan) -> tuple[EntryDifference, ...]:
    """Entry by entry, where two plans differ; empty for plans that do the same."""
    old = {entry_key(entry): entry for entry in approved["entries"]}
    new = {entry_key(entry): entry for entry in fresh["entries"]}
    secret = _secret_paths(approved, fresh)
    entries = [
        _difference(key, old.get(key), new.get(key), secret.get(key[1], ()))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    return (*entries, *_invocation_differences(approved, fresh))


def marked_again(
    now: Iterable[EntryDifference], before: Iterable[EntryDifference], fresh: CanonicalPlan
) -> tuple[EntryDifference, ...]:
    """The differences of now, with what differed before as well marked. `before` is how the plan that is compared with
    differed from the one that it was compared with itself. What is left out of `fresh` as volatile is settled."""
    differed = {full_path(each.address, path) for each in before for path in each.paths}
    differed -= set(volatile_paths(fresh))
    found = []
    for each in now:
        again = [path for path in each.paths if full_path(each.address, path) in differed]
        found.append(replace(each, again=tuple(_rule(each.address, path) for path in again)))
    return tuple(found)


def _rule(address: str, path: str) -> str:
    """The line of `volatile` that leaves out what `difference` shows as this path."""
    whole = path == _WHOLE and address.startswith("output.")  # a resource may have an attribute of that name
    return address if whole else full_path(address, path)


def volatile_paths(plan: CanonicalPlan) -> tuple[str, ...]:
    """`address.path` of everything that a `volatile` rule kept out of the plan's canonical form, sorted."""
    secret = _secret_paths(plan)
    return tuple(
        sorted(
            {
                full_path(entry["address"], _shown(path, secret.get(entry["address"], ())))
                for entry in plan["entries"]
                for path in entry["volatile"]
            }
        )
    )


# -- within -----------------------------------------------------------------------------------------------------------
def _fits(approved: Entry | None, fresh: Entry) -> bool:
    if approved is None:
        return False
    unknown = approved["unknown"]
    return _but_for(approved, unknown) == _but_for(fresh, unknown)


def _repeats(approved: Entry | None, fresh: Entry, retried: dict[str, Entry]) -> bool:
    created = retried.get(fresh["address"])
    return created is not None and fresh["deposed"] is None and _fits(approved, created)


def _but_for(entry: Entry, roots: Sequence[str]) -> Entry:
    """An entry without what it says about `roots` and below."""
    return entry | {
        "changes": [change for change in entry["changes"] if not is_under(change["path"], roots)],
        "unknown": [path for path in entry["unknown"] if not is_under(path, roots)],
    }


def _invoked(plan: CanonicalPlan) -> Counter[str]:
    return Counter(json.dumps(item, sort_keys=True) for item in plan["invocations"])


# -- difference -------------------------------------------------------------------------------------------------------
_VERBS = {
    ("delete", "create"): "replace",
    ("create", "delete"): "replace, creating first",
    ("create", "forget"): "create, forgetting the old object",
    ("forget", "create"): "create, forgetting the old object",
}
_WHOLE = "value"
_ASPECTS = {
    "provider": "provider",
    "previous_address": "moved from",
    "identity": "which object it is",
    "replace_paths": "what forces the replacement",
    "provisioners": "provisioners",
    "volatile": "what is left out as volatile",
}


def _difference(key: EntryKey, old: Entry | None, new: Entry | None, secret: Sequence[str]) -> EntryDifference:
    _, address, deposed = key
    label = f"{address} (deposed {deposed})" if deposed else address
    if old is None or new is None:
        return EntryDifference(label, _words(old), _words(new), ())
    paths = {_shown(path, secret) or _WHOLE for path in _differing_paths(old, new)}
    aspects = tuple(word for name, word in _ASPECTS.items() if old[name] != new[name])
    return EntryDifference(label, _words(old), _words(new), tuple(sorted(paths)), aspects)


def _differing_paths(old: Entry, new: Entry) -> set[str]:
    changes = [{change["path"]: change for change in entry["changes"]} for entry in (old, new)]
    differing = {path for path in changes[0].keys() | changes[1].keys() if changes[0].get(path) != changes[1].get(path)}
    return differing | (set(old["unknown"]) ^ set(new["unknown"]))


def _words(entry: Entry | None) -> str | None:
    if entry is None:
        return None
    moves = ["move"] if entry["previous_address"] is not None else []
    imports = ["import"] if any(is_under(fact["path"], ["importing"]) for fact in entry["identity"]) else []
    actions = tuple(entry["actions"])
    does = [] if KINDS[actions] is None else [_VERBS.get(actions, actions[0])]
    return " and ".join([*moves, *imports, *does])


def _invocation_differences(approved: CanonicalPlan, fresh: CanonicalPlan) -> Iterable[EntryDifference]:
    old, new = _invoked(approved), _invoked(fresh)
    for item in sorted((old - new).elements()):
        yield EntryDifference(json.loads(item)["address"], "invoke", None, ())
    for item in sorted((new - old).elements()):
        yield EntryDifference(json.loads(item)["address"], None, "invoke", ())


def _secret_paths(*plans: CanonicalPlan) -> dict[str, list[str]]:
    merged: dict[str, list[str]] = {}
    for plan in plans:
        for address, paths in plan["beside"]["sensitive"].items():
            merged[address] = sorted({*merged.get(address, ()), *paths})
    return merged


def _shown(path: str, secret: Iterable[str]) -> str:
    """The path, cut where a sensitive value begins: the keys of a sensitive map are secret as well."""
    return next((root for root in secret if is_under(path, [root])), path)
