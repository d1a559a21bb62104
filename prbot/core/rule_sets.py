"""All rules of one reading of the rules file: which are in force for a repository, and where each comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prbot.core.credentials import Credential
from prbot.core.repo_patterns import RepoPattern
from prbot.core.rules import Rules

Key = tuple[str, ...]
"""One rule by its path: `("approvals",)`, `("who", "apply", "role")`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was said."""

    line: int
    """In the rules file, from 1."""
    match: str
    """What that entry of the file is about: its patterns, or `defaults`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the file says of some repositories: only the rules that it names."""

    patterns: tuple[RepoPattern, ...]
    match: str
    """The patterns for people, or `defaults`."""
    values: Mapping[Key, Any]
    """As JSON knows them, each one good by itself."""
    lines: Mapping[Key, int]
    """Of the same keys."""

    def fits(self, repo: str) -> bool:
        return any(pattern.fits(repo) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Effective:
    """One rule of a repository as it is in force; without an origin it is the built-in default."""

    key: str
    """Such as `approvals`, `who.apply.role`."""
    value: Any
    """As JSON knows it."""
    origin: Origin | None


class RuleSet:
    """The rules of all repositories, and the credentials, as one reading of the file gave them. Never changes."""

    def __init__(self, entries: tuple[Entry, ...] = (), credentials: Mapping[str, Credential] | None = None) -> None:
        self._entries = entries
        self.credentials: Mapping[str, Credential] = credentials or {}
        """Every credential that is defined, by name; each one that the rules use is here."""

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over the built-in defaults, the entries in order, and the credentials' definitions."""
        document = {
            "defaults": Rules().model_dump(mode="json"),
            "entries": [[[pattern.text for pattern in each.patterns], _nested(each.values)] for each in self._entries],
            "credentials": {name: each.model_dump(mode="json") for name, each in self.credentials.items()},
        }
        return "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def of(self, repo: str) -> Rules:
        """The rules of a repository: every entry that fits counts, key by key, and the last one wins."""
        merged: dict[Key, Any] = {}
        for entry in self._entries:
            if entry.fits(repo):
                merged |= entry.values
        return Rules.model_validate(_nested(merged))

    def explain(self, repo: str) -> list[Effective]:
        """Each rule of a repository, in the order of Rules' fields, and where it comes from."""
        origins: dict[Key, Origin] = {}
        for entry in self._entries:
            if entry.fits(repo):
                origins |= {key: Origin(entry.lines[key], entry.match) for key in entry.values}
        found = flat(self.of(repo).model_dump(mode="json"))
        return [Effective(".".join(key), value, origins.get(key)) for key, value in found.items()]


def flat(values: Mapping[str, Any]) -> dict[Key, Any]:
    """Nested mappings by the path to each value that is none: `{"a": {"b": 1}}` as `{("a", "b"): 1}`."""
    return dict(_leaves(values, ()))


def _leaves(values: Mapping[str, Any], above: Key) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _nested(values: Mapping[Key, Any]) -> dict[str, Any]:
    """The reverse of `flat`."""
    top: dict[str, Any] = {}
    for (*above, name), value in values.items():
        inner = top
        for each in above:
            inner = inner.setdefault(each, {})
        inner[name] = value
    return top
