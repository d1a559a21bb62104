"""GitHub's webhook deliveries: bytes to events. Pure.

The format is the one at https://docs.github.com/webhooks/webhook-events-and-payloads. Only what prbot uses is read, and
only that is required, so that a delivery with new or missing extras is still understood.
"""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs

from prbot.core.events import (
    CommentEvent,
    Event,
    Ignored,
    Malformed,
    ParsedDelivery,
    Ping,
    PullAction,
    PullEvent,
    QueueEvent,
    RerunEvent,
    ReviewEvent,
    UnsupportedContent,
)
from prbot.core.ids import PullKey, Repo
from prbot.github import fields
from prbot.github.bodies import PLAN_BUTTON
from prbot.github.fields import Kind, WrongField, account, find, load, optional, required

T = TypeVar("T")

EVENTS = frozenset({"pull_request", "issue_comment", "pull_request_review", "merge_group"})
"""The events that prbot acts on."""
_PULL_ACTIONS: dict[str, PullAction] = {
    "opened": "opened",
    "synchronize": "pushed",
    "reopened": "reopened",
    "ready_for_review": "ready",
    "converted_to_draft": "drafted",
    "labeled": "labeled",
    "closed": "closed",
}
_QUEUED = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-(\d{1,18})-[0-9a-f]+", re.ASCII)
"""The branch that a merge queue makes for a pull request: its base, its number, and the commit that it is put on."""
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_REVIEW_ACTIONS: dict[str, Literal["submitted", "dismissed"]] = {"submitted": "submitted", "dismissed": "dismissed"}


def parse(event_name: str, content_type: str, body: bytes) -> ParsedDelivery:
    """Read a delivery: its `X-GitHub-Event` and `Content-Type` headers and its raw body. Never raises."""
    try:
        text = _json_text(content_type, body)
        document = load(text) if text is not None else None
    except ValueError as error:
        return ParsedDelivery(Malformed(f"the body is not a JSON document: {_brief(str(error))}"))
    if text is None:
        expected = "expected application/json or application/x-www-form-urlencoded"
        return ParsedDelivery(UnsupportedContent(f"content type {_brief(content_type)}: {expected}"))
    if not isinstance(document, dict):
        return ParsedDelivery(Malformed("the document is wrong: expected an object"))
    try:
        outcome = _outcome(event_name, document)
    except WrongField as wrong:
        outcome = Malformed(str(wrong))
    return ParsedDelivery(outcome, _known(document, "repository.full_name", fields.REPO_NAME), _known_pull(document))


