"""What the machine gives: the time, and ids that nothing else has."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SortableIds:
    """Makes ids of 26 letters and digits that sort by the time they were made, also within one millisecond.

    A ULID (https://github.com/ulid/spec) in lower case: 48 bits of milliseconds, 80 random ones.
    """

    _DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"

    def __init__(self, milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._milliseconds = milliseconds
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        with self._lock:
            self._last = max(self._last + 1, self._milliseconds() << 80 | secrets.randbits(80))
            number = self._last
        return "".join(self._DIGITS[number >> shift & 31] for shift in range(125, -1, -5))
