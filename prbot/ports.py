"""The seams: what flows ask of the outside world, and the closed set of ways in which it can fail.

An adapter raises `ForgeError`s, `GitError`s and nothing else that a caller should expect; a bug raises anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NewType, Protocol

from prbot.core.credentials import Credential, Phase
from prbot.core.ids import ProjectKey, PullKey, Repo
from prbot.core.plans import Seal, StatePosition
from prbot.core.pulls import (
    CheckRun,
    Comment,
    Commit,
    Deployment,
    Posted,
    Pull,
    Push,
    Review,
    Role,
    Status,
    Undelivered,
)
from prbot.core.trees import Tree


# -- failures ---------------------------------------------------------------------------------------------------------
class Unavailable(Exception):
    """The outside did not do what was asked. `str()` is a sentence for people, free of secrets."""


class Transient(Unavailable):
    """Worth trying again; not before `retry_after` seconds when the other side said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Outage(Transient):
    """Nobody answered, or a broken server did: it says nothing of what was asked."""


class Denied(Unavailable):
    """Our credentials do not allow it."""


class NotFound(Unavailable):
    """It is not there, or we may not see it."""


class NoSuchRef(NotFound):
    """The repository is there, and has no such branch."""


class Conflict(Unavailable):
    """It cannot be done to the thing as it now is (a validation error, a moved head, a broken merge)."""


# -- time -------------------------------------------------------------------------------------------------------------
class Clock(Protocol):
    """Tells the time. Tests move it."""

    def now(self) -> datetime:
        """The time, in UTC, aware."""
        ...


# -- the forge --------------------------------------------------------------------------------------------------------
class Forge(Protocol):
    """A code forge. Every call is one bounded attempt or a few, raises Unavailable's kinds, and caches nothing that
    decides who may do what."""

    def me(self) -> str:
        """The login that our token speaks as."""
        ...

    def pull(self, key: PullKey) -> Pull:
        """The pull request as it is now."""
        ...

    def pulls_open(self, repo: str, base: str | None = None) -> list[Pull]:
        """The open pull requests of a repository, oldest first."""
        ...

    def pulls_moved(self, repo: str) -> Iterator[list[Pull]]:
        """All pull requests of a repository, the one that anything happened to last first; in pages, each asked for
        when it is wanted. Their keys have the repository's present name."""
        ...

    def repositories(self) -> list[str]:
        """The repositories that our credentials are for, as `owner/name`."""
        ...

    def left(self, repo: str) -> float:
        """How much of what we may ask about a repository in this hour is left, from 0 to 1; 1 while the forge has not
        said."""
        ...

    def reviews(self, key: PullKey) -> list[Review]:
        """All reviews, oldest first."""
        ...

    def commits(self, key: PullKey) -> list[Commit]:
        """The commits of the pull request, oldest first."""
        ...

    def role(self, repo: str, login: str) -> Role:
        """What `login` may do in `repo`, from `role_name`; a custom role counts as the base role it includes."""
        ...

    def pushes(self, repo: str, branch: str) -> list[Push]:
        """How a branch came to where it is, oldest first: up to a hundred pushes, none where the forge does not say."""
        ...

    def last_pusher(self, repo: str, branch: str, head_sha: str) -> str | None:
        """Who pushed `head_sha` to `branch`, from the repository's activity; None when it does not say."""
        ...

    def comments(self, key: PullKey, since: datetime | None = None) -> list[Comment]:
        """The conversation's comments, oldest first; only those updated at or after `since` where given."""
        ...

    def create_comment(self, key: PullKey, body: str) -> Posted:
        """Write a comment. Not retried by itself when it is unknown whether it was written."""
        ...

    def edit_comment(self, repo: str, comment_id: int, body: str) -> Posted:
        """Replace a comment's text. NotFound when somebody deleted it."""
        ...

    def hide_comment(self, repo: str, node_id: str) -> bool:
        """Fold a comment away as outdated. False where that did not work: nothing else depends on it."""
        ...

    def react(self, repo: str, comment_id: int, reaction: str) -> None:
        """Add a reaction (`eyes`, `+1`, `-1`, `confused`, `rocket`) to a comment. Adding it twice adds one."""
        ...

    def set_status(self, repo: str, sha: str, status: Status) -> None:
        """Set a commit status."""
        ...

    def undelivered(self, repo: str, url: str) -> list[Undelivered]:
        """Of the hundred last deliveries to each webhook whose address is below `url`, those that prbot would read and
        that have not arrived, the newest first. None where we may not see them."""
        ...

    def redeliver(self, delivery: Undelivered) -> None:
        """Ask for a delivery to be made once more."""
        ...

    def shows_checks(self, repo: str) -> bool:
        """Whether we may write check runs in `repo`."""
        ...

    def write_check(self, key: PullKey, sha: str, check: CheckRun, check_id: int | None = None) -> int:
        """Write a check run on a commit of a pull request, or anew the one with `check_id`; its id."""
        ...

    def create_deployment(self, repo: str, deployment: Deployment) -> int | None:
        """Begin a deployment; its id, or None where we may not: nothing else depends on it."""
        ...

    def set_deployment(self, repo: str, deployment_id: int, deployment: Deployment) -> None:
        """Say how a deployment stands."""
        ...

    def clone_token(self, repo: str, refused: str = "") -> str:
        """The token that git reads this repository with; another one than `refused`, if there may be another."""
        ...

    def check(self) -> str:
        """One cheap request that shows that the forge answers and takes our token: who we are. Raises Unavailable."""
        ...


