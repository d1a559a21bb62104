from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from prbot.core.events import (
    CommentEvent,
    Ignored,
    Malformed,
    ParsedDelivery,
    Ping,
    PullEvent,
    QueueEvent,
    RerunEvent,
    ReviewEvent,
    UnsupportedContent,
)
from prbot.core.ids import PullKey, Repo
from prbot.github.payloads import parse
from tests.adapters.github.documents import (
    HEAD,
    MERGE,
    comment,
    comment_payload,
    pull_payload,
    repository,
    review_payload,
    user,
)

REPO = Repo("acme/infra", "https://github.com/acme/infra.git")
KEY = PullKey("acme/infra", 7)


def parsed(event: str, payload: object) -> ParsedDelivery:
    return parse(event, "application/json", json.dumps(payload).encode())


def ignored(event: str, payload: object) -> str:
    outcome = parsed(event, payload).outcome
    assert isinstance(outcome, Ignored)
    return outcome.reason


def problem(delivery: ParsedDelivery) -> str:
    assert isinstance(delivery.outcome, Malformed)
    return delivery.outcome.problem


AT = "2026-11-20T12:00:00Z"
"""When the documents say that it changed."""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("opened", "opened"),
        ("reopened", "reopened"),
        ("ready_for_review", "ready"),
        ("converted_to_draft", "drafted"),
        ("labeled", "labeled"),
        ("closed", "closed"),
    ],
)
def test_what_happened_to_a_pull_request_is_told(theirs: str, ours: Any) -> None:
    expected = PullEvent(ours, REPO, KEY, sender="cy", head_sha=HEAD, updated_at=AT)
    assert parsed("pull_request", pull_payload(theirs)) == ParsedDelivery(expected, "acme/infra", 7)


def test_a_push_tells_what_its_sender_pushed_even_if_the_head_has_moved_on() -> None:
    outcome = parsed("pull_request", pull_payload("synchronize", before=HEAD, after=MERGE)).outcome
    assert outcome == PullEvent("pushed", REPO, KEY, sender="cy", head_sha=MERGE, updated_at=AT, before_sha=HEAD)


def test_an_edit_matters_only_when_the_base_changed() -> None:
    to_base = pull_payload("edited", changes={"base": {"ref": {"from": "dev"}, "sha": {"from": MERGE}}})
    assert parsed("pull_request", to_base).outcome == PullEvent("base_changed", REPO, KEY, "cy", HEAD, AT)
    assert "only a changed base" in ignored("pull_request", pull_payload("edited", changes={"title": {"from": "x"}}))


def test_a_new_comment_on_a_pull_request_is_told() -> None:
    expected = CommentEvent(REPO, KEY, "al", 41, "prbot plan", author_is_bot=False, created_at="2026-11-20T12:00:00Z")
    assert parsed("issue_comment", comment_payload()) == ParsedDelivery(expected, "acme/infra", 7)


def test_a_bots_comment_says_so_and_a_deleted_authors_is_a_ghosts() -> None:
    by_bot = parsed("issue_comment", comment_payload(comment=comment(1, "x", user=user("ci[bot]", "Bot")))).outcome
    assert isinstance(by_bot, CommentEvent)
    assert (by_bot.sender, by_bot.author_is_bot) == ("ci[bot]", True)
    by_nobody = parsed("issue_comment", comment_payload(comment=comment(1, "x", user=None))).outcome
    assert isinstance(by_nobody, CommentEvent)
    assert (by_nobody.sender, by_nobody.author_is_bot) == ("ghost", False)


def test_a_comment_speaks_for_its_author_not_for_whoever_sent_the_delivery() -> None:
    outcome = parsed("issue_comment", comment_payload(sender=user("admin"))).outcome
    assert isinstance(outcome, CommentEvent)
    assert outcome.sender == "al"


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_edited_and_deleted_comments_do_nothing(action: str) -> None:
    assert parsed("issue_comment", comment_payload(action)) == ParsedDelivery(
        Ignored(f"{action} comments do nothing"), "acme/infra", 7
    )


