"""What was tried and what held, as a table for people."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, TextIO

from tests.faults.sweep.scenarios import SCENARIOS
from tests.faults.sweep.shard import KILLS, REFUSALS

_HEAD = ("scenario", "what", "points", "tried", "held", "unknown", "not met", "failed")


@dataclass
class Table:
    """Takes what shards say. With `progress`, each failure is written there as it comes."""

    progress: TextIO | None = None
    broken: list[str] = field(default_factory=list)
    points: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    results: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def add(self, said: dict[str, Any]) -> None:
        with self._turn:
            if "broken" in said:
                self.broken.append(f"{said['scenario']}: {said['broken']}")
                return
            key = (said["scenario"], said["kind"])
            if "points" in said:
                self.points.setdefault(key, said["points"])
                return
            self.results[key][said["point"]] = said
            if self.progress is not None:
                self.progress.write(f"{said['verdict']:8} {said['seconds']:5.1f} s  {_of(said)}\n")
                self.progress.writelines(f"    {why}\n" for why in said["reasons"])
                self.progress.flush()

    def share(self, at: int, of: int) -> dict[str, dict[str, list[str]]]:
        """The points for one of so many processes."""
        found: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for (scenario, kind), points in self.points.items():
            found[scenario][kind] = points[at::of]
        return found

    def expect(self, listed: Table) -> None:
        """Take over which points there are."""
        self.points, self.broken = dict(listed.points), [*listed.broken, *self.broken]

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [said for each in self.results.values() for said in each.values() if said["verdict"] == "failed"]

    @property
    def ok(self) -> bool:
        return not self.failed and not self.broken and any(self.results.values())

    def text(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
        drawn = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        failures = [
            "\n".join((f"\n{_of(said)}", *(f"    {why}" for why in said["reasons"]), f"    again: {_again(said)}"))
            for said in self.failed
        ]
        return "\n".join([*drawn, *failures, *(f"\nbroken: {each}" for each in self.broken)])

    def _rows(self) -> list[tuple[str, ...]]:
        rows, total = [], Counter[str]()
        for scenario in SCENARIOS:
            for kind in (KILLS, REFUSALS):
                results = self.results.get((scenario.name, kind), {})
                count = Counter(said["verdict"] for said in results.values())
                count |= Counter(points=len(self.points.get((scenario.name, kind), ())), tried=len(results))
                if count["points"]:
                    rows.append((scenario.name, kind, *(str(count[name]) for name in _HEAD[2:])))
                    total += count
        return [*rows, ("all", "", *(str(total[name]) for name in _HEAD[2:]))]


def _of(said: dict[str, Any]) -> str:
    return f"{said['scenario']}: {said['point']}"


def _again(said: dict[str, Any]) -> str:
    return f"""make sweep SWEEP="'{_of(said)}'\""""
