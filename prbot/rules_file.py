"""The rules file (`PRBOT_RULES`): rules for repositories by name, glob or regex, and the credentials that they name.

    credentials:
      prod:
        apply: {files: [/etc/prbot/prod-apply.env]}
    defaults:
      approvals: 2
    repos:
      - match: acme/*
        locks: off
      - match: [acme/net, /^acme\\/infra-.*$/]
        who: {approve: {role: maintain}}
        credentials: [prod]

Every entry that fits counts, key by key, also within `who` and `limits`, and the last one wins. See docs/settings.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from prbot.core.credentials import Credential
from prbot.core.repo_patterns import RepoPattern
from prbot.core.rule_sets import Entry, RuleSet, flat
from prbot.core.rules import Rules
from prbot.rules_mistakes import did_you_mean, mistakes
from prbot.rules_yaml import NotReadable, Place, Problem, read_lines
from prbot.settings import WrongSettings

TOP = ("credentials", "defaults", "repos")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_Model = TypeVar("_Model", bound=BaseModel)


class RulesFile:
    """The rules in force: all defaults without a file. WrongSettings, with a line for each problem in the file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._now = self.read()

    def __call__(self, repo: str) -> Rules:
        """The rules of a repository."""
        return self._now.of(repo)

    @property
    def now(self) -> RuleSet:
        """All that is in force at this moment. Whoever asks more than one thing keeps it, and asks it."""
        return self._now

    @property
    def digest(self) -> str:
        """Of all that is in force; see RuleSet."""
        return self._now.digest

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """The named credentials' definitions."""
        return self._now.credentials

    def read(self) -> RuleSet:
        """What the file says now; nothing of it is in force yet. Raises WrongSettings."""
        return RuleSet() if self._path is None else _Reading(self._path).rule_set()

    def put(self, rules: RuleSet) -> None:
        """Have these in force from here on, all at once."""
        self._now = rules


class _Reading:
    """Reads one file, and gathers everything that is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._defined: tuple[str, ...] = ()
        """The names of all credentials."""
        try:
            self._found = read_lines(path)
        except NotReadable as wrong:
            raise WrongSettings(f"PRBOT_RULES: {wrong}") from None

    def rule_set(self) -> RuleSet:
        """All of it. WrongSettings names every problem, in the order of the lines."""
        top = self._mapping((), self._found.content, f"the keys {', '.join(TOP)}")
        for key in top.keys() - set(TOP):
            self._wrong((key,), f"there is no such key{did_you_mean(key, TOP)}")
        definitions = self._mapping(("credentials",), top.get("credentials"), "`name:` lines, each with its halves")
        self._defined = tuple(definitions)
        credentials = dict(self._credentials(definitions))
        defaults = self._mapping(("defaults",), top.get("defaults"), "`rule: value` lines")
        entries = [self._entry(("defaults",), (RepoPattern("*"),), defaults), *self._repos(top.get("repos"))]
        if self._found.problems:
            raise WrongSettings("\n".join(self._said(each) for each in sorted(self._found.problems, key=_line)))
        return RuleSet(tuple(entries), credentials)

    def _repos(self, listed: Any) -> Iterator[Entry]:
        if listed is not None and not isinstance(listed, list):
            self._wrong(("repos",), "expected a list, each with `match:` and rules")
            return
        for at, each in enumerate(listed or ()):
            place: Place = ("repos", at)
            keys = dict(self._mapping(place, each, "`match:` and `rule: value` lines"))
            patterns = tuple(self._patterns((*place, "match"), keys.pop("match", None)))
            yield self._entry(place, patterns, keys)

    def _patterns(self, place: Place, match: Any) -> Iterator[RepoPattern]:
        several = isinstance(match, list)
        if not match:
            self._wrong(place, "is missing; say which repositories this is about")
        for at, text in enumerate(match if several else [match] if match else ()):
            try:
                yield RepoPattern.parse(str(text))
            except ValueError as wrong:
                self._wrong((*place, at) if several else place, str(wrong))

    def _entry(self, place: Place, patterns: tuple[RepoPattern, ...], keys: Mapping[str, Any]) -> Entry:
        rules = self._model(Rules, place, keys) or Rules()
        self._check_uses(place, keys.get("credentials"))
        values = flat(rules.model_dump(mode="json", exclude_unset=True))
        match = ", ".join(pattern.text for pattern in patterns) if place[0] == "repos" else "defaults"
        return Entry(patterns, match, values, {key: self._found.line((*place, *key)) for key in values})

    def _credentials(self, definitions: Mapping[str, Any]) -> Iterator[tuple[str, Credential]]:
        for name, halves in definitions.items():
            if not _CREDENTIAL_NAME.fullmatch(name):
                self._wrong(("credentials", name), "a name has letters, digits, `.`, `_` and `-`, 64 at most")
            credential = self._model(Credential, ("credentials", name), halves)
            if credential is not None:
                yield name, credential

    def _check_uses(self, place: Place, uses: Any) -> None:
        """Each credential that an entry uses must be defined, be it well or badly. The form is the model's to judge."""
        for at, use in enumerate(uses if isinstance(uses, list) else ()):
            name = use.get("name") if isinstance(use, dict) else use
            if isinstance(name, str) and name not in self._defined:
                said = f"there is no such credential{did_you_mean(name, self._defined)}"
                self._wrong((*place, "credentials", at), said)

    def _model(self, model: type[_Model], place: Place, keys: Any) -> _Model | None:
        try:
            return model.model_validate(keys)
        except ValidationError as error:
            for where, said in mistakes(model, error):
                self._wrong((*place, *where), said)
        return None

    def _mapping(self, place: Place, value: Any, expected: str) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(place, f"expected {expected}")
            return {}
        return value

    def _wrong(self, place: Place, said: str) -> None:
        self._found.problems.append(self._found.problem(place, said))

    def _said(self, problem: Problem) -> str:
        where = f"{problem.where}: " if problem.where else ""
        return f"{self._path}:{problem.line}: {where}{problem.said}"


def _line(problem: Problem) -> int:
    return problem.line