# -- git --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Merged:
    """The merge of a head into a base: nobody's commit yet, but a commit all the same, with both as parents.

    The commit's id depends on base, head and tree alone.
    """

    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """The head does not merge into the base. `files` are the paths in conflict, sorted."""

    files: tuple[str, ...]


class Git(Protocol):
    """One bare mirror a repository, merge results, and checkouts. Raises Transient, Denied, NotFound, Conflict."""

    def fetch(self, repo: Repo, *, shas: Sequence[str] = (), refs: Sequence[str] = (), token: str = "") -> None:
        """Bring the mirror to where it has `shas` (full ids; nothing is asked of the server when they are all here)
        and the server's present `refs` (full names, e.g. `refs/heads/main`; always asked for)."""
        ...

    def resolve(self, repo: Repo, ref: str) -> str:
        """The commit id that a fetched ref or an id names in the mirror. NotFound otherwise."""
        ...

    def merge(self, repo: Repo, base: str, head: str) -> Merged | MergeConflict:
        """The merge result of `head` into `base`, both already fetched."""
        ...

    def tree(self, repo: Repo, commit: str) -> Tree:
        """Every file of a commit."""
        ...

    def tree_id(self, repo: Repo, commit: str) -> str:
        """The id of a commit's tree."""
        ...

    def author(self, repo: Repo, commit: str) -> str:
        """The name of whoever wrote a commit, as it says itself."""
        ...

    def blobs(self, repo: Repo, ids: Sequence[str], largest: int | None = None) -> dict[str, bytes]:
        """The contents of blobs, in one process; with `largest` (bytes), of those that are no larger."""
        ...

    def filters(self, repo: Repo, tree: Tree, paths: Sequence[str]) -> dict[str, str]:
        """Those of the paths that the tree's `.gitattributes` put through a filter, with its name."""
        ...

    def changed_paths(self, repo: Repo, old: str, new: str) -> frozenset[str]:
        """Paths that differ between two commits; a rename gives both ends."""
        ...

    def merge_base(self, repo: Repo, one: str, other: str) -> str | None:
        """The best common ancestor."""
        ...

    def is_ancestor(self, repo: Repo, ancestor: str, commit: str) -> bool:
        """Whether `commit` contains `ancestor`."""
        ...

    def first_parent_position(self, repo: Repo, commit: str) -> int:
        """How many commits there are from the root to `commit` by first parents: orders the merges of one branch."""
        ...

    def first_parents(self, repo: Repo, since: str | None, until: str) -> list[str]:
        """The commits after `since` (from the root on) up to and with `until` along first parents, oldest first."""
        ...

    def checkout(self, repo: Repo, commit: str, *, owner: str) -> AbstractContextManager[Path]:
        """A clean working tree of `commit` for one `owner` (a run), at a path of its own, gone when the block ends."""
        ...

    def prune(self, alive: Collection[str]) -> None:
        """Remove the checkouts that no owner in `alive` works in, and what else dead processes left."""
        ...


