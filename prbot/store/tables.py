"""The tables that are the truth about deliveries, pull requests, runs, locks, slots, jobs and what was posted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, Text, UniqueConstraint, event, func, text
from sqlalchemy.orm import UOWTransaction
from sqlmodel import Field, Session, SQLModel, col, select

from prbot.core.ids import ProjectKey, PullKey, Repo
from prbot.core.runs import Goal, RunStatus
from prbot.store.database import UtcDateTime


def _when(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=nullable))


def _json() -> Any:
    return Field(default=None, sa_column=Column(JSON, nullable=True))


def _text(default: str = "") -> Any:
    return Field(default=default, sa_column=Column(Text, nullable=False))


def _seq() -> Any:
    """The place in the order in which rows were written, which no clock can turn round."""
    return Field(default=0, sa_column=Column(Integer, nullable=False))


class RepositoryRow(SQLModel, table=True):
    """A repository that reconcile looks after, and since when."""

    __tablename__ = "prbot_repository"

    name: str = Field(primary_key=True)
    """`owner/name` in lower case."""
    since: datetime | None = _when(nullable=True)
    """When anything had moved there last when prbot first saw it, by the forge's clock; None if nothing ever had. Pull
    requests and comments from before are left alone."""


class Delivery(SQLModel, table=True):
    """One webhook POST, known by the id that the forge gave it; or what reconcile found in place of one, known by
    `poll:` and what it says."""

    __tablename__ = "prbot_delivery"

    id: str = Field(primary_key=True)
    event: str
    repo: str | None = Field(default=None, index=True)
    pull: int | None = None
    outcome: str = ""
    """`stored` or `ignored`."""
    reason: str = ""
    received_at: datetime = _when()


class InboxEvent(SQLModel, table=True):
    """Something that a pull request must be looked at for: an event from a delivery, or one that prbot made itself."""

    __tablename__ = "prbot_inbox"
    __table_args__ = (
        Index("prbot_inbox_open", "repo", "pull", "seq", sqlite_where=text("handled_at IS NULL")),
        Index("prbot_inbox_pull", "repo", "pull", "created_at"),
        Index("prbot_inbox_seq", "seq", unique=True),
        Index("prbot_inbox_says", "says", unique=True),
    )

    id: str = Field(primary_key=True)
    seq: int = _seq()
    repo: str
    pull: int
    kind: str
    """The name of the event's class in prbot.core.events, or one of `turn` and `base_moved`."""
    data: dict[str, Any] = _json()
    delivery: str | None = None
    says: str | None = None
    """What must be acted on once only, however often and by whichever way one hears of it: `comment <id>`."""
    created_at: datetime = _when()
    attempts: int = 0
    """How often it was tried and refused."""
    unanswered: int = 0
    """How often it was tried and nobody answered."""
    retry_at: datetime | None = _when(nullable=True)
    """When it is tried again, after a refusal that may not last."""
    handled_at: datetime | None = _when(nullable=True)
    error: str = ""


class PullRow(SQLModel, table=True):
    """What prbot last read about a pull request at the forge, and who pushed its head."""

    __tablename__ = "prbot_pull"

    repo: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    clone_url: str
    title: str = ""
    author: str = ""
    url: str = ""
    state: str = "open"
    """The forge's word when last read: open, merged, closed."""
    head_sha: str = ""
    base_branch: str = ""
    base_sha: str = ""
    merge_sha: str | None = None
    pushed_sha: str = ""
    """The head that `pusher` is known to have pushed."""
    pusher: str | None = None
    """None while nobody was asked; empty where nobody can say."""
    earlier_pusher: str | None = None
    """Who pushed the head before that: stays the last pusher if this push only merged base."""
    earlier_sha: str = ""
    """The head before that."""
    queued_sha: str = ""
    """The newest commit that the forge's merge queue made of it."""
    queued_base: str = ""
    """What that commit stands on."""
    acted_on: dict[str, Any] | None = _json()
    """How it stood when prbot last acted on that (prbot.core.missed.Standing); None if it never did."""
    heard_until: datetime | None = _when(nullable=True)
    """Reconcile has heard what was said up to here, by the forge's clock."""
    read_at: datetime = _when()

    @property
    def key(self) -> PullKey:
        return PullKey(self.repo, self.number)

    @property
    def repository(self) -> Repo:
        return Repo(self.repo, self.clone_url)


