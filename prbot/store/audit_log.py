"""The audit log's tables, and the SQL over them. What the bytes and hashes in them mean is prbot.audit's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    text,
    update,
)
from sqlmodel import Field, Session, SQLModel, col, select

PAGE = 500
"""Rows that are read or written by one statement, well below what SQLite takes as parameters."""


class Bytes(TypeDecorator[bytes]):
    """Bytes, even when SQLite, which lets any column hold anything, was made to hold text there."""

    impl = LargeBinary
    cache_ok = True

    def column_expression(self, column: ColumnElement[bytes]) -> ColumnElement[bytes]:
        return cast(column, LargeBinary)


class Note(TypeDecorator[str]):
    """Text, likewise."""

    impl = Text
    cache_ok = True

    def column_expression(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return cast(column, Text)


def _bytes() -> Any:
    return Field(sa_column=Column(Bytes, nullable=False))


class AuditPending(SQLModel, table=True):
    """An entry that a business transaction wrote and that has no place in the log yet."""

    __tablename__ = "prbot_audit_pending"

    number: int | None = Field(default=None, primary_key=True)
    """Grows with the order of insertion."""
    id: str = Field(unique=True)
    leaf_hash: bytes = _bytes()
    body: bytes = _bytes()


class AuditEntry(SQLModel, table=True):
    """An entry at its place. All but the first three repeat what the bytes say, to search by."""

    __tablename__ = "prbot_audit_entry"
    __table_args__ = (Index("prbot_audit_entry_pull", "repo", "pull"),)

    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """The leaf's index: the first entry has 0, and none is left out."""
    leaf_hash: bytes = _bytes()
    body: bytes = _bytes()
    """The canonical bytes."""
    id: str = Field(unique=True)
    time: str = Field(index=True)
    action: str = Field(index=True)
    actor_kind: str
    actor: str
    repo: str | None = None
    pull: int | None = None
    dir: str | None = None
    workspace: str | None = None
    run: str | None = Field(default=None, index=True)
    outcome: str


class AuditResource(SQLModel, table=True):
    """A resource address that an entry names."""

    __tablename__ = "prbot_audit_resource"
    __table_args__ = (Index("prbot_audit_resource_address", "address"),)

    seq: int = Field(primary_key=True)
    address: str = Field(primary_key=True)


class AuditSubtree(SQLModel, table=True):
    """The hash of a perfect subtree: of the 2**level leaves from position * 2**level on. Level 1 is the lowest."""

    __tablename__ = "prbot_audit_subtree"

    level: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    hash: bytes = _bytes()


class AuditHead(SQLModel, table=True):
    """One row: how many entries have a place, and the hashes that the next ones are appended to."""

    __tablename__ = "prbot_audit_head"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int
    frontier: bytes = _bytes()
    """The hashes of the perfect subtrees at the tree's right edge, from large to small."""


class AuditCheckpoint(SQLModel, table=True):
    """A signed head of the log."""

    __tablename__ = "prbot_audit_checkpoint"

    size: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    note: str = Field(sa_column=Column(Note, nullable=False))


# -- writing ----------------------------------------------------------------------------------------------------------
# Made once, and executed without the unit of work: building a statement costs more than SQLite takes to execute it.
_ADD_PENDING = insert(AuditPending)
_ADD_ENTRY = insert(AuditEntry)
_ADD_RESOURCE = insert(AuditResource)
_ADD_SUBTREE = insert(AuditSubtree)
_ADD_CHECKPOINT = insert(AuditCheckpoint)
_ADD_HEAD = text("INSERT INTO prbot_audit_head (id, size, frontier) VALUES (1, 0, :empty) ON CONFLICT DO NOTHING")
_MOVE_HEAD = update(AuditHead).values(size=bindparam("size"), frontier=bindparam("frontier"))
_DELETE_PENDING = delete(AuditPending).where(col(AuditPending.number) == bindparam("placed"))


def add_pending(tx: Session, entry_id: str, leaf_hash: bytes, body: bytes) -> None:
    """Write an entry, in the transaction of what it records."""
    tx.connection().execute(_ADD_PENDING, {"id": entry_id, "leaf_hash": leaf_hash, "body": body})


def lock_head(tx: Session) -> AuditHead:
    """The head row, which nobody else can have until the transaction ends. Made when there is none."""
    tx.connection().execute(_ADD_HEAD, {"empty": b""})
    return tx.exec(select(AuditHead).with_for_update()).one()


def next_pending(tx: Session) -> Sequence[AuditPending]:
    """The entries that wait for a place, oldest first, a page of them."""
    return tx.exec(select(AuditPending).order_by(col(AuditPending.number)).limit(PAGE)).all()


@dataclass(frozen=True, slots=True)
class Growth:
    """What one sequencing adds: rows by table, and the new head."""

    size: int
    frontier: bytes
    note: str
    entries: Sequence[Mapping[str, Any]]
    resources: Sequence[Mapping[str, Any]]
    subtrees: Sequence[Mapping[str, Any]]


def grow(tx: Session, placed: Sequence[AuditPending], growth: Growth) -> None:
    """Move pending entries to their places, under a new head and checkpoint."""
    connection = tx.connection()
    for insertion, rows in (
        (_ADD_ENTRY, growth.entries),
        (_ADD_RESOURCE, growth.resources),
        (_ADD_SUBTREE, growth.subtrees),
        (_ADD_CHECKPOINT, [{"size": growth.size, "note": growth.note}]),
    ):
        if rows:
            connection.execute(insertion, list(rows))
    connection.execute(_MOVE_HEAD, {"size": growth.size, "frontier": growth.frontier})
    # By number, not "up to the last number": on PostgreSQL a lower one may have been committed since we looked.
    connection.execute(_DELETE_PENDING, [{"placed": row.number} for row in placed])