# -- the engine -------------------------------------------------------------------------------------------------------
HeldSlot = NewType("HeldSlot", str)
"""Proof that this worker has the project's slot. Only `prbot.store.slots` makes one."""

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """Which engine, and which release of it: `terraform` `1.11.4`."""

    product: str
    version: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where and as what an engine process runs.

    `dir` is the project's directory inside the `checkout`; `data_dir` (TF_DATA_DIR; plan files lie there too) and
    `tmp_dir` (TMPDIR, HOME) lie outside of it. `environment` is the phase's own, complete but for what the engine
    adapter itself sets. `name` is this site's alone, such as a run's id, or empty.
    """

    checkout: Path
    dir: Path
    workspace: str
    data_dir: Path
    tmp_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the processes of one step may use, all together; held where there is isolation."""

    memory: int | None = 4096
    """MiB; None for as much as there is."""
    processes: int = 512
    open_files: int = 4096
    """By each process."""
    disk: int = 10240
    """MiB that they may add to the checkout and their directories."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a step ends before its time: on `cancel`, after `timeout` seconds, or with more than its allowance used.

    SIGINT, then SIGKILL `grace` later.
    """

    cancel: threading.Event
    timeout: float
    grace: float = 30.0
    allowance: Allowance = Allowance()


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one engine command ended. A failure of the user's configuration is a result, not an exception."""

    step: str
    ending: Literal["ok", "failed", "cancelled", "timeout", "limit"]
    exit_code: int
    output: str
    """All that it printed, both streams as they came, at most the last 4 MiB."""
    seconds: float

    @property
    def ok(self) -> bool:
        return self.ending == "ok"


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """What a saved plan rests on, as the engine's own files tell: the parts of a seal that only the engine knows."""

    plan_file_digest: str
    """`sha256:<hex>`."""
    state: StatePosition
    backend: str
    """`<type>:<hex HMAC-SHA-256 of its settings>`; empty where the directory configures no backend."""
    lock_file: str | None
    """The dependency lock file as init left it."""
    provider_versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class StateLock:
    """Who holds Terraform's own lock on a state, as the engine told it. Any of them may be empty."""

    id: str
    who: str
    operation: str
    created: str


class Engine(Protocol):
    """Terraform or OpenTofu. Every step streams its lines to `on_line` (without the line's end) while it runs."""

    def version(self) -> EngineVersion:
        """The engine's product and version, asked once a binary. Conflict (and how to fix it) if missing or too old."""
        ...

    def seen_as(self, path: Path, site: Site) -> str:
        """By which path the processes of a site know one of its files."""
        ...

    def isolation(self) -> str:
        """What keeps its processes apart from the server, or `off`. Conflict (and what to do) if it does not work."""
        ...

    def init_needed(self, site: Site) -> bool:
        """False only if `site` was initialized by this engine and nothing that init looks at has changed since."""
        ...

    def init(self, site: Site, limits: Limits, on_line: OnLine) -> StepResult: ...

    def plan(
        self,
        site: Site,
        out: Path,
        limits: Limits,
        on_line: OnLine,
        *,
        var_files: Sequence[str] = (),
        extra_args: Sequence[str] = (),
        lock: bool = True,
    ) -> StepResult: ...

    def show(self, site: Site, plan_file: Path, limits: Limits) -> tuple[StepResult, dict[str, Any]]:
        """The plan as `show -json` gives it. Its output holds secrets: it is never streamed nor kept."""
        ...

    def apply(
        self,
        site: Site,
        plan_file: Path,
        limits: Limits,
        on_line: OnLine,
        *,
        slot: HeldSlot,
        seal: Seal,
        var_files: Sequence[str] = (),
        extra_args: Sequence[str] = (),
    ) -> StepResult:
        """Apply exactly `plan_file`, whose digest must be the seal's (else Conflict, and nothing was started).

        `var_files` and `extra_args` are those that it was planned with: a plan does not hold the values of ephemeral
        variables, which are given once more. No others can be.
        """
        ...

    def state(self, site: Site, limits: Limits) -> tuple[StepResult, StatePosition]:
        """Where the state is now; no lineage where there is none. Its content goes nowhere."""
        ...

    def lock_holder(self, site: Site, limits: Limits) -> StateLock | None:
        """Who holds the state's lock at this moment, found by trying to take it; None if nobody does."""
        ...

    def basis(self, site: Site, plan_file: Path, key: bytes) -> PlanBasis:
        """What `plan_file`, just made at `site`, rests on; `key` is for the backend's digest. Starts no process.
        Conflict if one of the engine's files is not what it should be."""
        ...

    def stale(self, result: StepResult) -> bool:
        """Whether an apply did nothing because the state had moved since the plan was made."""
        ...

    def state_lock(self, result: StepResult) -> StateLock | None:
        """Who held the state lock that a step failed to get; None if it did not fail for that."""
        ...


