"""The part of the sweep that is tried with every change; `make sweep` tries all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.sweep.points import Doing, Passed, doing, moments


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_lost_where_most_is_at_stake() -> None:
    command = [sys.executable, "-m", "tests.faults.sweep", "--quick", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def test_a_scenario_that_there_is_not_is_told() -> None:
    command = [sys.executable, "-m", "tests.faults.sweep", "nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("no scenario is called so; there are: plan, push, ")


def trace(*steps: str, thread: str = "one") -> list[Passed]:
    return [Passed(thread, step) for step in steps]


APPLY = trace(
    "before flows.apply._apply #1", "after flows.apply._apply #1", "before engine.apply #1", "within engine.apply #1",
    "before store.outputs._flush #1", "after store.outputs._flush #1", "after engine.apply #1",
)  # fmt: skip
KEPT = trace("before flows.ends.applied #1", "after flows.ends.applied #1")
CHECK = trace("before engine.plan #2", "after engine.plan #2")
CHECKED = trace("before flows.ends.converged #1", "after flows.ends.converged #1")


def test_a_step_s_beginning_is_the_end_of_the_one_before_it_in_its_thread() -> None:
    assert moments([*APPLY[:3], *trace("before x #1", thread="other"), *APPLY[3:]]) == [
        "before flows.apply._apply #1", "after flows.apply._apply #1", "before x #1", "within engine.apply #1",
        "before store.outputs._flush #1", "after store.outputs._flush #1", "after engine.apply #1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("passed", "kept_first", "kept_last"),
    [
        ("before flows.apply._apply #1", Doing.NOTHING, Doing.NOTHING),
        ("after flows.apply._apply #1", Doing.APPLYING, Doing.APPLYING),
        ("before engine.apply #1", Doing.APPLYING, Doing.APPLYING),
        ("within engine.apply #1", Doing.APPLYING, Doing.APPLYING),
        ("after engine.apply #1", Doing.APPLYING, Doing.APPLYING),
        ("before flows.ends.applied #1", Doing.APPLYING, Doing.NOTHING),
        ("after flows.ends.applied #1", Doing.CHECKING, Doing.NOTHING),
        ("before engine.plan #2", Doing.CHECKING, Doing.NOTHING),
        ("after engine.plan #2", Doing.CHECKING, Doing.NOTHING),
        ("after flows.ends.converged #1", Doing.NOTHING, Doing.NOTHING),
    ],
)
def test_how_far_an_engine_came_is_open_from_when_it_was_told_until_its_result_is_kept(
    passed: str, kept_first: Doing, kept_last: Doing
) -> None:
    for trace_of_it, expected in (
        ([*APPLY, *KEPT, *CHECK, *CHECKED], kept_first),
        ([*APPLY, *CHECK, *CHECKED, *KEPT], kept_last),
    ):
        names = [each.point for each in trace_of_it]
        assert doing(trace_of_it, names[: names.index(passed) + 1]) is expected
