"""Whatever is said, in whatever order, by whomever: what always holds of the verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from prbot.core.approvals import ExplicitApproval, PeopleFacts, judge
from prbot.core.pulls import Review, ReviewState, Role
from tests.core.opinions import FIRST, H1, H2, H3, OTHER, PEOPLE, SECOND, after, approve, review

STATES: list[ReviewState] = ["APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED", "PENDING"]
USERS = ["al", "bo", "BO", "cy", "di", "eve", "fay", "gus", "prbot-acme"]
ROLES_DRAWN: list[Role] = ["none", "read", "write", "admin"]


@st.composite
def anything(draw: st.DrawFn) -> tuple[list[Review], list[ExplicitApproval], PeopleFacts, datetime | None]:
    moments = st.integers(-700, 120)
    reviews = [
        review(draw(st.sampled_from(USERS)), draw(st.sampled_from(STATES)), at=draw(moments),
               head=draw(st.sampled_from([H1, H2, H3])), number=number, bot=draw(st.booleans()))
        for number in range(draw(st.integers(0, 6)))
    ]  # fmt: skip
    explicit = [
        approve(draw(st.sampled_from(USERS)), draw(st.sampled_from([FIRST, SECOND, OTHER])), at=draw(moments),
                number=100 + number)
        for number in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    roles = {user: draw(st.sampled_from(ROLES_DRAWN)) for user in ("bo", "gus", "al", "di")}
    merged_at = draw(st.none() | moments.map(after))
    return reviews, explicit, replace(PEOPLE, roles=roles), merged_at


@given(anything())
def test_whatever_is_said_only_the_uninvolved_with_write_access_count_and_each_once(
    said: tuple[list[Review], list[ExplicitApproval], PeopleFacts, datetime | None],
) -> None:
    reviews, explicit, people, merged_at = said
    given = judge(reviews, explicit, {"run-1": FIRST, "run-2": SECOND}, SECOND, people, merged_at=merged_at)
    counting = [each.user.casefold() for each in given.counted]
    objecting = {each.user.casefold() for each in given.blocking}
    assert len(set(counting)) == len(counting)
    assert not set(counting) & objecting
    assert not set(counting) & {each.user.casefold() for each in given.not_counted}
    for user in {*counting, *objecting}:
        assert user not in {"al", "cy", "di", "eve", "fay", "prbot-acme"}
        assert people.roles[user] in {"write", "admin"}


@given(anything())
def test_whatever_counts_came_after_the_comment_of_the_very_plan_it_is_about(
    said: tuple[list[Review], list[ExplicitApproval], PeopleFacts, datetime | None],
) -> None:
    reviews, explicit, people, merged_at = said
    plans = {"run-1": FIRST, "run-2": SECOND}
    given = judge(reviews, explicit, plans, SECOND, people, merged_at=merged_at)
    for counted in given.counted:
        plan = plans[counted.carried_from or "run-2"]
        assert plan.shown_at is not None
        assert counted.at > plan.shown_at
        if counted.via == "review":
            (source,) = [each for each in reviews if each.id == counted.id]
            assert (source.state, source.commit_id) == ("APPROVED", plan.head_sha)
            assert merged_at is None or counted.at <= merged_at
        else:
            (named,) = [each.run for each in explicit if each.comment_id == counted.id]
            assert named == plan.run


@given(anything(), st.randoms())
def test_the_order_in_which_the_forge_lists_opinions_does_not_matter(
    said: tuple[list[Review], list[ExplicitApproval], PeopleFacts, datetime | None], random: Random
) -> None:
    reviews, explicit, people, merged_at = said
    plans = {"run-1": FIRST, "run-2": SECOND}
    shuffled = list(reviews)
    random.shuffle(shuffled)
    one = judge(reviews, explicit, plans, SECOND, people, merged_at=merged_at)
    assert judge(shuffled, explicit[::-1], plans, SECOND, people, merged_at=merged_at) == one
