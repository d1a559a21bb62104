"""The audit log: entries are written in the transaction that they record, and get their place right after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Unpack

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from prbot.audit import checkpoints, merkle
from prbot.audit.checkpoints import BadCheckpoint, Checkpoint
from prbot.audit.entries import About, Actor, Entry, EntryRefused
from prbot.audit.keys import AuditKeys
from prbot.audit.merkle import HASH_BYTES, Frontier, Node
from prbot.core.ids import NewId
from prbot.ports import Clock
from prbot.store import audit_log as store
from prbot.store.database import Database, after_commit

_RETRY_SECONDS = 0.05


class LogDamaged(Exception):
    """The stored log contradicts itself, so that nothing is added to it. `prbot audit verify` says where."""


class NotCovered(Exception):
    """An entry is not (yet) under a signed checkpoint: what it records must not be done."""


class AuditLog:
    """The log, as those who act write to it. Safe for many threads, and for many processes on one database.

    The log's origin is the name of the key that signs.
    """

    def __init__(self, db: Database, keys: AuditKeys, *, clock: Clock, new_id: NewId) -> None:
        self._db = db
        self._keys = keys
        self._origin = keys.signer.name
        self._clock = clock
        self._new_id = new_id
        self._turn = threading.Lock()
        self._next = threading.Lock()
        """Held by the one thread that waits for the turn. Its work begins after, and so includes, what others have
        committed when they find it waiting."""

    def append(self, tx: Session, action: str, *, actor: Actor, **about: Unpack[About]) -> str:
        """Write an entry in the caller's transaction, and return its id. See About for what it may hold.

        It is there if and only if the transaction commits, and gets its place in the log right after that. Raises
        EntryRefused, which the transaction should not survive.
        """
        entry = Entry.new(self._new_id(), self._clock.now(), action, actor, about)
        body = entry.body()
        store.add_pending(tx, entry.id, merkle.leaf_hash(body), body)
        after_commit(tx, self._sequence_soon)
        return entry.id

    def sequence(self) -> int:
        """Give every entry that waits its place, under a new signed checkpoint. Returns the size of the log.

        Whoever comes first does everybody's work. Raises LogDamaged and what the database raises; nothing is lost
        then, and the next call tries again.
        """
        with self._turn:
            return self._place_all()

    def ensure_covered(self, entry_id: str, timeout: float) -> Checkpoint:
        """Wait until an entry is in the log under a signed checkpoint, and prove that it is.

        Its transaction must have been committed. Raises NotCovered after `timeout` seconds (and however long the
        database makes one attempt wait), at once if there is no such entry, and LogDamaged if the proof fails.
        """
        deadline = time.monotonic() + timeout
        while True:
            problem = "it waits for its place"
            try:
                self.sequence()
                covered = self._covering(entry_id)
            except SQLAlchemyError as error:
                problem = f"the database: {type(error).__name__}"
            else:
                if covered is not None:
                    return covered
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise NotCovered(f"the audit entry {entry_id} is not under a checkpoint after {timeout} s: {problem}")
            time.sleep(min(_RETRY_SECONDS, remaining))

    def checkpoint(self) -> str | None:
        """The newest signed note; None while the log is empty."""
        with self._db.read() as tx:
            latest = store.latest_checkpoint(tx)
        return latest.note if latest else None

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """Hashes that show that entry `seq` is in the log of that size. ValueError when it is not."""
        with self._db.read() as tx:
            self._check_size(tx, size)
            return merkle.inclusion_proof(seq, size, _Stored(tx).hash)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Hashes that show that the log of size `new` begins with that of size `old`. ValueError when it does not."""
        with self._db.read() as tx:
            self._check_size(tx, new)
            return merkle.consistency_proof(old, new, _Stored(tx).hash)

    @staticmethod
    def _check_size(tx: Session, size: int) -> None:
        if size > (actual := store.size(tx)):
            raise ValueError(f"the log has {actual} entries, not {size}")

    def _sequence_soon(self) -> None:
        """Sequence what was just committed, or leave it to the thread that waits to do so.

        After a commit nothing may look as if that had failed: the entry waits, and what depends on it with it.
        """
        if not self._next.acquire(blocking=False):
            return
        try:
            with self._turn:
                self._next.release()
                self._place_all()
        except (SQLAlchemyError, LogDamaged) as error:
            structlog.get_logger().error("audit.not_sequenced", problem=str(error))

    def _place_all(self) -> int:
        with self._db.read() as tx:  # most often there is nothing left to do
            if not store.any_pending(tx):
                return store.size(tx)
        while True:
            with self._db.write() as tx:
                size, done = self._place(tx)
            if done:
                return size

    def _place(self, tx: Session) -> tuple[int, bool]:
        """Give a page of entries their place; the size of the log then, and whether those were all that waited."""
        head = store.lock_head(tx)
        pending = store.next_pending(tx)
        if not pending:
            return head.size, True
        frontier = self._frontier(tx, head)
        entries = [_read(row) for row in pending]
        grown, completed = frontier.extended(row.leaf_hash for row in pending)
        note = checkpoints.sign(Checkpoint(self._origin, grown.size, grown.root()), self._keys.signer)
        store.grow(tx, pending, _growth(frontier.size, pending, entries, grown, completed, note))
        return grown.size, len(pending) < store.PAGE

    def _frontier(self, tx: Session, head: store.AuditHead) -> Frontier:
        """Where to go on; only if that is what we signed last: two checkpoints that contradict each other are proof
        of forgery, whoever made them."""
        try:
            frontier = Frontier(head.size, _cut(head.frontier))
            latest = store.latest_checkpoint(tx)
            signed = checkpoints.parse(latest.note) if latest else Checkpoint(self._origin, 0, merkle.EMPTY_ROOT)
        except (ValueError, TypeError) as error:  # SQLite lets an integer column hold text
            raise LogDamaged(f"the audit log's head or newest checkpoint is damaged: {error}") from None
        if (signed.size, signed.root) != (frontier.size, frontier.root()):
            raise LogDamaged(f"the audit log's head ({frontier.size}) is not what was signed last ({signed.size})")
        if signed.origin != self._origin:
            raise LogDamaged(f"this is the audit log of {signed.origin}, and the key is that of {self._origin}")
        return frontier

    def _covering(self, entry_id: str) -> Checkpoint | None:
        """The newest checkpoint, once it covers the entry by its signature and an inclusion proof."""
        with self._db.read() as tx:
            row, latest = store.entry_by_id(tx, entry_id), store.latest_checkpoint(tx)
            if row is None:
                if store.is_pending(tx, entry_id):
                    return None
                raise NotCovered(f"there is no audit entry {entry_id}")
            if latest is None:
                raise LogDamaged("the audit log has entries and no checkpoint")
            try:
                checkpoint = checkpoints.verify(latest.note, self._keys.verifiers)
                proof = merkle.inclusion_proof(row.seq, checkpoint.size, _Stored(tx).hash)
            except (BadCheckpoint, ValueError) as error:
                raise LogDamaged(f"the newest checkpoint does not cover entry {row.seq}: {error}") from None
        leaf = merkle.leaf_hash(row.body)
        if not merkle.verify_inclusion(row.seq, checkpoint.size, leaf, proof, checkpoint.root):
            raise LogDamaged(f"entry {row.seq} is not what the newest checkpoint was signed over")
        return checkpoint