def _json_text(content_type: str, body: bytes) -> str | None:
    """The JSON in the body; None for a content type that is not ours. ValueError when it is not there."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return body.decode()
    if kind == "application/x-www-form-urlencoded":
        payloads = parse_qs(body.decode(), errors="strict", max_num_fields=16).get("payload", [])
        if len(payloads) != 1:
            raise ValueError("the form lacks its one `payload` field")
        return payloads[0]
    return None


def _outcome(name: str, document: dict[str, Any]) -> Event | Ignored | Malformed:
    match name:
        case "":
            return Malformed("the X-GitHub-Event header is missing: expected the event's name")
        case "ping":
            return Ping(optional(document, "hook_id", fields.ID))
        case "pull_request":
            return _pull_event(document)
        case "issue_comment":
            return _comment_event(document)
        case "pull_request_review":
            return _review_event(document)
        case "merge_group":
            return _queue_event(document)
        case "check_run":
            return _check_run_event(document)
        case "check_suite":
            return _check_suite_event(document)
        case _:
            return Ignored(f"event {_brief(name)} is not used")


def _pull_event(document: dict[str, Any]) -> PullEvent | Ignored:
    action = required(document, "action", fields.WORD)
    if action == "edited":
        if find(document, "changes.base") is None:
            return Ignored("editing a pull request's title or text does nothing; only a changed base does")
        meaning: PullAction = "base_changed"
    elif action in _PULL_ACTIONS:
        meaning = _PULL_ACTIONS[action]
    else:
        return Ignored(f"pull_request action {action} is not used")
    repo, updated_at = _repo(document), optional(document, "pull_request.updated_at", fields.TIME)
    return PullEvent(
        action=meaning,
        repo=repo,
        pull=PullKey(repo.name, required(document, "pull_request.number", fields.ID)),
        sender=required(document, "sender.login", fields.LOGIN),
        # by the time of the delivery the pull request may have moved on: only `after` is what this sender pushed
        head_sha=required(document, "after" if meaning == "pushed" else "pull_request.head.sha", fields.SHA),
        updated_at=f"{updated_at:%Y-%m-%dT%H:%M:%SZ}" if updated_at is not None else "",
        before_sha=optional(document, "before", fields.SHA) or "" if meaning == "pushed" else "",
    )


def _comment_event(document: dict[str, Any]) -> CommentEvent | Ignored:
    action = required(document, "action", fields.WORD)
    if action in {"edited", "deleted"}:
        return Ignored(f"{action} comments do nothing")
    if action != "created":
        return Ignored(f"issue_comment action {action} is not used")
    number = required(document, "issue.number", fields.ID)
    if find(document, "issue.pull_request") is None:
        return Ignored("a comment on an issue that is not a pull request")
    repo = _repo(document)
    # The author is who speaks. Whoever sent the delivery may be somebody else (an import in others' names).
    author = account(document, "comment.user")
    return CommentEvent(
        repo=repo,
        pull=PullKey(repo.name, number),
        sender=author.login,
        comment_id=required(document, "comment.id", fields.ID),
        body=required(document, "comment.body", fields.PROSE),
        author_is_bot=author.is_bot,
        created_at=f"{required(document, 'comment.created_at', fields.TIME):%Y-%m-%dT%H:%M:%SZ}",
    )


def _review_event(document: dict[str, Any]) -> ReviewEvent | Ignored:
    action = required(document, "action", fields.WORD)
    if action not in _REVIEW_ACTIONS:
        return Ignored(f"pull_request_review action {action} is not used")
    repo = _repo(document)
    return ReviewEvent(
        repo=repo,
        pull=PullKey(repo.name, required(document, "pull_request.number", fields.ID)),
        sender=required(document, "sender.login", fields.LOGIN),
        action=_REVIEW_ACTIONS[action],
    )


def _queue_event(document: dict[str, Any]) -> QueueEvent | Ignored:
    action = required(document, "action", fields.WORD)
    if action != "checks_requested":
        return Ignored(f"merge_group action {action} is not used")
    number = _QUEUED.fullmatch(required(document, "merge_group.head_ref", fields.BRANCH))
    if number is None:
        return Ignored("the merge queue's branch names no pull request")
    repo = _repo(document)
    return QueueEvent(
        repo=repo,
        pull=PullKey(repo.name, int(number[1])),
        sender=required(document, "sender.login", fields.LOGIN),
        head_sha=required(document, "merge_group.head_sha", fields.SHA),
        base_sha=required(document, "merge_group.base_sha", fields.SHA),
    )


def _check_run_event(document: dict[str, Any]) -> RerunEvent | Ignored:
    """GitHub asks for these only the App whose check run it is."""
    action = required(document, "action", fields.WORD)
    pressed = action == "requested_action" and find(document, "requested_action.identifier") == PLAN_BUTTON
    if action != "rerequested" and not pressed:
        return Ignored(f"check_run action {action} is not used")
    number = find(document, "check_run.external_id")
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        return Ignored("the check run names no pull request: it is not one of prbot's")
    return _rerun(document, int(number), "check_run.head_sha")


def _check_suite_event(document: dict[str, Any]) -> RerunEvent | Ignored:
    """All checks of a commit again. GitHub names the pull requests from the repository's own branches alone, here the
    first of them counts."""
    action = required(document, "action", fields.WORD)
    if action != "rerequested":
        return Ignored(f"check_suite action {action} is not used")
    pulls = required(document, "check_suite.pull_requests", fields.LIST)
    if not pulls:
        return Ignored("the check suite names no pull request: re-run its check by itself")
    return _rerun(document, required(pulls[0], "number", fields.ID), "check_suite.head_sha")


def _rerun(document: dict[str, Any], number: int, head: str) -> RerunEvent:
    repo = _repo(document)
    sender = required(document, "sender.login", fields.LOGIN)
    return RerunEvent(repo, PullKey(repo.name, number), sender, required(document, head, fields.SHA))


def _repo(document: dict[str, Any]) -> Repo:
    return Repo(
        name=required(document, "repository.full_name", fields.REPO_NAME),
        clone_url=required(document, "repository.clone_url", fields.CLONE_URL),
    )


def _known_pull(document: dict[str, Any]) -> int | None:
    number = _known(document, "pull_request.number", fields.ID)
    if number is None and find(document, "issue.pull_request") is not None:
        return _known(document, "issue.number", fields.ID)
    return number


def _known(document: dict[str, Any], path: str, kind: Kind[T]) -> T | None:
    try:
        return optional(document, path, kind)
    except WrongField:
        return None


def _brief(text: str) -> str:
    """Somebody else's words, short and printable, to be shown in a reason."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:100])
    return shown + "…" if len(text) > 100 else shown