class Operation(SQLModel, table=True):
    """One accepted command or trigger, which fans out to runs."""

    __tablename__ = "prbot_operation"
    __table_args__ = (
        Index("prbot_operation_pull", "repo", "pull", "seq"),
        Index("prbot_operation_seq", "seq", unique=True),
    )

    id: str = Field(primary_key=True)
    seq: int = _seq()
    repo: str
    pull: int
    goal: Goal
    trigger: str
    """autoplan, comment, turn (its turn in a queue came), base_moved, merge, retry."""
    actor: str
    comment_id: int | None = None
    head_sha: str
    base_sha: str
    base_branch: str = ""
    """Where the pull request was to be merged when this began; approvals of plans for another branch are void."""
    whole: bool = True
    """Whether it covers every project that the pull request affects; False when `-d`, `-p` or `-w` chose some."""
    conflict: list[str] | None = _json()
    """The files that do not merge; the operation has no runs then."""
    refusals: list[dict[str, Any]] = _json()
    orphans: list[dict[str, Any]] = _json()
    reviewed: bool = False
    """Of a merge: everything that it changes was approved before, and it holds nothing else."""
    notes: list[str] = _json()
    """What else its comment tells of the whole pull request, as sentences."""
    comment_key: str = ""
    """Which comment shows it; empty until one does."""
    comment_shows: str = _text()
    """Digest of the outcomes that this comment is about: other outcomes get a comment of their own."""
    shown_at: datetime | None = _when(nullable=True)
    """When the comment that shows it was complete for the first time, by the forge's clock."""
    created_at: datetime = _when()


class Run(SQLModel, table=True):
    """One project at one commit. Its exclusive right to act is its slot, not this row."""

    __tablename__ = "prbot_run"
    __table_args__ = (
        UniqueConstraint("operation", "dir", "workspace", name="prbot_run_once_an_operation"),
        Index("prbot_run_pull", "repo", "pull", "seq"),
        Index("prbot_run_project", "repo", "dir", "workspace", "pull", "seq"),
        Index("prbot_run_seq", "seq", unique=True),
        Index("prbot_run_status", "status"),
        Index(
            "prbot_run_one_apply",
            "repo",
            "dir",
            "workspace",
            "commit",
            "attempt",
            unique=True,
            sqlite_where=text("goal = 'APPLY'"),
            postgresql_where=text("goal = 'APPLY'"),
        ),
    )

    id: str = Field(primary_key=True)
    seq: int = _seq()
    operation: str = Field(foreign_key="prbot_operation.id", index=True)
    repo: str
    pull: int
    dir: str
    workspace: str = "default"
    goal: Goal
    status: RunStatus = RunStatus.PENDING
    trigger: str = "autoplan"
    head_sha: str
    base_sha: str
    commit: str
    """What is checked out: the merge result for a plan, the merge commit for an apply."""
    tree: str = ""
    var_files: list[str] = _json()
    extra_args: list[str] = _json()
    verbose: bool = False
    reason: str = ""
    """Why this project is affected."""
    speculative: bool = False
    auto: bool = True
    """For an apply: whether to go on by itself once the plan lies within what was approved."""
    reference: str | None = None
    """For an apply: the run whose shown plan is what was approved; itself once it was held and shown."""
    attempt: int = 1
    applying_at: datetime | None = _when(nullable=True)
    """When the engine was told to apply; None if it never was, or did nothing since the state had moved."""
    stale_tries: int = 0
    """How often the state moved between its plan and its apply, so that it began anew."""
    comes_after: list[list[str]] = _json()
    """For an apply: the projects (directory, workspace) of the same merge that it reads, which are applied first."""
    state_places: dict[str, Any] | None = _json()
    """Where the state is kept on the base and in the merge result (prbot.core.states.Places)."""
    left_out: list[str] = _json()
    """Paths that were left out on purpose of what the project reads, for the comment."""
    input_digest: str = ""
    admitted_at: datetime | None = _when(nullable=True)
    started_at: datetime | None = _when(nullable=True)
    ended_at: datetime | None = _when(nullable=True)
    cancel_requested_at: datetime | None = _when(nullable=True)
    superseded: bool = False
    """Cancelled because something newer takes its place."""
    ended_by: str = ""
    """Who cancelled or discarded it; empty when it ended by itself."""
    error: str = _text()
    summary: dict[str, Any] | None = _json()
    fingerprint: str = ""
    seal: dict[str, Any] | None = _json()
    plan_key: str = ""
    """Where the plan store keeps its plan; empty when there is none."""
    diff: str = _text()
    """The plan as people read it, masked."""
    difference: list[dict[str, Any]] | None = _json()
    """For a held apply: how its plan differs from what was approved."""
    held_for: str = _text()
    """Why it, or an earlier attempt, was held: it is told until that is approved."""
    carries: str | None = None
    """The earlier run of the same project whose approvals carry over to this one."""
    carry_note: str = ""
    shown_at: datetime | None = _when(nullable=True)
    """When the comment that shows this plan was complete, by the forge's clock."""
    applied_output: str = _text()
    convergence: str = ""
    """Empty until an apply checked it: `clean`, or what a plan still wants to do."""
    created_at: datetime = _when()

    @property
    def project(self) -> ProjectKey:
        return ProjectKey(self.repo, self.dir, self.workspace)

    @property
    def pull_key(self) -> PullKey:
        return PullKey(self.repo, self.pull)