class _Stored:
    """The stored hashes, as proofs read them."""

    def __init__(self, tx: Session) -> None:
        self._tx = tx

    def hash(self, level: int, index: int) -> bytes:
        found = store.stored_hash(self._tx, level, index)
        if found is None:
            raise LogDamaged(f"the audit log lacks the hash of subtree {index} on level {level}")
        return found


def _cut(frontier: bytes) -> tuple[bytes, ...]:
    return tuple(frontier[start : start + HASH_BYTES] for start in range(0, len(frontier), HASH_BYTES))


def _read(row: store.AuditPending) -> Entry:
    if merkle.leaf_hash(row.body) != row.leaf_hash:
        raise LogDamaged(f"the waiting audit entry {row.id} was changed since it was written")
    try:
        return Entry.parse(row.body)
    except EntryRefused as error:
        raise LogDamaged(f"the waiting audit entry {row.id} is no entry: {error}") from None


def _growth(
    start: int,
    pending: Sequence[store.AuditPending],
    entries: Sequence[Entry],
    grown: Frontier,
    completed: Sequence[Node],
    note: str,
) -> store.Growth:
    return store.Growth(
        size=grown.size,
        frontier=b"".join(grown.hashes),
        note=note,
        entries=[
            {"seq": seq, "leaf_hash": row.leaf_hash, "body": row.body, **entry.columns()}
            for seq, (row, entry) in enumerate(zip(pending, entries, strict=True), start)
        ],
        resources=[
            {"seq": seq, "address": address}
            for seq, entry in enumerate(entries, start)
            for address in dict.fromkeys(entry.resources)
        ],
        subtrees=[{"level": node.level, "position": node.index, "hash": node.hash} for node in completed],
    )
