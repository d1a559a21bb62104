"""The rules file (`PRBOT_RULES`): rules for repositories, by globs.

    defaults:
      approvals: 2
    repos:
      - match: acme/*
        locks: "off"
      - match: acme/infra
        approvals: 1

Every entry whose glob fits counts, key by key, and the last one wins. Case does not matter in repositories' names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from prbot.core.rules import Rules
from prbot.settings import WrongSettings


@dataclass(frozen=True, slots=True)
class _Entry:
    glob: str
    keys: Mapping[str, Any]


def fits(repo: str, glob: str) -> bool:
    """Whether a repository's `owner/name` fits a glob in which `*` stops at no `/`, as on the allow-list."""
    return fnmatchcase(repo.lower(), glob.lower())


class RulesFile:
    """The rules in force by repository: all defaults without a file.

    WrongSettings names the file and each wrong key.
    """

    def __init__(self, path: Path | None) -> None:
        self._entries = _entries(path) if path is not None else ()

    def __call__(self, repo: str) -> Rules:
        """The rules of a repository."""
        merged: dict[str, Any] = {}
        for entry in self._entries:
            if fits(repo, entry.glob):
                merged |= entry.keys
        return Rules.model_validate(merged)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over the defaults and every entry, in order: what `rules.loaded` puts on record."""
        document = [Rules().model_dump(mode="json"), *([entry.glob, dict(entry.keys)] for entry in self._entries)]
        return "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _entries(path: Path) -> tuple[_Entry, ...]:
    document = _read(path)
    unknown = [key for key in document if key not in ("defaults", "repos")]
    problems = [f"{path}: {key}: unknown; expected defaults, repos" for key in unknown]
    entries = [_Entry("*", _mapping(document.get("defaults"), f"{path}: defaults", problems))]
    problems += _wrong(entries[0].keys, f"{path}: defaults")
    repos = document.get("repos") or []
    if not isinstance(repos, list):
        problems.append(f"{path}: repos: expected a list")
        repos = []
    for number, each in enumerate(repos):
        place = f"{path}: repos[{number}]"
        keys = dict(_mapping(each, place, problems))
        glob = keys.pop("match", None)
        if not isinstance(glob, str) or glob.count("/") != 1:
            problems.append(f"{place}.match: expected an owner/name glob, such as acme/*")
            continue
        problems += _wrong(keys, place)
        entries.append(_Entry(glob, keys))
    if problems:
        raise WrongSettings("\n".join(problems))
    return tuple(entries)


def _read(path: Path) -> dict[Any, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"PRBOT_RULES: {path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise WrongSettings(f"PRBOT_RULES: {path}: not YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise WrongSettings(f"PRBOT_RULES: {path}: expected the keys defaults and repos")
    return document


def _mapping(value: Any, place: str, problems: list[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        problems.append(f"{place}: expected `rule: value` lines")
        return {}
    return value


def _wrong(keys: Mapping[str, Any], place: str) -> list[str]:
    try:
        Rules.model_validate(keys)
    except ValidationError as error:
        return [f"{place}.{_said(each)}" for each in error.errors()]
    return []


def _said(mistake: ErrorDetails) -> str:
    name = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        return f"{name}: there is no such rule; there are {', '.join(Rules.model_fields)}"
    return f"{name}: {mistake['msg']}"
