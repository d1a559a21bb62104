"""One holder, an honest queue, and merged before open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prbot.core.locks import Claim, LockChange, blocker, claims_project, holder, lock_changes, place, queue
from prbot.core.rules import LockMode

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def claim(pull: int, minute: int = 0, merged: int | None = None) -> Claim:
    return Claim(pull, NOON + timedelta(minutes=minute), merged)


def pulls(claims: list[Claim]) -> list[int]:
    return [each.pull for each in queue(claims)]


def test_the_first_to_claim_holds_and_the_others_wait_in_order() -> None:
    claims = [claim(3, minute=2), claim(1, minute=1), claim(2, minute=3)]
    assert pulls(claims) == [1, 3, 2]
    assert holder(claims) == claims[1]
    assert [place(claims, pull) for pull in (1, 3, 2, 9)] == [0, 1, 2, None]


def test_claims_of_one_moment_stand_in_the_order_of_their_numbers() -> None:
    assert pulls([claim(10), claim(9)]) == [9, 10]


def test_merged_beats_open_and_merged_ones_stand_as_the_base_branch_has_them() -> None:
    claims = [claim(1, minute=0), claim(2, minute=1, merged=41), claim(3, minute=2, merged=40)]
    assert pulls(claims) == [3, 2, 1]


def test_a_merge_before_the_first_commit_that_is_counted_still_beats_an_open_one() -> None:
    assert pulls([claim(1), claim(2, minute=1, merged=0)]) == [2, 1]


def test_nobody_holds_what_nobody_claims() -> None:
    assert holder([]) is None
    assert blocker([], 1) is None
    assert place([], 1) is None


def test_a_pull_request_is_blocked_by_the_holder_and_never_by_itself() -> None:
    claims = [claim(1), claim(2, minute=1)]
    assert blocker(claims, 1) is None
    assert blocker(claims, 2) == claims[0]
    assert blocker(claims, 3) == claims[0]


@pytest.mark.parametrize(
    ("mode", "open_claims", "merged_claims"), [("plan", True, True), ("apply", False, True), ("off", False, False)]
)
def test_the_mode_says_when_a_project_is_claimed(mode: LockMode, open_claims: bool, merged_claims: bool) -> None:
    assert claims_project(mode, merged=False) is open_claims
    assert claims_project(mode, merged=True) is merged_claims


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([], [], ()),
        ([], [claim(1)], (LockChange("taken", 1),)),
        ([claim(1)], [], (LockChange("freed", 1),)),
        ([claim(1)], [claim(1)], ()),
        ([claim(1)], [claim(1), claim(2, 1)], (LockChange("waiting", 2, other=1, place=1),)),
        ([claim(1), claim(2, 1)], [claim(1)], (LockChange("left", 2),)),
        ([claim(1), claim(2, 1)], [claim(2, 1)], (LockChange("passed", 2, other=1),)),
        (
            [claim(1), claim(2, 1), claim(3, 2)],
            [claim(2, 1), claim(3, 2)],
            (LockChange("passed", 2, other=1),),
        ),
        (  # merged beats open: the holder queues
            [claim(1), claim(2, 1)],
            [claim(1), claim(2, 1, merged=7)],
            (LockChange("passed", 2, other=1), LockChange("waiting", 1, other=2, place=1)),
        ),
        (
            [],
            [claim(1), claim(2, 1)],
            (LockChange("taken", 1), LockChange("waiting", 2, other=1, place=1)),
        ),
        (
            [claim(1), claim(2, 1), claim(3, 2)],
            [],
            (LockChange("freed", 1), LockChange("left", 2), LockChange("left", 3)),
        ),
    ],
)
def test_what_became_of_the_lock_is_told_to_each_whom_it_concerns(
    before: list[Claim], after: list[Claim], changes: tuple[LockChange, ...]
) -> None:
    assert lock_changes(before, after) == changes


claims_of_distinct_pulls = st.lists(
    st.builds(claim, st.integers(1, 9), st.integers(0, 5), st.none() | st.integers(0, 5)),
    unique_by=lambda each: each.pull,
)


@given(claims_of_distinct_pulls, claims_of_distinct_pulls)
def test_following_the_changes_gives_the_same_holder_and_the_same_waiting_list(
    before: list[Claim], after: list[Claim]
) -> None:
    held = pulls(before)[0] if before else None
    waiting = set(pulls(before)[1:])
    for change in lock_changes(before, after):
        match change.kind:
            case "taken" | "passed":
                assert change.other == held
                held = change.pull
                waiting.discard(change.pull)
            case "freed":
                assert change.pull == held
                held = None
            case "waiting":
                assert (change.other, change.place) == (held, place(after, change.pull))
                waiting.add(change.pull)
            case "left":
                waiting.remove(change.pull)
    assert held == (pulls(after)[0] if after else None)
    assert waiting == set(pulls(after)[1:])


class OneProject(RuleBasedStateMachine):
    """Pull requests come, merge and go; the queue is compared with one that is kept by moving people about."""

    @initialize()
    def nobody(self) -> None:
        self.claims: dict[int, Claim] = {}
        self.merged: list[int] = []
        self.open: list[int] = []
        self.minute = self.position = self.number = 0

    def _tick(self) -> int:
        self.minute += 1
        return self.minute

    @rule()
    def plan_a_new_pull_request(self) -> None:
        self.number += 1
        self.claims[self.number] = claim(self.number, self._tick())
        self.open.append(self.number)

    @rule(data=st.data())
    @precondition(lambda self: self.open)
    def merge_an_open_one(self, data: st.DataObject) -> None:
        pull = data.draw(st.sampled_from(self.open))
        before = list(self.claims.values())
        self.position += data.draw(st.integers(1, 3))
        self.claims[pull] = replace(self.claims[pull], merged_position=self.position)
        self.open.remove(pull)
        self.merged.append(pull)
        if len(self.merged) == 1:
            taken_from = pulls(before)[0]
            passed = [LockChange("passed", pull, other=taken_from)] if taken_from != pull else []
            assert [each for each in lock_changes(before, self.claims.values()) if each.kind == "passed"] == passed
            assert place(self.claims.values(), pull) == 0

    @rule(data=st.data())
    @precondition(lambda self: self.claims)
    def end_any_one(self, data: st.DataObject) -> None:
        pull = data.draw(st.sampled_from(sorted(self.claims)))
        order = pulls(list(self.claims.values()))
        del self.claims[pull]
        (self.merged if pull in self.merged else self.open).remove(pull)
        order.remove(pull)
        assert pulls(list(self.claims.values())) == order, "the others keep their order"

    @invariant()
    def the_queue_is_merged_ones_as_merged_then_open_ones_as_they_came(self) -> None:
        assert pulls(list(self.claims.values())) == self.merged + self.open

    @invariant()
    def there_is_exactly_one_holder_whenever_there_are_claims(self) -> None:
        claims = list(self.claims.values())
        unblocked = [pull for pull in self.claims if blocker(claims, pull) is None]
        assert len(unblocked) == min(len(claims), 1)
        assert [each.pull for each in [holder(claims)] if each] == unblocked

    @invariant()
    def places_count_up_from_the_holder_however_the_claims_are_listed(self) -> None:
        claims = list(self.claims.values())
        assert sorted(place(claims[::-1], pull) or 0 for pull in self.claims) == list(range(len(claims)))


TestOneProject = OneProject.TestCase
TestOneProject.settings = settings(max_examples=40, stateful_step_count=25)
