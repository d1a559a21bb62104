"""What happened at the forge, in words that fit every forge.

An event is a hint to look, not a fact to act on: deliveries come late, twice, out of order or not at all, so that
whoever handles one reads the pull request again. What only the delivery knows (who pushed, what a comment said) is
kept in the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prbot.core.ids import PullKey, Repo

PullAction = Literal["opened", "pushed", "reopened", "ready", "drafted", "base_changed", "labeled", "closed"]


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries the webhook out."""

    hook_id: int | None = None


@dataclass(frozen=True, slots=True)
class PullEvent:
    """A pull request was opened, pushed to, closed, …; `sender` is who did it."""

    action: PullAction
    repo: Repo
    pull: PullKey
    sender: str
    head_sha: str
    """The head when the delivery was made. For `pushed`, this is what `sender` pushed."""


@dataclass(frozen=True, slots=True)
class CommentEvent:
    """Somebody wrote a new comment on a pull request."""

    repo: Repo
    pull: PullKey
    sender: str
    comment_id: int
    body: str
    author_is_bot: bool
    created_at: str
    """ISO 8601, UTC, by the forge's clock."""


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """A review was submitted or dismissed."""

    repo: Repo
    pull: PullKey
    sender: str
    action: Literal["submitted", "dismissed"]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that asks nothing of prbot, and why."""

    reason: str


Event = Ping | PullEvent | CommentEvent | ReviewEvent
