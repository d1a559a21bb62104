"""One try: a worker begins, people act, something goes wrong, and the end is held against the good one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from tests.faults.sweep.ends import End, differences, end_of, explained
from tests.faults.sweep.points import Doing, Passed, Watch, doing, moments, read_trace
from tests.faults.sweep.refusals import Asked, RefusedCalls
from tests.faults.sweep.stage import SETTINGS, Stage, Worker, everybody_gone
from tests.flows.app import Story

PATIENCE = 15.0
"""Seconds in which what was lost must be found: longer than from one look of the janitor's to the next."""
LONG_PATIENCE = 40.0
"""Seconds in which what is refused for ever must be given up, by a hasty worker."""
GOOD_PATIENCE = 60.0
CALM = 0.1
"""Seconds without anything to do after which nothing more is expected."""


@dataclass(frozen=True, slots=True)
class Good:
    """What a run without any trouble came to, and by which steps."""

    end: End
    trace: list[Passed]
    asked: list[Asked]

    @property
    def points(self) -> list[str]:
        return moments(self.trace)


@dataclass(frozen=True, slots=True)
class Result:
    """How one try ended. `not met`: the step did not come this time, and all ended well."""

    scenario: str
    point: str
    verdict: Literal["held", "unknown", "not met", "failed"]
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


@contextmanager
def connected(stage: Stage) -> Iterator[Story]:
    """The stand-in and the web process, going on where the stage was left."""
    with stage.world as world:
        app = Story(stage.root, world, **SETTINGS)
        app.start_web()
        try:
            yield app
        finally:
            app.stop()


def good(stage: Stage) -> Good:
    """A run without trouble. AssertionError if it does not come to a good end by itself."""
    stage.restore()
    trace = stage.root / "trace"
    watch = Watch(trace)
    worker = Worker(stage, "worker", watch)
    with everybody_gone(stage.root), connected(stage) as app:
        _begin(app, worker)
        calls = RefusedCalls.on(app.world.hub)
        watch.arm()
        stage.scenario.act(app)
        _until(lambda: _calm(app), GOOD_PATIENCE, lambda: f"still to do: {app.left_to_do()}")
        end, asked = end_of(app), list(calls.asked)
        watch.disarm()
        code = worker.end()
        problems = [*(f"{name}: {what}" for name, what in end.left.items()), *worker.trouble()]
        assert not problems, problems
        assert code == 0, f"the worker ended with {code}"
    return Good(end, read_trace(trace), asked)


def killed(stage: Stage, point: str, well: Good) -> Result:
    """The worker ends at a point, and another one takes its place."""
    began = time.monotonic()
    stage.restore()
    watch = Watch(stage.root / "trace", point)
    victim = Worker(stage, "victim", watch)
    successor = Worker(stage, "successor")
    with everybody_gone(stage.root), connected(stage) as app:
        _begin(app, victim)
        watch.arm()
        stage.scenario.act(app)
        _until(lambda: victim.ended() or _calm(app), GOOD_PATIENCE, lambda: "neither killed nor done")
        met = victim.ended()
        passed = [each.point for each in read_trace(stage.root / "trace")]
        at = doing(well.trace, [*passed, point]) if met else Doing.NOTHING
        watch.disarm()
        if met:
            successor.go()
        reasons, end = _good_in_the_end(app, well, at)
        left = (successor if met else victim).end()
        if not met:
            successor.end()
    if met and left != 0:
        reasons.append(f"the next worker did not end well: {left}")
    reasons += [f"log: {line}" for line in (*victim.trouble(), *successor.trouble())]
    held = "unknown" if end.unknown else "held"
    verdict = "failed" if reasons else held if met else "not met"
    return Result(stage.scenario.name, point, verdict, tuple(reasons), time.monotonic() - began)  # type: ignore[arg-type]


def refused(stage: Stage, call: Asked, well: Good) -> Result:
    """The forge refuses a call, and goes on to for a while or for ever."""
    began = time.monotonic()
    stage.restore()
    worker = Worker(stage, "worker", hasty=True)
    with everybody_gone(stage.root), connected(stage) as app:
        _begin(app, worker)
        calls = RefusedCalls.on(app.world.hub, call)
        stage.scenario.act(app)
        if call.for_ever:
            reasons = _told_in_the_end(app, well)
            calls.relent()
        else:
            reasons, _ = _good_in_the_end(app, well)
        if worker.end() != 0:
            reasons.append("the worker did not end when told to")
    verdict = "failed" if reasons else "held" if calls.met else "not met"
    return Result(stage.scenario.name, str(call), verdict, tuple(reasons), time.monotonic() - began)  # type: ignore[arg-type]


def _begin(app: Story, worker: Worker) -> None:
    worker.go()
    _until(lambda: app.workers() == 1 and _calm(app), GOOD_PATIENCE, lambda: "the worker does not begin")


def _good_in_the_end(app: Story, well: Good, at: Doing = Doing.NOTHING) -> tuple[list[str], End]:
    """What is not as it should be, once it is, or after enough time to find what was lost."""
    deadline = time.monotonic() + PATIENCE
    while True:
        _quiet(app, deadline)
        end = end_of(app)
        apart = differences(well.end, end, at)
        lost = all(each.startswith("audit: lacks [], has ") for each in apart)  # no time takes an entry away
        if lost or time.monotonic() > deadline:
            return apart, end
        time.sleep(0.3)


def _told_in_the_end(app: Story, well: Good) -> list[str]:
    """Whether, although the forge never gives way, nothing is stuck and nothing looks better than it is."""
    deadline = time.monotonic() + LONG_PATIENCE
    reasons: list[str] = []
    while time.monotonic() < deadline:
        time.sleep(0.5)
        end = end_of(app)
        if not differences(well.end, end):
            return []
        reasons = [f"{name}: {what}" for name, what in end.left.items() if name not in ("not posted", "to do")]
        live = [each for each in end.left.get("to do", ()) if each.startswith("run ")]
        reasons += [f"still under way: {live}"] if live else []
        refused = end.left.get("not posted") or [each for each in end.left.get("to do", ()) if "failed" in each]
        if not reasons and (refused or explained(well.end, end)):
            return []
    return reasons or [f"nobody is told, and it did not come to {differences(well.end, end_of(app))}"]


def _quiet(app: Story, deadline: float) -> None:
    while not _calm(app) and time.monotonic() < deadline:
        time.sleep(0.05)


def _calm(app: Story) -> bool:
    """Whether nothing is to be done, and that stays so."""
    until = time.monotonic() + CALM
    while True:
        app.world.settle_hooks(10)
        if app.left_to_do() or app.slots_taken():
            return False
        if time.monotonic() > until:
            return True
        time.sleep(0.05)


def _until(what: Callable[[], bool], seconds: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)
