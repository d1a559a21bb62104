"""What happened at the forge, in words that fit every forge.

An event is a hint to look, not a fact to act on: deliveries come late, twice, out of order or not at all, so that
whoever handles one reads the pull request again. What only the delivery knows (who pushed, what a comment said) is
kept in the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prbot.core.ids import PullKey, Repo

PullAction = Literal["opened", "pushed", "reopened", "ready", "drafted", "base_changed", "labeled", "closed", "gone"]


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries the webhook out."""

    hook_id: int | None = None


@dataclass(frozen=True, slots=True)
class PullEvent:
    """A pull request was opened, pushed to, closed, …; `gone` when the forge does not know it any more."""

    action: PullAction
    repo: Repo
    pull: PullKey
    sender: str
    """Who did it; empty when nobody can say, as may be where no delivery told of it."""
    head_sha: str
    """The head when the delivery was made. For `pushed`, this is what `sender` pushed."""
    updated_at: str = ""
    """When the pull request had changed last by then (ISO 8601, UTC, by the forge's clock); empty if nobody said."""
    before_sha: str = ""
    """For `pushed`, the head that the push found; empty if nobody said."""


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
class QueueEvent:
    """A pull request is in the forge's merge queue: `head_sha` is what its base would be with it, and waits to be
    judged."""

    repo: Repo
    pull: PullKey
    sender: str
    head_sha: str
    base_sha: str = ""
    """What it stands on: the base branch, or the commit of the pull request that is before it in the queue. Empty where
    that was not kept."""


@dataclass(frozen=True, slots=True)
class RerunEvent:
    """Somebody pressed a button of prbot's check of `head_sha`: plan that commit."""

    repo: Repo
    pull: PullKey
    sender: str
    head_sha: str

    @property
    def comment_id(self) -> None:
        """There is none to answer to."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that asks nothing of prbot, and why."""

    reason: str


Asking = CommentEvent | RerunEvent
"""By what people give commands."""
AboutPull = PullEvent | CommentEvent | ReviewEvent | QueueEvent | RerunEvent
Event = Ping | AboutPull


@dataclass(frozen=True, slots=True)
class Malformed:
    """A delivery that GitHub would not send. `problem` names what is wrong and what is expected: answer 400."""

    problem: str


@dataclass(frozen=True, slots=True)
class UnsupportedContent:
    """A delivery in a content type that prbot does not read: answer 415."""

    problem: str


@dataclass(frozen=True, slots=True)
class ParsedDelivery:
    """What a delivery is, and what it is about where that can be told; also for those that are ignored or malformed."""

    outcome: Event | Ignored | Malformed | UnsupportedContent
    repo: str | None = None
    """`owner/name`."""
    pull: int | None = None
