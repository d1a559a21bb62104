"""Calls to the forge that are refused: the first time, twice, or for ever, in each way in which that happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from prbot.sandbox.faults import Fault, Faults
from prbot.sandbox.hub import Hub

FOR_EVER = 1_000_000
TIMEOUT = 0
KINDS = (403, 404, 422, 502, TIMEOUT)
TIMES = (1, 2, FOR_EVER)
_SAID = {403: "Forbidden", 404: "Not Found", 422: "Validation Failed", 502: "Server Error"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The so-many-th request to a route, and what it meets from then on."""

    route: str
    number: int
    status: int = TIMEOUT
    times: int = 0

    @property
    def for_ever(self) -> bool:
        return self.times == FOR_EVER

    def __str__(self) -> str:
        kind = str(self.status) if self.status else "no answer"
        often = {1: "once", 2: "twice", FOR_EVER: "always"}.get(self.times, str(self.times))
        return f"{self.route} #{self.number}: {kind} {often}"

    def fault(self) -> Fault:
        """No answer means that what was asked was done: the harder case."""
        if self.status == TIMEOUT:
            return Fault(drop=True, after_effect=True)
        return Fault(self.status, _SAID[self.status])


class RefusedCalls(Faults):
    """In place of a stand-in's faults: counts what is asked, and refuses one call from when it comes."""

    def __init__(self, refuse: Asked | None) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.met = 0
        self._refuse = refuse
        self._counted: Counter[str] = Counter()

    @classmethod
    def on(cls, hub: Hub, refuse: Asked | None = None) -> RefusedCalls:
        made = cls(refuse)
        hub.faults = made
        return made

    def relent(self) -> None:
        self._refuse = None

    def take(self, route: str) -> Fault | None:
        with self._lock:
            self._counted[route] += 1
            self.asked.append(Asked(route, self._counted[route]))
            call = self._refuse
            if call is None or route != call.route or not 0 <= self._counted[route] - call.number < call.times:
                return None
            self.met += 1
            return call.fault()


def refusals(asked: Iterable[Asked]) -> list[Asked]:
    """All that a run's calls can meet. A route that refuses for ever does so from its first call on."""
    return [
        replace(call, status=status, times=times)
        for call in asked
        for status in KINDS
        for times in TIMES
        if times != FOR_EVER or call.number == 1
    ]
