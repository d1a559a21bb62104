"""The steps of a worker that outlive it, seen from outside: passed on to a trace, or the end of the process."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import event
from sqlmodel import Session

from prbot.core.pulls import Status
from prbot.flows.services import Services
from prbot.store.database import Database

EFFECTS = {
    "forge": (
        "create_comment", "edit_comment", "hide_comment", "react", "set_status", "redeliver", "write_check",
        "create_deployment", "set_deployment",
    ),
    "git": ("fetch", "merge", "prune"),
    "engine": ("init", "plan", "apply"),
    "plans": ("put", "delete"),
}  # fmt: skip
"""What changes something, by service; a working tree (`git.checkout`) besides."""
STREAMS = {"plan": 3, "apply": 3}
"""Engine commands that are also stopped in the middle, at their first line, and which argument takes the lines."""
BACKGROUND = frozenset({"_beat", "_sweep", "_on_timer", "_reconcile", "started", "recover", "_say_alive"})
"""Functions whose transactions come by the clock and not by what happens."""
_BETWEEN = ("contextlib", __name__, "prbot.store.database")


@dataclass(frozen=True, slots=True)
class Passed:
    """One step of a good run, as one thread passed it."""

    thread: str
    point: str


class Watch:
    """Sees every step from `arm` on. At `kill` the process ends; all others are written to `trace`."""

    def __init__(self, trace: Path, kill: str = "") -> None:
        self._kill = kill
        self._armed = mmap.mmap(-1, 1)  # shared with the process that forked us
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seen: Counter[str] = Counter()
        self._turn = threading.Lock()

    def arm(self) -> None:
        """See steps from here on, whichever process they are in."""
        self._armed[0] = 1

    def disarm(self) -> None:
        self._armed[0] = 0

    def around(self, services: Services) -> Services:
        """The same services, watched."""
        setattr(services.db, "write", self._write(services.db))  # noqa: B010  # one object that several have
        watched: dict[str, Any] = {
            name: _Watched(getattr(services, name), name, effects, self.passes) for name, effects in EFFECTS.items()
        }
        return replace(services, **watched)

    def passes(self, step: str) -> None:
        if not self._armed[0]:
            return
        with self._turn:
            self._seen[step] += 1
            point = f"{step} #{self._seen[step]}"
            if point == self._kill:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(self._trace, f"{threading.get_ident()}\t{point}\n".encode())

    def _write(self, db: Database) -> Callable[[], AbstractContextManager[Session]]:
        plain = db.write

        @contextmanager
        def write() -> Iterator[Session]:
            name = _caller(sys._getframe(1))
            with plain() as tx:
                before = _changes(tx)
                yield tx
                tx.flush()
                if name is None or _changes(tx) == before:
                    return
                self.passes(f"before {name}")
                event.listen(tx, "after_commit", lambda _: self.passes(f"after {name}"), once=True)

        return write


class _Watched:
    """One of the services; passes on everything."""

    def __init__(self, inner: Any, name: str, effects: Sequence[str], passes: Callable[[str], None]) -> None:
        self._inner, self._name, self._effects, self._passes = inner, name, effects, passes

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inner, attribute)
        if self._name == "git" and attribute == "checkout":
            return self._checkout
        if attribute not in self._effects:
            return found

        def call(*given: Any, **named: Any) -> Any:
            step = f"{self._name}.{attribute}{_hint(given)}"
            self._passes(f"before {step}")
            if self._name == "engine" and attribute in STREAMS:
                given = self._stopped_within(step, given, STREAMS[attribute])
            done = found(*given, **named)
            self._passes(f"after {step}")
            return done

        return call

    def _stopped_within(self, step: str, given: tuple[Any, ...], position: int) -> tuple[Any, ...]:
        told: list[str] = []

        def on_line(line: str) -> None:
            if not told:
                told.append(line)
                self._passes(f"within {step}")
            given[position](line)

        return (*given[:position], on_line, *given[position + 1 :])

    @contextmanager
    def _checkout(self, *given: Any, **named: Any) -> Iterator[Path]:
        self._passes("before git.checkout")
        with self._inner.checkout(*given, **named) as tree:
            self._passes("after git.checkout")
            yield tree
        self._passes("after git.checkout's end")


def _hint(given: tuple[Any, ...]) -> str:
    """What tells one status from another."""
    status = next((each for each in given if isinstance(each, Status)), None)
    return f"({status.context}={status.state})" if status is not None else ""


def _changes(tx: Session) -> int:
    connection: Any = tx.connection().connection.dbapi_connection
    total: int = connection.total_changes
    return total


def _caller(frame: FrameType | None) -> str | None:
    """The function whose transaction it is: `flows.apply._authorize`. None for what the clock does."""
    name: str | None = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module not in _BETWEEN and module.startswith("prbot."):
            function = frame.f_code.co_name
            if function in BACKGROUND or module == "prbot.flows.reconcile":
                return None
            name = name or f"{module.removeprefix('prbot.')}.{function}"
        frame = frame.f_back
    return name


def read_trace(path: Path) -> list[Passed]:
    return [Passed(*line.split("\t", 1)) for line in path.read_text().splitlines()]


_NOTES = ("store.outputs.", "audit.log.")
"""Transactions that say nothing of where a run stands."""


class Doing(StrEnum):
    """What an engine was at when its worker was killed, where that may show in the end."""

    NOTHING = "nothing"
    APPLYING = "applying"
    """It was told to apply, and its result is not kept: the outcome may be unknown."""
    CHECKING = "checking"
    """It applied, and what is left is not kept: that may be told as not checked."""


def doing(good: Sequence[Passed], passed: Collection[str]) -> Doing:
    """What was passed, up to and with a kill, leaves open.

    An apply is open from the transaction before it to the one that keeps its result. Whatever else comes in between
    would be lost with it: the result that is kept only after that was lost, and is not open.
    """
    for thread in {each.thread for each in good}:
        own = [each.point for each in good if each.thread == thread and _tells(each.point)]
        for begin, point in enumerate(own):
            if not point.startswith("before engine.apply ") or own[begin - 1] not in passed:
                continue
            after = own[own.index(point.replace("before", "after", 1)) + 1 :]
            if not after or not after[0].startswith("before flows.") or after[0] not in passed:
                return Doing.APPLYING if not after or after[0] not in passed else Doing.NOTHING
            kept = [each for each in after if each.startswith("after flows.")]
            if kept[0] not in passed:
                return Doing.APPLYING
            if len(kept) > 1 and after[2].startswith("before engine.plan ") and kept[1] not in passed:
                return Doing.CHECKING
    return Doing.NOTHING


def _tells(point: str) -> bool:
    return not point.split(" ", 1)[1].startswith(_NOTES)


def moments(trace: Sequence[Passed]) -> list[str]:
    """The points at which something can be lost: a step's beginning is the end of the one before it in its thread."""
    last: dict[str, str] = {}
    found = []
    for each in trace:
        before = last.get(each.thread, "")
        last[each.thread] = each.point
        if each.point.startswith("before ") and before.startswith("after "):
            continue
        found.append(each.point)
    return found
