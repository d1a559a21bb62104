"""One process's share of a sweep: it makes stages ready, tries, and says what came of it, a line at a time."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prbot.core.redact import Redactor
from prbot.logs import configure_logging
from tests.faults.sweep import tries
from tests.faults.sweep.refusals import refusals
from tests.faults.sweep.scenarios import SCENARIOS, Scenario
from tests.faults.sweep.stage import Broken, Stage, in_fork, made_ready, preload

KILLS, REFUSALS = "kill", "refuse"
Choice = Callable[[str, str, list[str]], list[str]]
"""(scenario, KILLS or REFUSALS, all points) → which of them are tried."""
MEMORY = Path("/dev/shm")  # where there is one: nothing here has to outlive the machine


def sweep(scenarios: Sequence[str], choose: Choice) -> None:
    """Try what is chosen of these scenarios, and print each result as a line of JSON."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    configure_logging("text", "error", Redactor)
    preload()
    for scenario in SCENARIOS:
        if scenario.name in scenarios:
            with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
                try:
                    in_fork(lambda each=scenario, at=place: _sweep_one(each, Path(at), choose))  # type: ignore[misc]
                except Broken as broken:
                    say(scenario=scenario.name, broken=str(broken))


def say(**what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def _sweep_one(scenario: Scenario, place: Path, choose: Choice) -> bool:
    stage = made_ready(scenario, place)
    well = in_fork(lambda: tries.good(stage))
    calls = {str(call): call for call in refusals(well.asked)}
    every = {KILLS: well.points, REFUSALS: list(calls)}
    for kind, points in every.items():
        chosen = choose(scenario.name, kind, points)
        say(scenario=scenario.name, kind=kind, points=points, chosen=len(chosen))
        for point in chosen:
            say(kind=kind, **asdict(_tried(stage, well, point, calls if kind == REFUSALS else {})))
    return True


def _tried(stage: Stage, well: tries.Good, point: str, calls: dict[str, Any]) -> tries.Result:
    try:
        if point in calls:
            return in_fork(lambda: tries.refused(stage, calls[point], well))
        return in_fork(lambda: tries.killed(stage, point, well))
    except Broken as broken:
        return tries.Result(stage.scenario.name, point, "failed", (f"the try itself: {broken}",))


def lines(text: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What a shard said."""
    for line in text:
        if line.startswith("{"):
            yield json.loads(line)