def test_a_comment_on_a_plain_issue_is_ignored_and_belongs_to_no_pull_request() -> None:
    delivery = parsed("issue_comment", comment_payload(issue={"number": 7, "title": "Broken"}))
    assert delivery == ParsedDelivery(Ignored("a comment on an issue that is not a pull request"), "acme/infra", None)


@pytest.mark.parametrize("action", ["submitted", "dismissed"])
def test_a_review_is_told(action: Any) -> None:
    expected = ParsedDelivery(ReviewEvent(REPO, KEY, "bo", action), "acme/infra", 7)
    assert parsed("pull_request_review", review_payload(action)) == expected


def test_an_edited_review_is_ignored() -> None:
    assert "edited" in ignored("pull_request_review", review_payload("edited"))


def test_other_actions_are_ignored_by_name_and_recorded_with_their_pull_request() -> None:
    delivery = parsed("pull_request", pull_payload("assigned"))
    assert delivery == ParsedDelivery(Ignored("pull_request action assigned is not used"), "acme/infra", 7)


def test_other_events_are_ignored_by_name() -> None:
    assert ignored("fork", {"action": "created"}) == "event fork is not used"
    assert ignored("x\n" * 400, {}) == "event " + "x?" * 50 + "… is not used"


def test_a_ping_needs_neither_repository_nor_hook() -> None:
    assert parsed("ping", {"zen": "Design for failure.", "hook_id": 30}).outcome == Ping(30)
    assert parsed("ping", {}).outcome == Ping(None)


def test_form_and_json_say_the_same() -> None:
    payload = comment_payload(comment=comment(1, "prbot plan -d a&b=c+d%20 é 🚀"))
    form = urlencode({"payload": json.dumps(payload)}).encode()
    from_form = parse("issue_comment", "application/x-www-form-urlencoded; charset=utf-8", form)
    assert from_form == parsed("issue_comment", payload)
    assert isinstance(from_form.outcome, CommentEvent)


