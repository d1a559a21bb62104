"""How much GitHub lets each payer of ours ask: what is left by its own account, and how fast we may write.

GitHub refuses whoever creates more than 80 pieces of content in a minute or 500 in an hour, and may ban whoever keeps
asking while refused (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). So writes beyond
that are not sent, and nothing is sent before the time that a refusal named. Nothing here sleeps: whoever is over budget
is told when to come back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from prbot.github.failures import number
from prbot.ports import Transient

WRITES_PER_MINUTE = 80
WRITES_PER_HOUR = 500
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """GitHub's hourly allowance of requests, as its latest reply told it."""

    limit: int
    remaining: int
    reset_at: datetime
    """When `remaining` is `limit` again, in UTC, by GitHub's clock."""


class Budget:
    """What may be sent at one payer's cost, by the seconds of `clock`. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._writes: deque[float] = deque(maxlen=WRITES_PER_HOUR)
        self._held_until = float("-inf")
        self.used_at = clock()
        self.allowance: RateLimit | None = None
        """As the latest reply told it; None before the first."""

    def spend(self, *, write: bool) -> None:
        """Account for one request that is about to be sent. Transient, with the seconds to wait, if it must not be."""
        with self._lock:
            now = self.used_at = self._clock()
            if now < self._held_until:
                raise Transient("GitHub asked us to wait before we ask for more", self._held_until - now)
            if not write:
                return
            wait = max(self._wait(now, WRITES_PER_MINUTE, 60.0), self._wait(now, WRITES_PER_HOUR, _HOUR))
            if wait > 0:
                raise Transient("we have written as much to GitHub as it lets us for now", wait)
            self._writes.append(now)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long; at most an hour, by when every limit of GitHub's has begun anew."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + min(seconds, _HOUR))

    def _wait(self, now: float, count: int, period: float) -> float:
        """Seconds until one more write makes no more than `count` in any `period`."""
        return self._writes[-count] + period - now if len(self._writes) >= count else 0.0


class Budgets:
    """One budget a payer, for as long as something is sent at its cost."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._budgets: dict[str, Budget] = {}

    def of(self, payer: str) -> Budget:
        """The payer's budget. Those unused for an hour have nothing left to remember and are forgotten."""
        with self._lock:
            if payer not in self._budgets:
                oldest = self._clock() - _HOUR
                self._budgets = {known: one for known, one in self._budgets.items() if one.used_at > oldest}
                self._budgets[payer] = Budget(self._clock)
            return self._budgets[payer]


def concerns_rest(headers: Mapping[str, str]) -> bool:
    """Whether the limits in a reply are those of REST. Running out of GraphQL must not stop what does not need it."""
    return headers.get("x-ratelimit-resource", "core") == "core"


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What a reply says of the REST allowance; None if it says nothing, or speaks of another resource's."""
    if not concerns_rest(headers):
        return None
    limit, remaining, reset = (number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset"))
    if limit is None or remaining is None or reset is None:
        return None
    return RateLimit(int(limit), int(remaining), datetime.fromtimestamp(reset, UTC))
