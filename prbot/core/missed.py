"""What nobody told prbot: a pull request as it was when prbot last acted on it, held against what the forge says now.

Pure. What comes out are the events that deliveries would have brought, so that one path handles both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prbot.core.approvals import iso
from prbot.core.events import CommentEvent, PullAction, PullEvent
from prbot.core.pulls import Comment, Pull, Push

MOST_PUSHES = 10
"""Of more pushes that were missed the newest count: who pushed before them matters to nobody any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a pull request prbot acts on; `updated_at` (ISO 8601, UTC, by the forge's clock) orders standings."""

    state: str
    """open, merged or closed."""
    head_sha: str
    base_branch: str
    draft: bool
    updated_at: str


def standing(pull: Pull) -> Standing:
    """How a pull request stands."""
    state = "merged" if pull.merged else pull.state
    return Standing(state, pull.head_sha, pull.base_branch, pull.draft, iso(pull.updated_at))


def is_behind(told: Standing, acted: Standing | None, event: PullEvent | None) -> bool:
    """Whether the forge tells of a pull request as it was before prbot last acted on it, or before an event. Of what
    happened within one second only that it was closed can be seen."""
    known = max(acted.updated_at if acted else "", event.updated_at if event else "")
    closed_since = event is not None and event.action == "closed" and event.updated_at == told.updated_at
    return told.updated_at < known or (closed_since and told.state == "open")


def actions_missed(now: Standing, acted: Standing | None, *, old: bool) -> tuple[PullAction, ...]:
    """What happened to a pull request that prbot did not act on, in the order in which to do so.

    `acted` is how it stood when prbot last acted on it, None if it never did. An `old` one is from before prbot knew
    its repository: closed ones are not prbot's, open ones were opened again since.
    """
    if acted is None:
        if now.state != "open":
            return () if old else ("closed",)
        return ("reopened",) if old else ("opened",)
    if now.updated_at < acted.updated_at:  # the forge's list is behind what it told us itself
        return ()
    if now.state != "open":
        return ("closed",) if acted.state != now.state else ()
    found: dict[PullAction, bool] = {
        "pushed": now.head_sha != acted.head_sha,
        "reopened": acted.state != "open",
        "base_changed": now.base_branch != acted.base_branch,
        "ready": acted.draft and not now.draft,
    }
    return tuple(action for action, happened in found.items() if happened)


def pushes_missed(pushes: Sequence[Push], since: str, head: str) -> list[Push]:
    """How a branch came from `since` (empty: from its beginning) to `head`, oldest first, by its `pushes`.

    Each counts: one that only merges the base makes nobody the last pusher, so that the one before it still does. Where
    the pushes do not say, it is one push by nobody known.
    """
    found: list[Push] = []
    wanted = head
    for push in reversed(pushes):
        if push.after != wanted:
            continue
        found.append(push)
        wanted = push.before
        if wanted == since or len(found) == MOST_PUSHES:
            break
    return found[::-1] or [Push(since, head, "")]


def pull_events(pull: Pull, action: PullAction, pushes: Sequence[Push] = ()) -> list[PullEvent]:
    """The events of one action; for `opened` and `pushed`, one for each of the `pushes` that led there."""
    at = iso(pull.updated_at)
    if action not in ("opened", "pushed"):
        return [PullEvent(action, pull.repo, pull.key, pull.merged_by or "", pull.head_sha, at)]
    first = PullEvent(action, pull.repo, pull.key, pushes[0].by, pushes[0].after, at)
    return [
        first,
        *(PullEvent("pushed", pull.repo, pull.key, push.by, push.after, at, push.before) for push in pushes[1:]),
    ]


def comment_event(pull: Pull, comment: Comment) -> CommentEvent:
    """A comment as the event of its being written."""
    return CommentEvent(
        pull.repo, pull.key, comment.user, comment.id, comment.body, comment.user_is_bot, iso(comment.created_at)
    )


def in_order(
    pull: Pull, changes: Sequence[PullEvent], comments: Sequence[CommentEvent]
) -> list[PullEvent | CommentEvent]:
    """Events in the order in which they happened, as far as the forge tells: what was said before the pull request was
    closed comes before its closing, all else that happened to it comes before what was said."""
    ended = iso(_ended(pull))
    closings = [event for event in changes if event.action == "closed"]
    return [
        *(event for event in changes if event.action != "closed"),
        *(event for event in comments if not closings or event.created_at <= ended),
        *closings,
        *(event for event in comments if closings and event.created_at > ended),
    ]


def _ended(pull: Pull) -> datetime:
    return pull.merged_at or pull.updated_at