def test_other_content_types_are_told_apart() -> None:
    for kind in ("text/plain", "", "application/jsonp"):
        outcome = parse("ping", kind, b"{}").outcome
        assert isinstance(outcome, UnsupportedContent)
        assert "expected application/json" in outcome.problem


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("repository.full_name", "acme", "owner/name"),
        ("repository.full_name", "../infra", "owner/name"),
        ("repository.clone_url", "ext::sh -c id", "an http or https URL"),
        ("repository.clone_url", "https://[broken", "an http or https URL"),
        ("repository.clone_url", "ssh://git@github.com/acme/infra.git", "an http or https URL"),
        ("repository.clone_url", "https://github.com/acme/infra.git\n", "an http or https URL"),
        ("pull_request.number", "7", "a whole number"),
        ("pull_request.number", True, "a whole number"),
        ("pull_request.number", 2**63, "a whole number"),
        ("pull_request.head.sha", "main", "a commit id"),
        ("pull_request.head", None, "an object"),
        ("sender.login", "a b", "a login"),
        ("sender.login", "\ud800", "a login"),
        ("action", "open\x00ed", "a word"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_expected_there(path: str, value: object, expected: str) -> None:
    payload = pull_payload("opened")
    place: Any = payload
    *way, last = path.split(".")
    for name in way:
        place = place[name]
    place[last] = value
    assert problem(parsed("pull_request", payload)).startswith(f"`{path}` is wrong: expected {expected}")


def test_a_missing_field_is_named_and_what_is_known_is_kept() -> None:
    payload = pull_payload("opened")
    del payload["pull_request"]["head"]["sha"]
    delivery = parsed("pull_request", payload)
    assert problem(delivery) == "`pull_request.head.sha` is missing: expected a commit id (40 or 64 hexadecimal digits)"
    assert (delivery.repo, delivery.pull) == ("acme/infra", 7)


def test_a_body_without_a_json_object_is_malformed() -> None:
    deep = b"[" * 200_000
    for body in (b"", b"{", b"\xff", b"\x00", b'{"a":NaN}', b'{"a":-Infinity}', deep, b'{"a":' * 100_000, b"9" * 5000):
        assert problem(parse("pull_request", "application/json", body)).startswith("the body is not a JSON document")
    assert problem(parse("ping", "application/json", b"[]")) == "the document is wrong: expected an object"
    for form in (b"", b"other=1", b"payload={}&payload={}", b"payload=%ff"):
        assert problem(parse("ping", "application/x-www-form-urlencoded", form)).startswith("the body is not")


def test_a_delivery_without_an_event_name_is_malformed() -> None:
    assert "X-GitHub-Event" in problem(parsed("", {}))


def test_of_a_key_that_is_there_twice_the_last_one_counts() -> None:
    assert parse("ping", "application/json", b'{"hook_id":1,"hook_id":2}').outcome == Ping(2)


def test_what_people_wrote_is_read_whatever_is_in_it() -> None:
    outcome = parsed("issue_comment", comment_payload(comment=comment(1, "prbot plan \ud800 \x00"))).outcome
    assert isinstance(outcome, CommentEvent)
    assert outcome.body == "prbot plan ? ?"


def test_a_problem_never_repeats_the_value() -> None:
    assert "hunter2" not in problem(parsed("pull_request", pull_payload("opened", sender={"login": "hunter2 x"})))


def queue_payload(action: str = "checks_requested", ref: str = "refs/heads/gh-readonly-queue/rel/1/pr-7-abc0") -> Any:
    group = {"head_sha": MERGE, "head_ref": ref, "base_sha": HEAD, "base_ref": "refs/heads/rel/1"}
    return {**pull_payload("opened"), "action": action, "merge_group": group}


def test_a_merge_queue_names_the_pull_request_by_its_branch() -> None:
    outcome = parsed("merge_group", queue_payload()).outcome
    assert outcome == QueueEvent(REPO, KEY, sender="cy", head_sha=MERGE, base_sha=HEAD)
    assert "destroyed" in ignored("merge_group", queue_payload("destroyed"))
    assert "names no pull request" in ignored("merge_group", queue_payload(ref="refs/heads/main"))


def check_payload(action: str, number: object = "7", **more: Any) -> dict[str, Any]:
    about = {"head_sha": HEAD, "external_id": number, "pull_requests": []}
    return {"action": action, "check_run": about, "repository": repository(), "sender": user("cy"), **more}


def suite_payload(action: str, *numbers: int) -> dict[str, Any]:
    suite = {"head_sha": HEAD, "pull_requests": [{"number": number} for number in numbers]}
    return {"action": action, "check_suite": suite, "repository": repository(), "sender": user("cy")}


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("check_run", check_payload("rerequested")),
        ("check_run", check_payload("requested_action", requested_action={"identifier": "plan"})),
        ("check_suite", suite_payload("rerequested", 7, 8)),
    ],
)
def test_the_buttons_of_a_check_ask_for_a_plan_of_its_commit(event: str, payload: dict[str, Any]) -> None:
    assert parsed(event, payload).outcome == RerunEvent(REPO, KEY, "cy", HEAD)


@pytest.mark.parametrize(
    ("event", "payload", "why"),
    [
        ("check_run", check_payload("completed"), "check_run action completed is not used"),
        ("check_run", check_payload("requested_action", requested_action={"identifier": "other"}), "is not used"),
        ("check_run", check_payload("rerequested", number="build-7"), "not one of prbot's"),
        ("check_run", check_payload("rerequested", number=None), "not one of prbot's"),
        ("check_suite", suite_payload("requested", 7), "check_suite action requested is not used"),
        ("check_suite", suite_payload("rerequested"), "re-run its check by itself"),
    ],
)
def test_other_news_of_checks_are_ignored_with_the_reason(event: str, payload: dict[str, Any], why: str) -> None:
    assert why in ignored(event, payload)
