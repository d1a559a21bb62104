"""What an audit entry holds, and the exact bytes that are hashed. Pure.

An entry is one JSON object, written by RFC 8785 (JCS) as UTF-8. All keys are always there; what does not apply is
null. Values are strings, integers, booleans, null, lists and objects; no floats, which no two languages print alike.
No value may be a secret: entries are shown, exported and kept for ever, so that secrets enter as digests, if at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypedDict

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from prbot.audit.vocabulary import ACTIONS, Outcome
from prbot.core.ids import ProjectKey

MAX_ENTRY_BYTES = 1 << 20
"""Some 10,000 resource addresses."""
MAX_FACTS_BYTES = 1 << 16
_MAX_DEPTH = 8
_MAX_INTEGER = 2**53 - 1
"""What every JSON reader can hold exactly; RFC 8785 allows no more."""

Name = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
CommitId = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


class EntryRefused(ValueError):
    """This may not go into the log, or is no entry of it. The message says why, and does not repeat the values."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Actor(_Part):
    """Who did it: a user of the forge, prbot itself, or an operator on the server."""

    kind: Literal["user", "prbot", "operator"]
    name: Name


PRBOT = Actor(kind="prbot", name="prbot")


def user(login: str) -> Actor:
    """A user of the forge."""
    return Actor(kind="user", name=login)


def operator(name: str) -> Actor:
    """Somebody at the server's own command line."""
    return Actor(kind="operator", name=name)


class Project(_Part):
    """A project of the entry's repository."""

    dir: str = Field(min_length=1)
    workspace: str = Field(min_length=1)


class Commits(_Part):
    """The commits that it was about, as full Git ids."""

    head: CommitId | None = None
    base: CommitId | None = None
    merge: CommitId | None = None


class About(TypedDict, total=False):
    """What an entry is about, besides its action and its actor. Empty strings and what is left out become null."""

    repo: str
    """`owner/name`; may be left out when `project` is given."""
    pull: int | None
    project: ProjectKey | None
    run: str
    head: str
    base: str
    merge: str
    outcome: Outcome
    """`ok` unless said otherwise."""
    resources: Sequence[str]
    """Addresses of the resources that are planned or changed."""
    facts: Mapping[str, Any]
    """What a reader must know, small: ids, digests, reasons, counts."""
    facts_digest: str
    """`sha256:<hex>` over the RFC 8785 form of all that was read to decide."""


class Entry(_Part):
    """One record of the audit log. Two entries with the same values have the same bytes."""

    v: Literal[1] = 1
    id: Name
    time: Time
    action: str = Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$")
    actor: Actor
    repo: Name | None
    pull: int | None = Field(ge=1)
    project: Project | None
    run: Name | None
    commits: Commits
    outcome: Outcome
    resources: list[str]
    facts: dict[str, Any]
    facts_digest: str | None = Field(pattern=r"^sha256:[0-9a-f]{64}$")

    @field_validator("time")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        datetime.fromisoformat(value)
        return value

    @field_validator("facts")
    @classmethod
    def _are_facts(cls, value: dict[str, Any]) -> dict[str, Any]:
        _check_fact(value, "facts", _MAX_DEPTH)
        return value

    @model_validator(mode="after")
    def _has_a_repo(self) -> Self:
        if self.repo is None and (self.pull is not None or self.project is not None):
            raise ValueError("a pull request and a project are of a repository")
        return self

    @classmethod
    def new(cls, id: str, time: datetime, action: str, actor: Actor, about: About) -> Entry:  # noqa: A002
        """An entry that may be written. Raises EntryRefused."""
        if action not in ACTIONS:
            raise EntryRefused(f"{action!r} is no action of the audit log; see prbot.audit.vocabulary")
        project = about.get("project")
        repo = about.get("repo") or (project.repo if project else "")
        if project is not None and project.repo != repo:
            raise EntryRefused(f"{action}: the project is of {project.repo}, the entry of {repo}")
        try:
            return cls(
                id=id,
                time=utc_milliseconds(time),
                action=action,
                actor=actor,
                repo=repo or None,
                pull=about.get("pull"),
                project=Project(dir=project.dir, workspace=project.workspace) if project else None,
                run=about.get("run") or None,
                commits=Commits(
                    head=about.get("head") or None, base=about.get("base") or None, merge=about.get("merge") or None
                ),
                outcome=about.get("outcome", "ok"),
                resources=list(about.get("resources", ())),
                facts=dict(about.get("facts", {})),
                facts_digest=about.get("facts_digest") or None,
            )
        except ValidationError as error:
            raise EntryRefused(f"{action}: {_explain(error)}") from None

    @classmethod
    def parse(cls, body: bytes) -> Entry:
        """Read an entry's bytes back. Raises EntryRefused unless they are exactly what `body()` makes of it."""
        try:
            entry = cls.model_validate_json(body)
        except ValidationError as error:
            raise EntryRefused(_explain(error)) from None
        if entry.body() != body:
            raise EntryRefused("these are not the canonical bytes")
        return entry

    def body(self) -> bytes:
        """The canonical bytes, which are the leaf of the tree. Raises EntryRefused when they are too many."""
        body = _canonical(self.model_dump(), self.action)
        if len(body) > MAX_ENTRY_BYTES:
            raise EntryRefused(f"{self.action}: {len(body):,} bytes, when {MAX_ENTRY_BYTES:,} are allowed")
        if len(body) > MAX_FACTS_BYTES and (facts := len(_canonical(self.facts, self.action))) > MAX_FACTS_BYTES:
            raise EntryRefused(f"{self.action}: facts of {facts:,} bytes, when {MAX_FACTS_BYTES:,} are allowed")
        return body

    def columns(self) -> dict[str, str | int | None]:
        """What the log can be searched by, named as the columns of the table are."""
        return {
            "id": self.id,
            "time": self.time,
            "action": self.action,
            "actor_kind": self.actor.kind,
            "actor": self.actor.name,
            "repo": self.repo,
            "pull": self.pull,
            "dir": self.project.dir if self.project else None,
            "workspace": self.project.workspace if self.project else None,
            "run": self.run,
            "outcome": self.outcome,
        }


def utc_milliseconds(moment: datetime) -> str:
    """RFC 3339 in UTC, cut to milliseconds: `2026-11-20T12:00:03.250Z`. All of one length: texts sort as times do."""
    if moment.tzinfo is None:
        raise EntryRefused("a time without a zone could be any time")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _canonical(value: Any, action: str) -> bytes:
    try:
        return rfc8785.dumps(value)
    except ValueError as error:  # a lone surrogate: text that is no Unicode
        raise EntryRefused(f"{action}: not JSON by RFC 8785: {type(error).__name__}") from None


def _check_fact(value: object, where: str, depth: int) -> None:
    """ValueError unless RFC 8785 gives the value the same bytes in every language."""
    if depth == 0:
        raise ValueError(f"{where} is nested too deeply")
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > _MAX_INTEGER:
                raise ValueError(f"{where} is too large a number: write it as text")
        case list() | tuple():
            for number, each in enumerate(value):
                _check_fact(each, f"{where}[{number}]", depth - 1)
        case dict():
            for key, each in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"{where} has a key that is not text")
                _check_fact(each, f"{where}.{key}", depth - 1)
        case _:
            raise ValueError(f"{where} is a {type(value).__name__}: use text, whole numbers, booleans, lists, objects")


def _explain(error: ValidationError) -> str:
    """Where and what, without the values."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'entry'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_input=False, include_url=False)
    )
