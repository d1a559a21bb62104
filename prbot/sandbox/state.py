"""What the stand-in remembers: users, repositories, pull requests and what people and prbot did to them."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prbot.sandbox.apps import App, Apps
from prbot.sandbox.gitrepos import BareRepo, Signature

Role = Literal["none", "read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = ("none", "read", "triage", "write", "maintain", "admin")

UserKind = Literal["User", "Bot", "Organization"]

WEB_FLOW = "web-flow"
"""The account that GitHub names as the committer of what it commits itself."""


@dataclass
class User:
    """An account. `kind` is GitHub's `type`."""

    id: int
    login: str
    created_at: datetime
    kind: UserKind = "User"

    @property
    def email(self) -> str:
        return "noreply@github.com" if self.login == WEB_FLOW else f"{self.login}@example.com"

    def signs(self, at: datetime) -> Signature:
        """The line that git keeps for what this account did."""
        return Signature("GitHub" if self.login == WEB_FLOW else self.login, self.email, at)


@dataclass
class Reaction:
    """One user's reaction to a comment."""

    id: int
    user: str
    content: str
    created_at: datetime


@dataclass
class Comment:
    """A comment on a pull request's conversation. `minimized` is the reason why it is folded away."""

    id: int
    number: int
    user: str
    body: str
    created_at: datetime
    updated_at: datetime
    minimized: str | None = None
    reactions: list[Reaction] = field(default_factory=list)

    @property
    def node_id(self) -> str:
        return f"IC_kwDO{self.id}"


@dataclass
class Review:
    """One review; `state` in upper case, as REST tells it."""

    id: int
    user: str
    state: str
    body: str
    commit_id: str
    submitted_at: datetime


@dataclass
class CommitStatus:
    """One commit status; the newest of a context counts."""

    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: datetime


@dataclass
class CheckRun:
    """A check run of an App; the newest of a name counts. `output` has `title`, `summary` and `text`."""

    id: int
    suite: int
    app: App
    head_sha: str
    name: str
    started_at: datetime
    status: str = "queued"
    conclusion: str | None = None
    completed_at: datetime | None = None
    external_id: str = ""
    details_url: str = ""
    output: dict[str, str] = field(default_factory=dict)
    actions: list[dict[str, str]] = field(default_factory=list)


@dataclass
class DeploymentStatus:
    """How a deployment stood at a moment."""

    id: int
    state: str
    description: str
    log_url: str
    created_at: datetime


@dataclass
class Deployment:
    """A deployment, with its statuses, oldest first."""

    id: int
    sha: str
    ref: str
    environment: str
    description: str
    creator: str
    created_at: datetime
    statuses: list[DeploymentStatus] = field(default_factory=list)


@dataclass
class Activity:
    """One change of a ref, as the repository's activity tells it."""

    id: int
    actor: str
    ref: str
    before: str
    after: str
    kind: str
    at: datetime


@dataclass
class Label:
    """A repository's label."""

    id: int
    name: str


@dataclass
class Hook:
    """A repository's webhook. `form` deliveries are form-encoded, others JSON."""

    id: int
    url: str
    secret: str
    form: bool
    created_at: datetime
    events: tuple[str, ...] = ("issue_comment", "merge_group", "pull_request", "pull_request_review", "push", "status")
    active: bool = True
    app: App | None = None
    """Whose webhook it is, where it is not a repository's."""


@dataclass
class Pull:
    """A pull request. The base's `base_sha` is where the base was at the last push, as on GitHub."""

    id: int
    number: int
    title: str
    body: str | None
    user: str
    draft: bool
    head_repo: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    created_at: datetime
    updated_at: datetime
    state: Literal["open", "closed"] = "open"
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: str | None = None
    merge_sha: str | None = None
    labels: list[Label] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    events: list[tuple[datetime, str, str]] = field(default_factory=list)
    """What the page shows between comments: when, who, what."""
    unknown_reads: int = 0
    """How many more times `mergeable` is not known yet."""
    old_reads: int = 0
    """How many more times it is told of as it was."""
    old_document: dict[str, Any] = field(default_factory=dict)
    """What is told then."""

    @property
    def merged(self) -> bool:
        return self.merged_at is not None


@dataclass
class Repository:
    """A repository with all that belongs to it."""

    id: int
    full_name: str
    private: bool
    default_branch: str
    git: BareRepo
    created_at: datetime
    pushed_at: datetime
    parent: str | None = None
    grants: dict[str, Role] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    statuses: dict[str, list[CommitStatus]] = field(default_factory=lambda: defaultdict(list))
    checks: dict[int, CheckRun] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    activity: list[Activity] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Classic protection by branch, as GET …/protection answers."""
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rules by branch, as GET …/rules/branches/{branch} answers."""

    @property
    def owner(self) -> str:
        return self.full_name.split("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.split("/")[1]

    def role(self, login: str) -> Role:
        """What `login` may do here; everybody reads what is public."""
        granted = self.grants.get(login, "none")
        return "read" if granted == "none" and not self.private else granted

    def allows(self, login: str, wanted: Role) -> bool:
        """Whether `login` may do all that `wanted` may."""
        return ROLES.index(self.role(login)) >= ROLES.index(wanted)

    def conversation(self, number: int) -> list[Comment]:
        """The comments of a pull request, oldest first."""
        return [comment for comment in self.comments.values() if comment.number == number]

    def latest_statuses(self, sha: str) -> dict[str, CommitStatus]:
        """The newest status of each context of a commit."""
        return {status.context: status for status in self.statuses.get(sha, [])}


class State:
    """Everything. `lock` is held by whoever reads or changes it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.repos: dict[str, Repository] = {}
        self.apps = Apps()
        self.tokens: dict[str, str] = {}
        self.scopes: dict[str, tuple[str, ...]] = {}
        """Of classic tokens; the others have none to tell of."""
        self._last_id = 1000

    def new_id(self) -> int:
        """An id that nothing else here has; later ones are greater."""
        with self.lock:
            self._last_id += 1
            return self._last_id

    def user_by_email(self, email: str) -> User | None:
        """The account that a commit's address belongs to."""
        return next((user for user in self.users.values() if user.email == email), None)

    def token_of(self, login: str) -> str:
        """A new token that speaks as `login`."""
        token = "ghp_" + secrets.token_hex(18)
        self.tokens[token] = login
        return token
