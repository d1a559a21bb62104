"""What the flows work with. Built by `prbot.wiring`, the only place that knows the implementations."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prbot.audit.log import AuditLog
from prbot.core.events import ParsedDelivery
from prbot.core.ids import NewId, PullKey
from prbot.core.redact import Redactor
from prbot.core.repo_patterns import AllowList
from prbot.core.rule_sets import RuleSet
from prbot.core.rules import Rules
from prbot.ports import Clock, Credentials, Engine, Forge, Git, Jobs, PlanStore
from prbot.store.database import Database


@dataclass(frozen=True)
class Webhook:
    """How one forge's deliveries are checked and read."""

    verify: Callable[[bytes, str | None], bool]
    """(raw body, signature header) → whether one of the secrets signed it."""
    parse: Callable[[str, str, bytes], ParsedDelivery]
    """(event name, content type, raw body)."""


@dataclass(frozen=True)
class Places:
    """Directories for what can be thrown away."""

    scratch: Path
    """Data and temporary directories of engine processes, one a run."""


@dataclass(frozen=True)
class Identity:
    """How prbot is called, and where people reach it."""

    worker: str
    """This process; new at every start."""
    prefixes: tuple[str, ...]
    public_url: str
    version: str

    def run_url(self, run: str) -> str:
        """Where people can see a run; empty when nobody said how this server is reached."""
        return f"{self.public_url.rstrip('/')}/runs/{run}" if self.public_url else ""

    def pull_url(self, pull: PullKey) -> str:
        """Where people can see a pull request's runs."""
        return f"{self.public_url.rstrip('/')}/pulls/{pull.repo}/{pull.number}" if self.public_url else ""


@dataclass
class Running:
    """What this process is at: the runs that it works on, so that a cancel reaches them, and who has slots here."""

    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once the process does not wait any longer for what it is at."""
    _owners: Counter[str] = field(default_factory=Counter)
    _events: dict[str, threading.Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, run: str) -> threading.Event:
        with self._lock:
            return self._events.setdefault(run, threading.Event())

    def end(self, run: str) -> None:
        with self._lock:
            self._events.pop(run, None)

    def cancel(self, run: str) -> None:
        with self._lock:
            event = self._events.get(run)
        if event is not None:
            event.set()

    def ids(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._events)

    @contextmanager
    def owning(self, owner: str) -> Iterator[None]:
        """For the length of the block, and that is before a slot is taken until after it is free, this is here."""
        with self._lock:
            self._owners[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._owners[owner] -= 1
                self._owners += Counter()  # which forgets those that are nought

    def owners(self) -> frozenset[str]:
        """Who may have a slot in this process: a slot of its with another owner was left behind."""
        with self._lock:
            return frozenset(self._owners)


class RuleBook(Protocol):
    """The rules in force, which an operator can change while the server runs. A run, and a decision, ask once."""

    def __call__(self, repo: str) -> Rules:
        """The rules of a repository."""
        ...

    @property
    def now(self) -> RuleSet:
        """All that is in force at this moment."""
        ...

    def read(self) -> RuleSet:
        """What their source says now, good throughout; nothing of it is in force yet."""
        ...

    def put(self, rules: RuleSet) -> None:
        """Have these in force from here on, all at once."""
        ...


@dataclass(frozen=True)
class Services:
    """Everything that a flow may reach for."""

    db: Database
    forge: Forge
    git: Git
    engine: Engine
    plans: PlanStore
    jobs: Jobs
    audit: AuditLog
    clock: Clock
    new_id: NewId
    identity: Identity
    credentials: Credentials
    places: Places
    webhooks: Mapping[str, Webhook]
    rules: RuleBook
    allowed: AllowList
    """Which repositories prbot is for."""
    fingerprint_key: Callable[[str | None], tuple[str, bytes]]
    """The fingerprint key of a key id, or the present one: (id, key). KeyError for an id that is gone."""
    secrets: Callable[[], Redactor]
    """Knows every secret that prbot itself holds at this moment."""
    parallel: int
    """Engine processes at once."""
    reconcile_seconds: float
    """From one reconcile to the next."""
    running: Running = field(default_factory=Running)
