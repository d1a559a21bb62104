"""Failures on demand: the next requests to a route are refused, slowed down or cut off."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

ANY_ROUTE = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request.

    `status` answers it with that error, or leaves the real answer alone when 0; `drop` closes the connection without an
    answer; `delay` waits first (seconds). With `after_effect` the request does its work before it fails.
    """

    status: int = 0
    message: str = "Server Error"
    headers: Mapping[str, str] = field(default_factory=dict)
    after_effect: bool = False
    drop: bool = False
    delay: float = 0.0


class Faults:
    """The failures that are still to come, by the name of their route (`*` is any). Each is used up by one request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[tuple[str, Fault]] = []

    def arm(self, route: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests to `route` meet `fault`, after those armed before."""
        with self._lock:
            self._armed.extend([(route, fault)] * times)

    def take(self, route: str) -> Fault | None:
        """The failure that this request to `route` meets."""
        with self._lock:
            for position, (wanted, fault) in enumerate(self._armed):
                if wanted in (route, ANY_ROUTE):
                    del self._armed[position]
                    return fault
        return None

    def pending(self) -> list[str]:
        """The routes of the failures that nothing has met yet."""
        with self._lock:
            return [route for route, _ in self._armed]


def rate_limited(status: int, retry_after: int, resets_at: int, *, secondary: bool) -> Fault:
    """GitHub's answer to somebody who asks too much: over the hourly budget, or (`secondary`) too fast.

    See "Rate limits for the REST API" in GitHub's documentation: the first carries `x-ratelimit-remaining: 0` and
    `x-ratelimit-reset` (Unix seconds), the second `retry-after` (seconds).
    """
    if secondary:
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return Fault(status, message, {"retry-after": str(retry_after)})
    exhausted = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-used": "5000",
        "x-ratelimit-reset": str(resets_at),
        "x-ratelimit-resource": "core",
    }
    return Fault(status, "API rate limit exceeded for user ID 1.", exhausted)
