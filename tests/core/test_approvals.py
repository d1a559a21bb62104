"""Whose approval counts, for which plan, from when on; and what the others are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prbot.core.approvals import ApprovalVerdict, PeopleFacts, Refusal, commit_authors, last_pushers
from prbot.core.permissions import WhoMay
from prbot.core.pulls import Commit, Review, Role
from prbot.core.runs import Goal
from prbot.core.shown import ShownPlan
from tests.core.opinions import (
    FIRST,
    H1,
    H2,
    H3,
    NOON,
    PEOPLE,
    PLAN,
    PRINT_A,
    PRINT_B,
    SECOND,
    after,
    approve,
    refusal,
    review,
    verdict,
)


# -- who --------------------------------------------------------------------------------------------------------------
def test_a_review_of_the_planned_head_after_its_plan_counts() -> None:
    (counted,) = verdict(review()).counted
    assert (counted.user, counted.via, counted.id, counted.carried_from) == ("bo", "review", 1, None)
    assert counted.raw_digest == "sha256:1"


@pytest.mark.parametrize(
    ("opinion", "people", "code", "says"),
    [
        (review("al"), PEOPLE, Refusal.AUTHOR, "al is the author of the pull request"),
        (review("di"), PEOPLE, Refusal.COMMIT_AUTHOR, "di is the author of a commit"),
        (review("cy"), PEOPLE, Refusal.LAST_PUSHER, "cy pushed last"),
        (
            review("cy"),
            replace(PEOPLE, last_pushers=frozenset({"cy", "di"})),
            Refusal.PERHAPS_LAST_PUSHER,
            "it is not known who pushed last",
        ),
        (review("eve"), PEOPLE, Refusal.NO_WRITE_ACCESS, "eve has no write access (read)"),
        (review("fay"), PEOPLE, Refusal.NO_WRITE_ACCESS, "fay has no write access (no access at all)"),
        (review("bo", bot=True), PEOPLE, Refusal.BOT, "it is a bot"),
        (review("prbot-acme"), PEOPLE, Refusal.PRBOT, "prbot itself speaks with that account"),
        (
            review("bo"),
            replace(PEOPLE, author="prbot-acme", requester="bo"),
            Refusal.REQUESTER,
            "bo asked prbot for the pull request",
        ),
    ],
)
def test_whoever_had_a_hand_in_it_or_may_not_write_does_not_count_and_is_told_why(
    opinion: Review, people: PeopleFacts, code: Refusal, says: str
) -> None:
    given = verdict(opinion, people=people)
    assert refusal(given)[0] == code
    assert says in refusal(given)[1]
    assert refusal(verdict(replace(opinion, user=opinion.user.upper()), people=people))[0] == code


def test_where_nobody_can_be_named_as_the_pusher_anybody_may_be_and_objections_count_all_the_same() -> None:
    unknown = replace(PEOPLE, last_pushers=frozenset())
    (found,) = verdict(review(), people=unknown).not_counted
    assert found.code is Refusal.PERHAPS_LAST_PUSHER
    assert found.reason == (
        "bo's approval does not count: nobody can say who pushed last, and no commit names an account; "
        "a further push tells."
    )
    assert verdict(review(state="CHANGES_REQUESTED"), people=unknown).blocking


def test_an_explicit_approval_asks_the_same_of_its_writer_as_a_review() -> None:
    for user, code in {
        "al": Refusal.AUTHOR,
        "di": Refusal.COMMIT_AUTHOR,
        "cy": Refusal.LAST_PUSHER,
        "eve": Refusal.NO_WRITE_ACCESS,
        "prbot-acme": Refusal.PRBOT,
    }.items():
        assert refusal(verdict(approve(user)))[0] == code
    assert refusal(verdict(replace(approve(), user_is_bot=True)))[0] == Refusal.BOT


def test_roles_are_found_whatever_the_case_of_a_login() -> None:
    people = replace(PEOPLE, roles={"BO": "write"})
    assert verdict(review("bo"), people=people).satisfies(1)


def test_two_spellings_of_one_login_are_one_person() -> None:
    given = verdict(review("bo", number=1), review("Bo", number=2))
    assert len(given.counted) == 1


@pytest.mark.parametrize(("role", "counts"), [("none", 0), ("read", 0), ("triage", 0), ("write", 1), ("maintain", 1)])
def test_write_access_is_what_it_takes(role: Role, counts: int) -> None:
    assert len(verdict(review(), people=replace(PEOPLE, roles={"bo": role})).counted) == counts


@pytest.mark.parametrize(
    ("approvers", "counts", "says"),
    [
        (WhoMay(users=("BO", "cy")), True, ""),
        (WhoMay(users=("fay", "gus")), False, "the rules keep approving for fay or gus."),
        (
            WhoMay(role="maintain"),
            False,
            "the rules keep approving for somebody with maintain access, and bo has write",
        ),
        (WhoMay(role="maintain", users=("bo",)), False, "for bo (with maintain access), and bo has write access."),
    ],
)
def test_the_rules_can_keep_approving_for_some(approvers: WhoMay, counts: bool, says: str) -> None:
    people = replace(PEOPLE, approvers=approvers)
    for opinion in (review(), approve()):
        given = verdict(opinion, people=people)
        assert given.satisfies(1) == counts
        if not counts:
            assert refusal(given)[0] == Refusal.NOT_AN_APPROVER
            assert says in refusal(given)[1]


def test_being_listed_helps_nobody_who_had_a_hand_in_it_or_may_not_write() -> None:
    people = replace(PEOPLE, approvers=WhoMay(users=("al", "eve")))
    assert refusal(verdict(review("al"), people=people))[0] == Refusal.AUTHOR
    assert refusal(verdict(review("eve"), people=people))[0] == Refusal.NO_WRITE_ACCESS


def test_whoever_has_write_access_can_object_whomever_the_rules_let_approve() -> None:
    people = replace(PEOPLE, approvers=WhoMay(users=("fay",)), roles={**PEOPLE.roles, "fay": "write"})
    given = verdict(review("fay"), review("bo", "CHANGES_REQUESTED", number=2), people=people)
    assert [each.user for each in given.counted] == ["fay"]
    assert [each.user for each in given.blocking] == ["bo"]
    assert verdict(
        review("fay"), review("bo", "CHANGES_REQUESTED", number=2), review(at=70, number=3), people=people
    ).satisfies(1)


# -- when, and of what ------------------------------------------------------------------------------------------------
def test_an_approval_before_the_plan_does_not_count() -> None:
    code, reason = refusal(verdict(review(at=-1)))
    assert code == Refusal.BEFORE_PLAN
    assert reason == "bo's approval came before the plan's comment at 2026-11-20 12:00:03Z; approve again."


def test_an_approval_in_the_same_second_as_the_plan_does_not_count() -> None:
    for opinion in (review(at=0), review(at=0.9), approve(at=0)):
        code, reason = refusal(verdict(opinion))
        assert code == Refusal.SAME_SECOND
        assert (
            reason
            == "bo's approval came in the same second as the plan's comment at 2026-11-20 12:00:03Z; approve again."
        )


def test_an_approval_a_second_after_the_plan_counts() -> None:
    assert verdict(review(at=1)).satisfies(1)
    assert verdict(approve(at=1)).satisfies(1)


def test_nothing_counts_for_a_plan_that_was_not_shown() -> None:
    unseen = replace(PLAN, shown_at=None)
    code, reason = refusal(verdict(review(), plan=unseen))
    assert code == Refusal.NOT_SHOWN
    assert reason == "bo approved before the plan was shown; approve again once its comment is there."


def test_an_approval_of_an_old_head_does_not_count() -> None:
    code, reason = refusal(verdict(review(head=H1)))
    assert code == Refusal.OTHER_HEAD
    assert reason == "bo approved 1111111, not the planned head 2222222; approve again."


def test_an_explicit_approval_of_an_earlier_plan_does_not_count() -> None:
    earlier = ShownPlan("run-1", H1, PRINT_B, after(-600))
    code, reason = refusal(verdict(approve(plan=earlier), earlier=(earlier,)))
    assert code == Refusal.OTHER_PLAN
    assert reason == "bo approved the plan 7f3bbbbb, and the plan is now 7f3aaaaa; approve again."


def test_an_explicit_approval_of_an_equal_earlier_plan_that_was_not_carried_over_does_not_count() -> None:
    earlier = ShownPlan("run-1", H1, PRINT_A, after(-600))
    code, reason = refusal(verdict(approve(plan=earlier), earlier=(earlier,)))
    assert (code, reason) == (Refusal.OTHER_PLAN, "bo approved an earlier plan; approve again.")


def test_an_explicit_approval_of_another_fingerprint_under_the_runs_name_does_not_count() -> None:
    assert refusal(verdict(replace(approve(), fingerprint=PRINT_B)))[0] == Refusal.OTHER_PLAN


def test_an_explicit_approval_of_another_project_says_nothing_about_this_one() -> None:
    other = ShownPlan("run-of-another-project", H2, PRINT_B, NOON)
    assert verdict(approve(plan=other)) == ApprovalVerdict()
    both = verdict(approve(at=60), approve(plan=other, at=70, number=901))
    assert both.satisfies(1)


# -- changing one's mind ----------------------------------------------------------------------------------------------
def test_a_later_request_for_changes_ends_an_approval_and_blocks() -> None:
    given = verdict(review(number=1, at=60), review(state="CHANGES_REQUESTED", number=2, at=70))
    assert refusal(given) == (Refusal.CHANGED, "bo approved, and then requested changes.")
    assert [(each.user, each.review) for each in given.blocking] == [("bo", 2)]
    assert not given.satisfies(0)


def test_a_later_approval_ends_a_request_for_changes() -> None:
    given = verdict(review(state="CHANGES_REQUESTED", number=1, at=60), review(number=2, at=70))
    assert given.satisfies(1)


def test_within_a_second_the_forges_ids_say_which_review_came_last() -> None:
    assert verdict(review(state="CHANGES_REQUESTED", number=1), review(number=2)).satisfies(1)
    assert not verdict(review(number=1), review(state="CHANGES_REQUESTED", number=2)).satisfies(1)


def test_a_dismissed_approval_does_not_count() -> None:
    code, reason = refusal(verdict(review(state="DISMISSED")))
    assert (code, reason) == (Refusal.DISMISSED, "bo's last review was dismissed; a new approval is needed.")


def test_dismissing_the_last_review_does_not_revive_the_one_before() -> None:
    given = verdict(review(number=1, at=60), review(state="DISMISSED", number=2, at=70))
    assert refusal(given)[0] == Refusal.DISMISSED
    assert given.blocking == ()


def test_of_those_who_do_not_count_anyway_a_withdrawn_approval_is_not_mentioned() -> None:
    assert verdict(review("eve", "DISMISSED")) == ApprovalVerdict()
    assert verdict(review("al"), review("al", "CHANGES_REQUESTED", number=2)) == ApprovalVerdict()


def test_comments_and_pending_reviews_replace_nothing() -> None:
    chatter = [review(state="COMMENTED", number=2, at=70), review(state="PENDING", number=3, at=80)]
    assert verdict(review(), *chatter).satisfies(1)
    assert not verdict(review(state="CHANGES_REQUESTED"), *chatter).satisfies(0)
    assert verdict(*chatter) == ApprovalVerdict()


def test_only_those_who_count_can_block() -> None:
    for user in ("al", "di", "cy", "eve", "fay"):
        given = verdict(review(user, "CHANGES_REQUESTED"), review("bo", number=2))
        assert given.satisfies(1)


def test_a_request_for_changes_blocks_whatever_head_it_was_made_on() -> None:
    given = verdict(review(state="CHANGES_REQUESTED", head=H1, at=-600))
    assert [each.user for each in given.blocking] == ["bo"]


def test_one_objection_outweighs_any_number_of_approvals() -> None:
    people = replace(PEOPLE, roles={"bo": "write", "gus": "write", "hal": "write"})
    given = verdict(review("bo"), review("gus", number=2), review("hal", "CHANGES_REQUESTED", number=3), people=people)
    assert len(given.counted) == 2
    assert not given.satisfies(1)


def test_an_approval_on_top_of_one_that_counts_takes_nothing_back() -> None:
    earlier = ShownPlan("run-1", H1, PRINT_A, after(-600))
    plan = replace(PLAN, carries="run-1")
    too_early = review(number=2, at=-5, head=H2)
    given = verdict(review(number=1, at=-300, head=H1), too_early, plan=plan, earlier=(earlier,))
    assert [each.id for each in given.counted] == [1]


# -- reviews and explicit approvals of one person ---------------------------------------------------------------------
def test_a_request_for_changes_newer_than_an_explicit_approval_blocks() -> None:
    given = verdict(approve(at=60), review(state="CHANGES_REQUESTED", at=61))
    assert refusal(given)[0] == Refusal.CHANGED
    assert not given.satisfies(0)


def test_in_one_second_a_request_for_changes_beats_an_explicit_approval() -> None:
    assert not verdict(approve(at=60, number=5), review(state="CHANGES_REQUESTED", at=60, number=1)).satisfies(0)


def test_an_explicit_approval_lifts_an_earlier_request_for_changes_while_it_counts() -> None:
    objection = review(state="CHANGES_REQUESTED", at=10)
    assert verdict(objection, approve(at=60)).satisfies(1)
    moved_on = ShownPlan("run-3", H3, PRINT_B, after(100))
    given = verdict(objection, approve(at=60), plan=moved_on, earlier=(PLAN,))
    assert refusal(given)[0] == Refusal.OTHER_PLAN
    assert [each.user for each in given.blocking] == ["bo"]


def test_an_approving_review_lifts_an_earlier_request_for_changes_even_if_it_does_not_count() -> None:
    given = verdict(review(state="CHANGES_REQUESTED", at=10), review(number=2, at=60, head=H1))
    assert refusal(given)[0] == Refusal.OTHER_HEAD
    assert given.blocking == ()


# -- carried over -----------------------------------------------------------------------------------------------------
def test_an_approval_that_counted_for_a_carried_plan_counts_for_the_later_one() -> None:
    (counted,) = verdict(review(head=H1, at=-300), plan=SECOND, earlier=(FIRST,)).counted
    assert counted.carried_from == "run-1"
    (counted,) = verdict(approve(plan=FIRST, at=-300), plan=SECOND, earlier=(FIRST,)).counted
    assert counted.carried_from == "run-1"


def test_an_approval_that_did_not_count_for_the_carried_plan_does_not_count_later() -> None:
    given = verdict(review(head=H1, at=-600), plan=SECOND, earlier=(FIRST,))
    assert refusal(given)[0] == Refusal.SAME_SECOND


def test_the_chain_is_followed_link_by_link() -> None:
    third = ShownPlan("run-3", H3, PRINT_A, after(600), carries="run-2")
    given = verdict(review(head=H1, at=-300), plan=third, earlier=(FIRST, SECOND))
    assert [each.carried_from for each in given.counted] == ["run-1"]
    broken = verdict(review(head=H1, at=-300), plan=third, earlier=(FIRST, replace(SECOND, carries=None)))
    assert refusal(broken)[0] == Refusal.OTHER_HEAD


def test_a_link_between_plans_with_different_fingerprints_carries_nothing() -> None:
    given = verdict(review(head=H1, at=-300), plan=SECOND, earlier=(replace(FIRST, fingerprint=PRINT_B),))
    assert refusal(given)[0] == Refusal.OTHER_HEAD


def test_a_chain_that_bites_its_tail_ends() -> None:
    given = verdict(review(head=H3), plan=SECOND, earlier=(replace(FIRST, carries="run-2"),))
    assert refusal(given)[0] == Refusal.OTHER_HEAD


def test_whoever_pushed_since_no_longer_counts_even_for_a_carried_approval() -> None:
    people = replace(PEOPLE, last_pushers=frozenset({"bo"}))
    given = verdict(review(head=H1, at=-300), plan=SECOND, earlier=(FIRST,), people=people)
    assert refusal(given)[0] == Refusal.LAST_PUSHER


# -- after the merge --------------------------------------------------------------------------------------------------
def test_a_review_from_before_the_merge_still_counts_after_it() -> None:
    assert verdict(review(at=60), merged_at=after(60)).satisfies(1)


def test_a_review_after_the_merge_does_not_count() -> None:
    code, reason = refusal(verdict(review(at=61), merged_at=after(60)))
    assert code == Refusal.AFTER_MERGE
    assert reason == "bo's review came after the merge; on a merged pull request only an explicit approve counts."


def test_a_second_review_after_the_merge_takes_nothing_from_the_first() -> None:
    given = verdict(review(at=60, number=1), review(at=90, number=2), merged_at=after(70))
    assert [each.id for each in given.counted] == [1]


def test_only_an_explicit_approval_counts_for_a_plan_made_after_the_merge() -> None:
    held = ShownPlan("run-9", H2, PRINT_B, after(100), goal=Goal.APPLY)
    code, _ = refusal(verdict(review(at=60), plan=held, earlier=(PLAN,), merged_at=after(90)))
    assert code == Refusal.PLANNED_AFTER_MERGE
    given = verdict(review(at=60), approve(plan=held, at=101), plan=held, earlier=(PLAN,), merged_at=after(90))
    assert [each.via for each in given.counted] == ["command"]


def test_a_request_for_changes_after_the_merge_still_blocks() -> None:
    given = verdict(review(at=60, number=1), review("bo", "CHANGES_REQUESTED", at=95, number=2), merged_at=after(90))
    assert not given.satisfies(1)


# -- pushers and authors ----------------------------------------------------------------------------------------------
COMMITS = [
    Commit("c1", "al", "al", ("c0",)),
    Commit("c2", "di", "cy", ("c1",)),
    Commit("c3", None, "web-flow", ("c2",)),
    Commit("c4", "bo", "web-flow", ("c3", "b9")),
]


def test_whoever_is_known_to_have_pushed_last_did_else_everybody_may_have() -> None:
    assert last_pushers("cy", COMMITS) == {"cy"}
    assert last_pushers(None, COMMITS) == {"al", "bo", "cy", "di"}


def test_everybody_who_authored_a_commit_is_an_author_but_not_by_merging_base() -> None:
    assert commit_authors(COMMITS) == {"al", "bo", "di"}
    assert commit_authors(COMMITS, base_merges=frozenset({"c4"})) == {"al", "di"}


def test_the_digest_of_an_explicit_approval_depends_on_each_of_its_fields() -> None:
    original = approve()
    variants = [
        replace(original, user="al"),
        replace(original, user_is_bot=True),
        replace(original, run="run-3"),
        replace(original, fingerprint=PRINT_B),
        replace(original, at=after(61)),
        replace(original, comment_id=901),
    ]
    assert len({each.raw_digest for each in [original, *variants]}) == 7
    assert replace(original).raw_digest == original.raw_digest


def test_of_several_approvals_by_one_person_it_is_said_how_many_there_are() -> None:
    (counted,) = verdict(review(at=60, number=1), approve(at=90), review(at=120, head=H1, number=2)).counted
    assert (counted.via, counted.id, counted.of) == ("command", 900, 3)
    assert verdict(review()).counted[0].of == 1
