"""The inbox of each pull request: what it must be looked at for, in the order in which it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from prbot.core.events import AboutPull, CommentEvent, PullEvent, QueueEvent, RerunEvent, ReviewEvent
from prbot.core.ids import PullKey, Repo
from prbot.core.retries import is_due
from prbot.store.tables import InboxEvent

EVENTS: Mapping[str, type[AboutPull]] = {
    kind.__name__: kind for kind in (PullEvent, CommentEvent, ReviewEvent, QueueEvent, RerunEvent)
}
TURN = "turn"
"""The pull request's turn came in a project's queue."""
_DONE, _REFUSED, _DROPPED, _RECORDED = "commands_done", "commands_refused", "dropped", "recorded"
"""What is kept beside an event."""
BASE_MOVED = "base_moved"
"""Something was merged that touches a project which the pull request plans."""


def put_event(
    tx: Session,
    event: AboutPull,
    *,
    event_id: str,
    delivery: str | None,
    now: datetime,
) -> None:
    """Keep an event until its pull request is looked at."""
    data = asdict(event)
    tx.add(
        InboxEvent(
            id=event_id,
            repo=event.pull.repo,
            pull=event.pull.number,
            kind=type(event).__name__,
            data=data,
            delivery=delivery,
            says=_says(event),
            created_at=now,
        )
    )


def is_known(tx: Session, event: AboutPull) -> bool:
    """Whether an event that must be acted on once only came before, by whichever way."""
    says = _says(event)
    return says is not None and tx.exec(select(InboxEvent.id).where(InboxEvent.says == says)).first() is not None


def _says(event: AboutPull) -> str | None:
    """What an event says, where saying it twice would do it twice."""
    return f"comment {event.comment_id}" if isinstance(event, CommentEvent) else None


def put_own(
    tx: Session,
    kind: str,
    pull: PullKey,
    *,
    event_id: str,
    now: datetime,
    data: dict[str, Any] | None = None,
) -> None:
    """Keep an event of prbot's own: TURN or BASE_MOVED."""
    tx.add(InboxEvent(id=event_id, repo=pull.repo, pull=pull.number, kind=kind, data=data or {}, created_at=now))


def waiting(tx: Session, pull: PullKey) -> list[InboxEvent]:
    """What has not been handled, oldest first."""
    query = select(InboxEvent).where(
        InboxEvent.repo == pull.repo, InboxEvent.pull == pull.number, col(InboxEvent.handled_at).is_(None)
    )
    return list(tx.exec(query.order_by(col(InboxEvent.seq))))


def handled(tx: Session, event: str, now: datetime) -> None:
    """Say that an event needs nothing more."""
    row = tx.get_one(InboxEvent, event)
    row.handled_at, row.retry_at = now, None
    tx.add(row)


def commands_done(tx: Session, event: str) -> int:
    """How many of a comment's commands were done, should the rest have to be tried again."""
    done: int = tx.get_one(InboxEvent, event).data.get(_DONE, 0)
    return done


def note_done(tx: Session, event: str, commands: int) -> None:
    """Keep how many of a comment's commands were done."""
    row = tx.get_one(InboxEvent, event)
    row.data = {**row.data, _DONE: commands}
    tx.add(row)


def first_time(tx: Session, event: str, what: str) -> bool:
    """Whether something is put on record of an event for the first time, and not because it has to be tried again."""
    row = tx.get_one(InboxEvent, event)
    recorded: list[str] = row.data.get(_RECORDED, [])
    if what in recorded:
        return False
    row.data = {**row.data, _RECORDED: [*recorded, what]}
    tx.add(row)
    return True


def note_refused(tx: Session, comment_id: int | None) -> None:
    """Keep that one more of a comment's commands was refused."""
    row = tx.exec(select(InboxEvent).where(InboxEvent.says == f"comment {comment_id}")).first()
    if row is not None:
        row.data = {**row.data, _REFUSED: row.data.get(_REFUSED, 0) + 1}
        tx.add(row)


def note_dropped(tx: Session, event: str) -> None:
    """Keep that a comment was not followed."""
    row = tx.get_one(InboxEvent, event)
    row.data = {**row.data, _DROPPED: True}
    tx.add(row)


@dataclass(frozen=True, slots=True)
class Said:
    """A comment, and what became of it so far."""

    event: CommentEvent
    refused: int
    """How many of its commands were refused."""


def before(tx: Session, comment: CommentEvent, since: datetime, most: int, *, dropped: bool) -> list[Said]:
    """What the same person wrote on the same pull request since a time and before this comment, oldest first and so
    many at most: what was followed so far, or what was `dropped`."""
    data = col(InboxEvent.data)
    query = select(InboxEvent).where(
        InboxEvent.repo == comment.pull.repo,
        InboxEvent.pull == comment.pull.number,
        InboxEvent.kind == CommentEvent.__name__,
        InboxEvent.created_at >= since,
        func.lower(data["sender"].as_string()) == comment.sender.lower(),
        data["comment_id"].as_integer() < comment.comment_id,
        data[_DROPPED].as_boolean().is_not(other=True) if not dropped else data[_DROPPED].as_boolean(),
    )
    rows = tx.exec(query.order_by(data["comment_id"].as_integer()).limit(most))
    events = [(event_of(row), row.data.get(_REFUSED, 0)) for row in rows]
    return [Said(event, refused) for event, refused in events if isinstance(event, CommentEvent)]


def pulls_waiting(tx: Session, now: datetime) -> set[PullKey]:
    """The pull requests that have something to be handled now: nothing that was refused is waited for."""
    query = select(InboxEvent.repo, InboxEvent.pull, InboxEvent.retry_at).where(col(InboxEvent.handled_at).is_(None))
    rows = list(tx.exec(query))
    later = {(repo, number) for repo, number, retry_at in rows if not is_due(retry_at, now)}
    return {PullKey(repo, number) for repo, number, _ in rows if (repo, number) not in later}


def event_of(row: InboxEvent) -> AboutPull | None:
    """The forge's event that a row keeps; None for one of prbot's own."""
    kind = EVENTS.get(row.kind)
    if kind is None:
        return None
    data = {name: value for name, value in row.data.items() if name not in (_DONE, _REFUSED, _DROPPED, _RECORDED)}
    data["repo"] = Repo(**data["repo"])
    data["pull"] = PullKey(**data["pull"])
    return kind(**data)
