"""GitHub's clock, as the stand-in tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Clock:
    """Whole seconds in UTC that never run backwards.

    `now` is the real time, or later where acts or ticks have pushed the clock ahead, and stamps everything. What a
    person does, in a test or on a page, first calls `act`, which moves the clock on by a second at least; what comes
    over REST does not. So a person's act is strictly later than everything before it, and what prbot writes afterwards
    is never earlier than the act.
    """

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._ahead = 0
        self._last = 0
        self._stopped = False

    def now(self) -> datetime:
        """The present second."""
        with self._lock:
            return self._stamp(self._last)

    def act(self) -> datetime:
        """Begin a person's act: a second later than any that was told before, unless the clock stands still."""
        with self._lock:
            return self._stamp(self._last if self._stopped else self._last + 1)

    def tick(self, seconds: int) -> None:
        """Let `seconds` pass."""
        with self._lock:
            self._stamp(self._last)
            self._last += seconds
            self._ahead = self._last - int(self._real())

    @contextmanager
    def same_second(self) -> Iterator[datetime]:
        """Make everything in the block happen within one second."""
        present = self.now()
        self._stopped = True
        try:
            yield present
        finally:
            self._stopped = False

    def _stamp(self, at_least: int) -> datetime:
        if not self._stopped:
            self._last = max(int(self._real()) + self._ahead, at_least)
        return datetime.fromtimestamp(self._last, UTC)


def iso(at: datetime) -> str:
    """The way GitHub writes a time: `2026-11-02T10:00:00Z`."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
