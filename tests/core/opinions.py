"""Sample plans, people, reviews and explicit approvals, and one call that judges them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prbot.core.approvals import ApprovalVerdict, ExplicitApproval, PeopleFacts, Refusal, judge
from prbot.core.pulls import Review, ReviewState
from prbot.core.shown import ShownPlan

NOON = datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC)
H1, H2, H3 = "1" * 40, "2" * 40, "3" * 40
PRINT_A = "k1:7f3a" + "a" * 60
PRINT_B = "k1:7f3b" + "b" * 60
PLAN = ShownPlan("run-2", H2, PRINT_A, NOON)
FIRST = ShownPlan("run-1", H1, PRINT_A, NOON - timedelta(seconds=600))
SECOND = replace(PLAN, carries="run-1")
OTHER = ShownPlan("run-8", H2, PRINT_B, NOON)
PEOPLE = PeopleFacts(
    author="al",
    requester=None,
    last_pushers=frozenset({"cy"}),
    commit_authors=frozenset({"al", "di"}),
    bot_login="prbot-acme",
    roles={"al": "admin", "bo": "write", "cy": "write", "di": "maintain", "eve": "read", "prbot-acme": "admin"},
)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def review(
    user: str = "bo",
    state: ReviewState = "APPROVED",
    *,
    at: float = 60,
    head: str = H2,
    number: int = 1,
    bot: bool = False,
) -> Review:
    return Review(number, user, bot, state, head, after(at), f"sha256:{number}")


def approve(user: str = "bo", plan: ShownPlan = PLAN, *, at: float = 60, number: int = 900) -> ExplicitApproval:
    return ExplicitApproval(user, False, plan.run, plan.fingerprint, after(at), number)


def verdict(
    *opinions: Review | ExplicitApproval,
    plan: ShownPlan = PLAN,
    earlier: tuple[ShownPlan, ...] = (),
    people: PeopleFacts = PEOPLE,
    merged_at: datetime | None = None,
) -> ApprovalVerdict:
    reviews = [each for each in opinions if isinstance(each, Review)]
    explicit = [each for each in opinions if isinstance(each, ExplicitApproval)]
    plans = {each.run: each for each in (*earlier, plan)}
    return judge(reviews, explicit, plans, plan, people, merged_at=merged_at)


def refusal(given: ApprovalVerdict) -> tuple[Refusal, str]:
    assert given.counted == ()
    (refused,) = given.not_counted
    return refused.code, refused.reason