class RunOutput(SQLModel, table=True):
    """A chunk of what a run's engine printed, masked."""

    __tablename__ = "prbot_run_output"

    run: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    step: str
    body: str = _text()
    at: datetime = _when()


class Claim(SQLModel, table=True):
    """A pull request's claim on a project. Who holds the lock is derived; see prbot.core.locks."""

    __tablename__ = "prbot_claim"

    repo: str = Field(primary_key=True)
    dir: str = Field(primary_key=True)
    workspace: str = Field(primary_key=True)
    pull: int = Field(primary_key=True)
    since: datetime = _when()
    merged_position: int | None = None


class OrphanRow(SQLModel, table=True):
    """A project whose directory was removed while its state stayed. It is listed until it is brought back,
    destroyed, or forgotten by command."""

    __tablename__ = "prbot_orphan"

    repo: str = Field(primary_key=True)
    dir: str = Field(primary_key=True)
    workspace: str = Field(primary_key=True)
    pull: int | None = None
    """The pull request that removed it. None: a push to the base branch did, without one."""
    merge_sha: str
    """The commit by which it was gone."""
    before_sha: str
    """The base branch's commit just before: its configuration is there. Empty where that is not known."""
    place: str = _text()
    """Where its state is kept, in words."""
    since: datetime = _when()
    ended_at: datetime | None = _when(nullable=True)
    reason: str = _text()
    """What has become of it, for people; empty while it is orphaned."""

    @property
    def project(self) -> ProjectKey:
        return ProjectKey(self.repo, self.dir, self.workspace)


class Slot(SQLModel, table=True):
    """The right to act on one thing (a project, a pull request, its report), fenced by a token that only grows."""

    __tablename__ = "prbot_slot"

    key: str = Field(primary_key=True)
    owner: str | None = None
    """The run, or what else took it; None while it is free."""
    worker: str | None = None
    token: int = 0
    taken_at: datetime | None = _when(nullable=True)


class Worker(SQLModel, table=True):
    """A worker process. Its id is new at every start; it is dead when its beat is old by the database's clock."""

    __tablename__ = "prbot_worker"

    id: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: datetime = _when()
    beat_at: datetime = _when()


class JobRow(SQLModel, table=True):
    """The embedded queue. A job that is done is deleted."""

    __tablename__ = "prbot_job"
    __table_args__ = (
        Index(
            "prbot_job_once",
            "kind",
            "args",
            unique=True,
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index("prbot_job_due", "state", "due_at"),
    )

    id: str = Field(primary_key=True)
    kind: str
    args: str
    """Canonical JSON of the arguments."""
    state: str = "queued"
    """queued, running, failed."""
    due_at: datetime = _when()
    attempt: int = 1
    worker: str | None = None
    error: str = _text()
    created_at: datetime = _when()


class Approval(SQLModel, table=True):
    """An explicit `prbot approve` of one run's plan. Whether it counts is decided each time that somebody asks."""

    __tablename__ = "prbot_approval"

    comment_id: int = Field(primary_key=True)
    run: str = Field(primary_key=True)
    repo: str
    pull: int
    user: str
    user_is_bot: bool = False
    fingerprint: str
    at: datetime = _when()


class Post(SQLModel, table=True):
    """A comment, status or reaction that should exist at the forge, and what is known of its being there."""

    __tablename__ = "prbot_post"

    repo: str = Field(primary_key=True)
    pull: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    """comment, status, reaction, check, deployment."""
    key: str = Field(primary_key=True)
    """For a comment, what it is about; for a status or a check `<sha> <context>`; for a reaction the comment's id and
    its name; for a deployment the run's id."""
    part: int = Field(default=1, primary_key=True)
    operation: str = ""
    body: str = _text()
    wanted: str = ""
    """Digest of what it should say; empty when it should be hidden."""
    sent: str = ""
    """Digest of what the forge was last known to show."""
    sending_since: datetime | None = _when(nullable=True)
    """An attempt began then and its outcome is not known."""
    external_id: int | None = None
    node_id: str = ""
    posted_at: datetime | None = _when(nullable=True)
    hide: bool = False
    hidden: bool = False
    failure: str = ""
    """Why the forge refused it last; empty once it took it."""
    attempts: int = 0
    """How often the forge refused it."""
    retry_at: datetime | None = _when(nullable=True)
    """When it is sent again after a refusal; None when it is not waiting for that."""


@event.listens_for(Session, "before_flush")
def _number(tx: Session, _context: UOWTransaction, _instances: object) -> None:
    """Give new rows the next numbers, in the order in which they were added. Write transactions are serial."""
    for table in (InboxEvent, Operation, Run):
        fresh = [row for row in tx.new if isinstance(row, table) and not row.seq]
        if fresh:
            last = tx.connection().execute(select(func.max(col(table.seq)))).scalar() or 0
            for number, row in enumerate(fresh, start=last + 1):
                row.seq = number
