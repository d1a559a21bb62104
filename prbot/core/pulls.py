"""The facts about a pull request that decisions are made from, as the forge tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prbot.core.ids import PullKey, Repo

Role = Literal["none", "read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = ("none", "read", "triage", "write", "maintain", "admin")

ReviewState = Literal["APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED", "PENDING"]


def at_least(role: Role, wanted: Role) -> bool:
    """Whether `role` allows all that `wanted` allows."""
    return ROLES.index(role) >= ROLES.index(wanted)


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request, read from the forge at one moment."""

    key: PullKey
    repo: Repo
    title: str
    author: str
    author_is_bot: bool
    state: Literal["open", "closed"]
    draft: bool
    merged: bool
    merge_sha: str | None
    """The commit that the merge made on the base branch; the last one of a rebase merge. None unless merged."""
    merged_by: str | None
    head_sha: str
    head_branch: str
    head_repo: str | None
    """`owner/name` of the repository that the head lives in; None when it was deleted."""
    base_branch: str
    base_sha: str
    default_branch: str
    labels: tuple[str, ...]
    commits: int
    mergeable: bool | None
    """None while the forge still computes it."""
    mergeable_state: str
    """GitHub's word: clean, dirty, blocked, behind, unstable, draft, has_hooks, unknown."""
    url: str
    """For people."""
    created_at: datetime
    updated_at: datetime
    """When anything about it moved last, a comment or a review included. Both by the forge's clock, whole seconds."""
    merged_at: datetime | None = None
    """By the forge's clock, whole seconds, UTC. Always there once it is merged."""


@dataclass(frozen=True, slots=True)
class Review:
    """One review, in the order in which the forge lists them (oldest first)."""

    id: int
    user: str
    user_is_bot: bool
    state: ReviewState
    commit_id: str
    submitted_at: datetime
    """Whole seconds, by the forge's clock, in UTC."""
    raw_digest: str
    """`sha256:<hex>` of the review as the forge sent it (RFC 8785 canonical JSON)."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a pull request. Logins are None where the forge knows no account for the address."""

    sha: str
    author: str | None
    committer: str | None
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Push:
    """A branch was made to point from one commit to another. `by` is empty where the forge does not say who did it."""

    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A webhook's delivery that did not arrive. `guid` is the id that it has when it does."""

    repo: str
    hook: int
    id: int
    guid: str
    at: datetime
    """When it was tried first, by the forge's clock."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request's conversation."""

    id: int
    user: str
    user_is_bot: bool
    body: str
    created_at: datetime
    updated_at: datetime
    """When it was last edited; `created_at` if it never was."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What the forge says of a comment that was just written: its id, and its clock."""

    id: int
    node_id: str
    at: datetime
    """When it was written or last edited, by the forge's clock, whole seconds, UTC."""


StatusState = Literal["pending", "success", "failure", "error"]


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status. `description` is at most 140 characters."""

    context: str
    state: StatusState
    description: str
    target_url: str = ""


CheckConclusion = Literal["success", "failure", "action_required", "cancelled"]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check of a commit with a page of its own: richer than a status, and only some credentials may write one.

    `summary` and `text` are markdown of at most CHECK_LIMIT characters each.
    """

    name: str
    conclusion: CheckConclusion | None
    """None while it is under way."""
    title: str
    summary: str
    text: str = ""
    target_url: str = ""
    button: str = ""
    """What the button says by which people ask for a plan; empty for none. At most 20 characters."""


CHECK_LIMIT = 65_535

DeploymentState = Literal["in_progress", "success", "failure", "error"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """An apply of `sha` to one project, as the forge's page of environments shows it."""

    sha: str
    environment: str
    state: DeploymentState
    description: str
    """At most 140 characters."""
    log_url: str = ""
