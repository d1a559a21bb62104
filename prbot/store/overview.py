"""What pages, health checks and metrics show: counts, and the newest pull requests and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from prbot.core.ids import ProjectKey, PullKey
from prbot.core.locks import Claim as Claimed
from prbot.core.locks import queue
from prbot.store.database import Database
from prbot.store.slots import DEAD_SECONDS
from prbot.store.tables import Claim, Delivery, InboxEvent, JobRow, Post, PullRow, Run, RunOutput, Worker

PAGE = 50


# -- how things are ---------------------------------------------------------------------------------------------------
def seconds_since_beat(tx: Session, db: Database) -> float | None:
    """The age of the newest worker's beat, by the database's clock; None when there is no worker."""
    newest = tx.exec(select(func.max(Worker.beat_at))).first()
    return None if newest is None else (db.now(tx) - _utc(newest)).total_seconds()


def lives(age: float | None) -> bool:
    """Whether a beat of that age is a living worker's."""
    return age is not None and age < DEAD_SECONDS


def deliveries_by_outcome(tx: Session) -> dict[str, int]:
    return _counts(tx, col(Delivery.outcome))


def runs_by_status(tx: Session) -> dict[str, int]:
    return {str(status): count for status, count in _counts(tx, col(Run.status)).items()}


def jobs_by_state(tx: Session) -> dict[str, int]:
    return _counts(tx, col(JobRow.state))


def posts_waiting(tx: Session) -> dict[str, int]:
    """What is not at the forge as it should be, by kind."""
    query = select(Post.kind, func.count()).where(Post.wanted != Post.sent).group_by(Post.kind)
    return dict(tx.exec(query).all())


def oldest_due_seconds(tx: Session, db: Database) -> float:
    """How long the job that waits longest has been due; 0 when none is."""
    oldest = tx.exec(select(func.min(JobRow.due_at)).where(JobRow.state == "queued")).first()
    return 0.0 if oldest is None else max(0.0, (db.now(tx) - _utc(oldest)).total_seconds())


def inbox_waiting(tx: Session) -> int:
    return tx.exec(select(func.count()).select_from(InboxEvent).where(col(InboxEvent.handled_at).is_(None))).one()


def locked(tx: Session) -> int:
    """How many projects are held."""
    return len(tx.exec(select(Claim.repo, Claim.dir, Claim.workspace).distinct()).all())


def _counts(tx: Session, column: Any) -> dict[Any, int]:
    return dict(tx.exec(select(column, func.count()).group_by(column)).all())


def _utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


# -- what there is ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LockedProject:
    """A project that is held, who holds it since when, and who waits, in order."""

    project: ProjectKey
    holder: int
    since: datetime
    waiting: tuple[int, ...]


def locks(tx: Session) -> list[LockedProject]:
    """All projects that are held, by repository and directory."""
    claims: dict[ProjectKey, list[Claimed]] = {}
    for row in tx.exec(select(Claim).order_by(col(Claim.repo), col(Claim.dir), col(Claim.workspace))):
        project = ProjectKey(row.repo, row.dir, row.workspace)
        claims.setdefault(project, []).append(Claimed(row.pull, row.since, row.merged_position))
    found = []
    for project, unordered in claims.items():
        first, *others = queue(unordered)
        found.append(LockedProject(project, first.pull, first.since, tuple(each.pull for each in others)))
    return found


def recent_pulls(tx: Session) -> Sequence[PullRow]:
    return tx.exec(select(PullRow).order_by(col(PullRow.read_at).desc()).limit(PAGE)).all()


def recent_runs(tx: Session, pull: PullKey | None = None) -> Sequence[Run]:
    """The newest runs, of one pull request where given, newest first."""
    query = select(Run)
    if pull is not None:
        query = query.where(Run.repo == pull.repo, Run.pull == pull.number)
    return tx.exec(query.order_by(col(Run.seq).desc()).limit(PAGE)).all()


def output_of(tx: Session, run: str) -> Sequence[RunOutput]:
    """What a run's engine printed, masked, in order."""
    return tx.exec(select(RunOutput).where(RunOutput.run == run).order_by(col(RunOutput.number))).all()
