"""What happened to a pull request that prbot did not act on, by what it last acted on and what the forge says now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prbot.core.missed import (
    MOST_PUSHES,
    Standing,
    actions_missed,
    comment_event,
    in_order,
    pull_events,
    pushes_missed,
    standing,
)
from prbot.core.pulls import Comment, Push
from tests.core.gate_samples import HEAD, MERGED, MERGED_AT, NOON, OLD, PULL

NOW = standing(PULL)
LATER = "2026-11-20T13:00:00Z"


def acted(**changes: Any) -> Standing:
    return replace(NOW, **changes)


def test_a_standing_says_open_closed_or_merged() -> None:
    assert [standing(each).state for each in (PULL, replace(PULL, state="closed"), MERGED)] == [
        "open",
        "closed",
        "merged",
    ]


@pytest.mark.parametrize(
    ("before", "now", "missed"),
    [
        (NOW, NOW, ()),
        (acted(head_sha=OLD), NOW, ("pushed",)),
        (acted(state="closed"), NOW, ("reopened",)),
        (acted(base_branch="release"), NOW, ("base_changed",)),
        (acted(draft=True), NOW, ("ready",)),
        (NOW, acted(draft=True), ()),
        (acted(head_sha=OLD, state="closed", base_branch="dev"), NOW, ("pushed", "reopened", "base_changed")),
        (NOW, acted(state="closed"), ("closed",)),
        (NOW, acted(state="merged"), ("closed",)),
        (acted(state="closed"), acted(state="merged"), ("closed",)),
        (acted(state="merged"), acted(state="merged"), ()),
        (acted(head_sha=OLD), acted(state="merged"), ("closed",)),
    ],
)
def test_what_differs_from_what_was_acted_on_was_missed(
    before: Standing, now: Standing, missed: tuple[str, ...]
) -> None:
    assert actions_missed(now, before, old=False) == missed


def test_a_list_that_is_behind_what_was_acted_on_says_nothing() -> None:
    assert actions_missed(NOW, acted(head_sha=OLD, updated_at=LATER), old=False) == ()


@pytest.mark.parametrize(
    ("state", "old", "missed"),
    [
        ("open", False, ("opened",)),
        ("merged", False, ("closed",)),
        ("closed", False, ("closed",)),
        ("open", True, ("reopened",)),
        ("merged", True, ()),
        ("closed", True, ()),
    ],
)
def test_of_one_that_was_never_acted_on_its_age_decides(state: str, old: bool, missed: tuple[str, ...]) -> None:
    assert actions_missed(acted(state=state), None, old=old) == missed


def chain(*by: str) -> list[Push]:
    return [Push(str(number), str(number + 1), login) for number, login in enumerate(by)]


def test_pushes_are_followed_back_to_what_is_known() -> None:
    pushes = chain("al", "bo", "cy")
    assert pushes_missed(pushes, "1", "3") == pushes[1:]
    assert pushes_missed(pushes, "", "3") == pushes
    assert pushes_missed(pushes, "somewhere", "3") == pushes


def test_pushes_that_were_undone_since_do_not_count() -> None:
    there_and_back = [Push("a", "b", "al"), Push("b", "a", "bo"), Push("a", "c", "cy")]
    assert pushes_missed(there_and_back, "a", "c") == there_and_back[2:]


def test_a_head_that_no_push_tells_of_is_nobodys() -> None:
    assert pushes_missed(chain("al"), "1", "9") == [Push("1", "9", "")]
    assert pushes_missed([], "", "9") == [Push("", "9", "")]


def test_of_very_many_pushes_the_newest_count() -> None:
    pushes = chain(*["al"] * 40)
    assert pushes_missed(pushes, "0", "40") == pushes[-MOST_PUSHES:]


def test_a_new_pull_request_is_opened_once_and_pushed_to_from_there() -> None:
    events = pull_events(PULL, "opened", [Push("", OLD, "al"), Push(OLD, HEAD, "bo")])
    assert [(each.action, each.sender, each.head_sha) for each in events] == [
        ("opened", "al", OLD),
        ("pushed", "bo", HEAD),
    ]


def test_a_merge_names_who_merged() -> None:
    assert [(each.action, each.sender) for each in pull_events(MERGED, "closed")] == [("closed", "al")]


def test_what_was_said_before_a_merge_comes_before_it_and_what_was_said_since_after() -> None:
    def said(seconds: int) -> Comment:
        at = MERGED_AT + timedelta(seconds=seconds)
        return Comment(100 + seconds, "bo", False, "prbot approve", at, at)

    comments = [comment_event(MERGED, said(seconds)) for seconds in (-5, 0, 5)]
    closing = pull_events(MERGED, "closed")
    assert in_order(MERGED, closing, comments) == [*comments[:2], *closing, comments[2]]
    pushing = pull_events(PULL, "pushed", [Push(OLD, HEAD, "al")])
    assert in_order(PULL, pushing, comments) == [*pushing, *comments]


def test_a_comments_event_says_what_a_delivery_would() -> None:
    event = comment_event(PULL, Comment(4, "ci", True, "prbot plan", NOON, NOON))
    assert (event.comment_id, event.sender, event.author_is_bot, event.created_at) == (
        4,
        "ci",
        True,
        "2026-11-20T12:00:03Z",
    )
