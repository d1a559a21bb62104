from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.github.budget import Budget, Budgets
from prbot.ports import Transient
from tests.adapters.github.conftest import Timeline


@given(st.lists(st.floats(0, 40), min_size=1, max_size=700))
def test_no_minute_has_more_than_80_writes_and_no_hour_more_than_500(pauses: list[float]) -> None:
    timeline = Timeline()
    budget = Budget(timeline.read)
    written: list[float] = []
    for pause in pauses:
        timeline.now += pause
        try:
            budget.spend(write=True)
        except Transient:
            continue
        written.append(timeline.now)
    for count, period in ((80, 60), (500, 3600)):
        assert all(later - earlier >= period - 1e-6 for earlier, later in zip(written, written[count:], strict=False))


def test_a_burst_of_normal_work_is_not_delayed_and_questions_cost_nothing(timeline: Timeline) -> None:
    budget = Budget(timeline.read)
    for _ in range(80):
        budget.spend(write=True)
    for _ in range(1000):
        budget.spend(write=False)


def test_after_the_wait_that_it_names_a_write_goes_through(timeline: Timeline) -> None:
    budget = Budget(timeline.read)
    for _ in range(500):
        timeline.now += 1
        budget.spend(write=True)
    with pytest.raises(Transient) as over:
        budget.spend(write=True)
    assert over.value.retry_after == 3600 - 499
    timeline.now += over.value.retry_after
    budget.spend(write=True)


def test_a_hold_ends_after_an_hour_however_long_it_was_asked_for(timeline: Timeline) -> None:
    budget = Budget(timeline.read)
    budget.hold(1e9)
    with pytest.raises(Transient):
        budget.spend(write=False)
    timeline.now += 3600
    budget.spend(write=False)


def test_a_shorter_hold_does_not_end_a_longer_one(timeline: Timeline) -> None:
    budget = Budget(timeline.read)
    budget.hold(60)
    budget.hold(5)
    timeline.now += 6
    with pytest.raises(Transient):
        budget.spend(write=False)


def test_each_token_has_its_own_budget_until_it_is_long_unused(timeline: Timeline) -> None:
    budgets = Budgets(timeline.read)
    old = budgets.of("a")
    assert budgets.of("a") is old
    assert budgets.of("b") is not old
    timeline.now += 3601
    budgets.of("c")
    assert budgets.of("a") is not old
