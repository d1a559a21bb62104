"""The payload parser meets anything."""

from __future__ import annotations

import copy
import json
import string
from typing import Any
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from prbot.core.events import (
    CommentEvent,
    Ignored,
    Malformed,
    Ping,
    PullEvent,
    ReviewEvent,
    UnsupportedContent,
)
from prbot.github.payloads import parse
from tests.adapters.github.documents import (
    comment,
    comment_payload,
    pull,
    pull_payload,
    repository,
    review_payload,
    user,
)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
EVENTS = st.sampled_from(["ping", "pull_request", "issue_comment", "pull_request_review", "push", ""])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)
IDS = st.integers(0, 2**63 - 1)

REQUIRED = {
    "pull_request": (
        pull_payload("opened"),
        ["action", "repository", "repository.full_name", "repository.clone_url", "pull_request", "pull_request.number",
         "pull_request.head", "pull_request.head.sha", "sender", "sender.login"],
    ),
    "issue_comment": (
        comment_payload(),
        ["action", "repository", "repository.full_name", "repository.clone_url", "issue", "issue.number", "comment",
         "comment.id", "comment.body", "comment.user", "comment.user.login", "comment.user.type", "comment.created_at"],
    ),
    "pull_request_review": (
        review_payload("submitted"),
        ["action", "repository", "repository.full_name", "repository.clone_url", "pull_request", "pull_request.number",
         "sender", "sender.login"],
    ),
}  # fmt: skip
FIELDS = [(event, path) for event, (_, paths) in REQUIRED.items() for path in paths]

OUTCOMES = (Ping, PullEvent, CommentEvent, ReviewEvent, Ignored, Malformed, UnsupportedContent)


@given(EVENTS | st.text(), st.sampled_from([JSON, FORM]) | st.text(), st.binary())
def test_no_bytes_raise(event: str, content_type: str, body: bytes) -> None:
    assert isinstance(parse(event, content_type, body).outcome, OUTCOMES)


@given(EVENTS, DOCUMENTS)
def test_no_document_raises(event: str, document: object) -> None:
    assert isinstance(parse(event, JSON, json.dumps(document).encode()).outcome, OUTCOMES)


@given(st.sampled_from(FIELDS), DOCUMENTS)
def test_no_value_in_any_place_raises_and_a_refusal_names_the_place(field: tuple[str, str], value: object) -> None:
    event, path = field
    document = _changed(event, path, lambda place, name: place.__setitem__(name, value))
    outcome = parse(event, JSON, json.dumps(document).encode()).outcome
    assert isinstance(outcome, OUTCOMES)
    if isinstance(outcome, Malformed) and "not a JSON document" not in outcome.problem:
        assert f"`{path}" in outcome.problem


@given(st.sampled_from(FIELDS))
def test_without_any_one_required_field_a_delivery_is_malformed_and_the_field_is_named(field: tuple[str, str]) -> None:
    event, path = field
    document = _changed(event, path, lambda place, name: place.__delitem__(name))
    outcome = parse(event, JSON, json.dumps(document).encode()).outcome
    assert isinstance(outcome, Malformed)
    assert outcome.problem.startswith(f"`{path}` is missing: expected ")


@given(NAMES, NAMES, IDS, NAMES, SHAS)
def test_what_a_valid_push_says_comes_through(owner: str, name: str, number: int, sender: str, sha: str) -> None:
    full_name = f"{owner}/{name}"
    payload = pull_payload(
        "synchronize", after=sha, repository=repository(full_name), pull_request=pull(number), sender=user(sender)
    )
    for content_type, body in ((JSON, json.dumps(payload)), (FORM, urlencode({"payload": json.dumps(payload)}))):
        parsed = parse("pull_request", content_type, body.encode())
        outcome = parsed.outcome
        assert isinstance(outcome, PullEvent)
        assert (outcome.repo.name, outcome.pull.number, outcome.sender, outcome.head_sha) == (
            full_name,
            number,
            sender,
            sha,
        )
        assert (parsed.repo, parsed.pull) == (full_name, number)


@given(IDS, NAMES, st.text(alphabet=st.characters(exclude_characters="\0")))
def test_what_a_valid_comment_says_comes_through(number: int, author: str, body: str) -> None:
    payload = comment_payload(comment=comment(number, body, user=user(author)))
    outcome = parse("issue_comment", JSON, json.dumps(payload).encode()).outcome
    assert isinstance(outcome, CommentEvent)
    assert (outcome.comment_id, outcome.sender) == (number, author)
    assert outcome.body == body.encode("utf-8", "replace").decode()


def _changed(event: str, path: str, change: Any) -> dict[str, Any]:
    document = copy.deepcopy(REQUIRED[event][0])
    place: Any = document
    *way, last = path.split(".")
    for name in way:
        place = place[name]
    change(place, last)
    return document