# -- reading ----------------------------------------------------------------------------------------------------------
def any_pending(tx: Session) -> bool:
    return tx.exec(select(AuditPending.number).limit(1)).first() is not None


def all_pending(tx: Session) -> Iterator[AuditPending]:
    """The entries that wait for a place, oldest first."""
    yield from tx.exec(select(AuditPending).order_by(col(AuditPending.number)).execution_options(yield_per=PAGE))


def head(tx: Session) -> AuditHead | None:
    """The head row; None before the first entry got its place."""
    return tx.exec(select(AuditHead)).first()


def size(tx: Session) -> int:
    """How many entries have a place."""
    return tx.exec(select(AuditHead.size)).first() or 0


def latest_checkpoint(tx: Session) -> AuditCheckpoint | None:
    return tx.exec(select(AuditCheckpoint).order_by(col(AuditCheckpoint.size).desc()).limit(1)).first()


def checkpoints(tx: Session) -> Sequence[AuditCheckpoint]:
    """All of them, oldest first."""
    return tx.exec(select(AuditCheckpoint).order_by(col(AuditCheckpoint.size))).all()


def entry_by_id(tx: Session, entry_id: str) -> AuditEntry | None:
    return tx.exec(select(AuditEntry).where(AuditEntry.id == entry_id)).first()


def is_pending(tx: Session, entry_id: str) -> bool:
    return tx.exec(select(AuditPending.number).where(AuditPending.id == entry_id)).first() is not None


def pages(tx: Session) -> Iterator[Sequence[AuditEntry]]:
    """All entries in their order, a page at a time."""
    last = -1
    while True:
        query = select(AuditEntry).where(AuditEntry.seq > last).order_by(col(AuditEntry.seq)).limit(PAGE)
        page = tx.exec(query).all()
        if not page:
            return
        yield page
        last = page[-1].seq
        tx.expunge_all()


def resources(tx: Session, first: int, last: int) -> Sequence[AuditResource]:
    """The addresses that the entries from `first` to `last` name."""
    query = select(AuditResource).where(AuditResource.seq >= first, AuditResource.seq <= last)
    return tx.exec(query.order_by(col(AuditResource.seq))).all()


def subtrees(tx: Session, level: int, first: int, last: int) -> Sequence[AuditSubtree]:
    """The subtree hashes of one level, from index `first` to `last`."""
    query = select(AuditSubtree).where(
        AuditSubtree.level == level, AuditSubtree.position >= first, AuditSubtree.position <= last
    )
    return tx.exec(query).all()


def count_subtrees(tx: Session) -> int:
    return tx.exec(select(func.count()).select_from(AuditSubtree)).one()


def count_resources(tx: Session) -> int:
    return tx.exec(select(func.count()).select_from(AuditResource)).one()


def stored_hash(tx: Session, level: int, position: int) -> bytes | None:
    """The hash of a leaf (level 0) or a perfect subtree."""
    if level == 0:
        return tx.exec(select(AuditEntry.leaf_hash).where(AuditEntry.seq == position)).first()
    query = select(AuditSubtree.hash).where(AuditSubtree.level == level, AuditSubtree.position == position)
    return tx.exec(query).first()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries to find: those that meet all that is given.

    Actor and repository are compared without regard to case, as forges do: a miss by case would look like "never".
    """

    since: str | None = None
    """The earliest time, `2026-11-20T12:00:03.250Z`."""
    until: str | None = None
    """The first time that is too late."""
    actor: str | None = None
    repo: str | None = None
    pull: int | None = None
    dir: str | None = None
    workspace: str | None = None
    resource: str | None = None
    """An address: of a resource, of one of its instances, or of a module for all that is in it."""
    action: str | None = None
    """An action, or the part before its dot for all of those: `apply`."""
    outcome: str | None = None
    run: str | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.since is not None:
            yield col(AuditEntry.time) >= self.since
        if self.until is not None:
            yield col(AuditEntry.time) < self.until
        for name in ("pull", "dir", "workspace", "outcome", "run"):
            if (wanted := getattr(self, name)) is not None:
                yield col(getattr(AuditEntry, name)) == wanted
        for name in ("actor", "repo"):
            if (wanted := getattr(self, name)) is not None:
                yield func.lower(col(getattr(AuditEntry, name))) == wanted.lower()
        if self.action is not None:
            yield _within(col(AuditEntry.action), self.action, ".")
        if self.resource is not None:
            addresses = select(AuditResource.seq).where(_within(col(AuditResource.address), self.resource, ".["))
            yield col(AuditEntry.seq).in_(addresses)


def _within(column: Any, value: str, separators: str) -> ColumnElement[bool]:
    """`value` itself, or anything that goes on with one of the separators. Not LIKE: SQLite's ignores case."""
    begun = [func.substr(column, 1, len(value) + 1) == value + separator for separator in separators]
    return or_(column == value, *begun)


def find(tx: Session, wanted: Filter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """Entries that fit, newest first, at most `limit`, and only those that came before the entry `before`."""
    query = select(AuditEntry).where(*wanted.conditions()).order_by(col(AuditEntry.seq).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditEntry.seq) < before)
    return tx.exec(query).all()