# -- credentials ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Purpose:
    """For which run credentials are read; where they can carry that, they do."""

    phase: Phase
    project: ProjectKey
    pull: int
    run: str
    entry: str
    """The audit log's entry that records that they are read."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the engine's processes of one run get. All of it is secret, but what its name says is not."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """A file's content by the variable that is to hold its path."""
    init_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For `init` alone, besides."""
    init_files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files in the home directory for `init` alone, by name."""


class Credentials(Protocol):
    """Reads credentials anew for each run, and keeps none of them."""

    def named(self, purpose: Purpose, credentials: Sequence[tuple[str, Credential]]) -> bool:
        """Whether reading them for this purpose would read anything beyond the phase's own environment file."""
        ...

    def read(self, purpose: Purpose, credentials: Sequence[tuple[str, Credential]]) -> Given:
        """The phase's own environment, then each named credential's half for that phase; later ones win.

        Never touches the other phase's half. Conflict, NotFound, Denied or Transient, which name the credential and
        show no value.
        """
        ...


# -- plans at rest ----------------------------------------------------------------------------------------------------
class PlanStore(Protocol):
    """Keeps plan files and plan JSON, encrypted by us before they get here. Keys are `[a-z0-9/_.-]+`."""

    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes:
        """NotFound when there is none."""
        ...

    def delete(self, key: str) -> None:
        """Also fine when there is none."""
        ...

    def keys(self, prefix: str) -> Iterator[str]: ...


# -- jobs -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Job:
    """A queued unit of work: ids only, it decides nothing. `attempt` counts from 1."""

    id: str
    kind: str
    args: Mapping[str, str]
    attempt: int = 1


class Again(Exception):
    """Raised by a job's callable: not now; try again after `seconds`. It is not an error and costs no attempt."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Jobs(Protocol):
    """A queue over our own database. See prbot.jobs for what every implementation keeps."""

    def enqueue(self, tx: Any, kind: str, args: Mapping[str, str], *, delay: float = 0.0) -> str:
        """Queue a job inside the caller's transaction; the same kind and args queued and not begun is queued once."""
        ...

    def wake(self) -> None:
        """Tell the workers, after the commit, that there is something to do. Losing a wake costs a sweep's wait."""
        ...

    def abort(self, run: str) -> None:
        """Tell the worker that has `run` to look at its row: somebody asked to cancel it."""
        ...

    def start(
        self,
        work: Mapping[str, Callable[[Job], None]],
        *,
        on_abort: Callable[[str], None],
        on_sweep: Callable[[], None],
    ) -> None:
        """Begin to work: `work` is what does each kind of job. `on_abort` gets the run that is to be stopped, and
        `on_sweep` is called now and then, to find what was lost."""
        ...

    def stop(self) -> None:
        """End for good. What still runs is somebody else's to find."""
        ...

    def drain(self, timeout: float) -> bool:
        """Begin nothing more, and wait until what runs has ended. False if something still ran after `timeout`."""
        ...
