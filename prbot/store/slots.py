"""Slots: who alone may act on a thing, across threads, processes and hosts.

A slot is taken by compare-and-set, and its token grows by one each time. Whoever has it passes the token to every
later transaction, and `still_held` there says whether it was lost in between: then nothing may be written.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, update
from sqlmodel import Session, col, select

from prbot.core.ids import ProjectKey, PullKey
from prbot.ports import HeldSlot
from prbot.store.database import Database
from prbot.store.tables import Slot, Worker

BEAT_SECONDS = 2.0
DEAD_SECONDS = 20.0


class SlotLost(Exception):
    """Somebody else has the slot now: stop, and write nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """A slot that this process has, as long as its token is the row's."""

    key: str
    owner: str
    worker: str
    token: int

    @property
    def proof(self) -> HeldSlot:
        """What an adapter asks to see before it changes the world."""
        return HeldSlot(f"{self.key}@{self.token}")


def project_slot(project: ProjectKey) -> str:
    return f"project {project}"


def pull_slot(pull: PullKey) -> str:
    return f"pull {pull}"


def report_slot(pull: PullKey) -> str:
    return f"report {pull}"


RECONCILE = "reconcile"
"""The slot of whoever looks for what no delivery told."""


def take(tx: Session, key: str, *, owner: str, worker: str, now: datetime) -> Held | None:
    """Take a free slot; None when somebody has it."""
    if tx.get(Slot, key) is None:
        tx.add(Slot(key=key))
        tx.flush()
    done = tx.execute(
        update(Slot)
        .where(col(Slot.key) == key, col(Slot.owner).is_(None))
        .values(owner=owner, worker=worker, token=Slot.token + 1, taken_at=now)
        .returning(col(Slot.token))
    ).first()
    return None if done is None else Held(key, owner, worker, done[0])


def still_held(tx: Session, held: Held) -> bool:
    """Whether the slot is still ours, in this transaction."""
    row = tx.execute(
        select(Slot.token).where(Slot.key == held.key, Slot.token == held.token, Slot.owner == held.owner)
    ).first()
    return row is not None


def has(tx: Session, key: str, owner: str) -> bool:
    """Whether this owner has the slot."""
    row = tx.get(Slot, key)
    return row is not None and row.owner == owner


def check(tx: Session, held: Held) -> None:
    """Raise SlotLost unless the slot is still ours."""
    if not still_held(tx, held):
        raise SlotLost(held.key)


def free(tx: Session, held: Held) -> None:
    """Give the slot back. Raises SlotLost when it was not ours any more."""
    done = tx.execute(
        update(Slot)
        .where(col(Slot.key) == held.key, col(Slot.token) == held.token, col(Slot.owner) == held.owner)
        .values(owner=None, worker=None, taken_at=None)
        .returning(col(Slot.token))
    ).first()
    if done is None:
        raise SlotLost(held.key)


def seize(tx: Session, key: str) -> None:
    """Take a slot away from a dead worker: its token is worth nothing from here on."""
    tx.execute(
        update(Slot).where(col(Slot.key) == key).values(owner=None, worker=None, taken_at=None, token=Slot.token + 1)
    )


def orphans(tx: Session, db: Database) -> list[Slot]:
    """Slots that a worker has which is dead: its beat is old by the database's clock, or it is not known at all."""
    alive_since = db.now(tx) - timedelta(seconds=DEAD_SECONDS)
    alive = exists().where(col(Worker.id) == col(Slot.worker), col(Worker.beat_at) >= alive_since)
    return list(tx.exec(select(Slot).where(col(Slot.owner).is_not(None), or_(col(Slot.worker).is_(None), ~alive))))


def of_worker(tx: Session, worker: str) -> list[Slot]:
    """The slots that a worker has."""
    return list(tx.exec(select(Slot).where(col(Slot.owner).is_not(None), Slot.worker == worker)))


def this_host() -> str:
    """This host, and the process namespace in which our process ids mean anything."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}/{namespace}"


def forget_the_dead_here(tx: Session) -> None:
    """Take workers of this host off the list whose process is gone, without waiting for their beats to grow old."""
    for worker in tx.exec(select(Worker).where(Worker.host == this_host())):
        if not _lives(worker.pid):
            tx.delete(worker)
    tx.flush()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def beat(tx: Session, db: Database, worker: str) -> bool:
    """Say that a worker lives. False when its row is gone: it was declared dead and forgotten."""
    done = tx.execute(
        update(Worker).where(col(Worker.id) == worker).values(beat_at=db.now(tx)).returning(col(Worker.id))
    ).first()
    return done is not None
