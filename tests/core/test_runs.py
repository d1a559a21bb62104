"""The life of a run: what may follow what, and what never can."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from prbot.core.runs import (
    BLOCKS_PROJECT,
    BUSY,
    LIVE,
    NEXT,
    QUEUED,
    ImpossibleTransition,
    RunStatus,
    check_transition,
)

S = RunStatus
ENDS = {S.APPLIED, S.DISCARDED, S.SUPERSEDED}


def reachable(start: RunStatus, *, without: Iterable[RunStatus] = ()) -> set[RunStatus]:
    """All that a run may become after `start`, never passing through `without`."""
    found: set[RunStatus] = set()
    todo = [start]
    while todo:
        new = NEXT[todo.pop()] - found - set(without)
        found |= new
        todo += new
    return found


def test_the_words_are_those_of_the_glossary() -> None:
    glossary = (
        "pending, waiting, planning, planned, no_changes, policy_failed, awaiting_approval, held, applying, applied, "
        "errored, cancelled, discarded, superseded, unknown"
    )
    assert [status.value for status in RunStatus] == glossary.split(", ")


def test_every_status_says_what_may_follow_and_can_be_reached() -> None:
    assert set(NEXT) == set(RunStatus)
    assert reachable(S.PENDING) | {S.PENDING} == set(RunStatus)


@pytest.mark.parametrize("old", RunStatus)
@pytest.mark.parametrize("new", RunStatus)
def test_a_step_is_taken_if_it_is_listed_and_refused_by_name_if_not(old: RunStatus, new: RunStatus) -> None:
    if new in NEXT[old]:
        check_transition(old, new)
    else:
        with pytest.raises(ImpossibleTransition, match=f"from {old} to {new}"):
            check_transition(old, new)


def test_from_everywhere_an_end_can_be_reached() -> None:
    for status in set(RunStatus) - ENDS:
        assert reachable(status) & ENDS


def test_an_end_is_the_end() -> None:
    assert {status for status in RunStatus if not NEXT[status]} == ENDS


def test_only_a_run_that_planned_afresh_is_applied() -> None:
    assert {old for old in RunStatus if S.APPLYING in NEXT[old]} == {S.PLANNING}
    assert {old for old in RunStatus if S.APPLIED in NEXT[old]} == {S.APPLYING, S.UNKNOWN}


def test_an_apply_whose_worker_was_lost_is_never_applied_again() -> None:
    assert {old for old in RunStatus if S.UNKNOWN in NEXT[old]} == {S.APPLYING}
    assert not reachable(S.UNKNOWN) & (BUSY | QUEUED)


def test_a_run_that_failed_or_was_cancelled_is_not_taken_up_again() -> None:
    for status in (S.ERRORED, S.CANCELLED, S.NO_CHANGES):
        assert not reachable(status) & (BUSY | QUEUED)


def test_an_apply_under_way_is_not_given_up_for_something_newer() -> None:
    assert not NEXT[S.APPLYING] & {S.SUPERSEDED, S.DISCARDED, S.CANCELLED}


def test_a_plan_whose_worker_died_is_planned_again() -> None:
    check_transition(S.PLANNING, S.PENDING)


def test_what_awaits_a_person_reaches_an_apply_only_by_queueing_and_planning_again() -> None:
    for status in (S.HELD, S.AWAITING_APPROVAL, S.PLANNED, S.POLICY_FAILED):
        assert S.APPLYING not in reachable(status, without={S.PENDING})


def test_a_merged_project_stays_locked_until_its_run_ended_well_or_was_given_up() -> None:
    assert set(RunStatus) - BLOCKS_PROJECT == ENDS | {S.NO_CHANGES}
    assert BUSY <= LIVE <= BLOCKS_PROJECT
    assert QUEUED <= BLOCKS_PROJECT


class OneRun(RuleBasedStateMachine):
    """Any life of a run."""

    @initialize()
    def begin(self) -> None:
        self.life = [S.PENDING]

    @rule(new=st.sampled_from(RunStatus))
    def something_happens(self, new: RunStatus) -> None:
        try:
            check_transition(self.life[-1], new)
        except ImpossibleTransition:
            return
        self.life.append(new)

    @invariant()
    def it_was_planned_right_before_each_apply(self) -> None:
        for before, status in zip(self.life, self.life[1:], strict=False):
            assert status is not S.APPLYING or before is S.PLANNING

    @invariant()
    def it_was_applied_at_most_once_and_then_nothing_more_happened(self) -> None:
        assert S.APPLIED not in self.life[:-1]

    @invariant()
    def after_an_unknown_outcome_no_engine_ran_for_it(self) -> None:
        if S.UNKNOWN in self.life:
            assert not BUSY & set(self.life[self.life.index(S.UNKNOWN) :])


TestOneRun = OneRun.TestCase
TestOneRun.settings = settings(max_examples=40, stateful_step_count=25)
