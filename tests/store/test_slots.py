"""Slots: one owner, and a token that is worth nothing once the slot is somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from prbot.core.ids import ProjectKey, PullKey
from prbot.store import slots
from prbot.store.database import Database
from prbot.store.slots import DEAD_SECONDS, Held, SlotLost
from prbot.store.tables import Slot, Worker

KEY = slots.project_slot(ProjectKey("acme/infra", "net", "default"))


def take(db: Database, owner: str, worker: str = "w1", key: str = KEY) -> Held | None:
    with db.write() as tx:
        return slots.take(tx, key, owner=owner, worker=worker, now=db.now(tx))


def taken(db: Database, owner: str, worker: str = "w1") -> Held:
    held = take(db, owner, worker)
    assert held is not None
    return held


def owner(db: Database) -> str | None:
    with db.read() as tx:
        return tx.get_one(Slot, KEY).owner


def alive(db: Database, name: str, *, seconds_ago: float = 0.0, host: str = "here", pid: int = 1) -> None:
    with db.write() as tx:
        at = db.now(tx) - timedelta(seconds=seconds_ago)
        tx.add(Worker(id=name, host=host, pid=pid, started_at=at, beat_at=at))


def test_a_slot_has_one_owner_until_it_is_free_again(db: Database) -> None:
    first = taken(db, "run-1")
    assert take(db, "run-2") is None
    assert take(db, "run-1") is None
    with db.write() as tx:
        slots.free(tx, first)
    assert taken(db, "run-2").token > first.token
    assert owner(db) == "run-2"


def test_slots_of_different_things_do_not_meet(db: Database) -> None:
    pull = PullKey("acme/infra", 7)
    keys = [KEY, slots.pull_slot(pull), slots.report_slot(pull)]
    assert len(set(keys)) == 3
    assert all(take(db, "run-1", key=key) for key in keys)


def test_of_many_that_want_a_slot_at_once_one_gets_it(db: Database) -> None:
    got: list[Held] = []

    def want(number: int) -> None:
        other = Database(str(db.url))  # as another process
        held = take(other, f"run-{number}")
        if held is not None:
            got.append(held)
        other.close()

    threads = [threading.Thread(target=want, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [held.owner for held in got] == [owner(db)]


def test_a_slot_is_freed_once(db: Database) -> None:
    held = taken(db, "run-1")
    with db.write() as tx:
        slots.free(tx, held)
    with pytest.raises(SlotLost), db.write() as tx:
        slots.free(tx, held)


def test_an_old_token_frees_nothing_even_when_the_owner_is_the_same_again(db: Database) -> None:
    old = taken(db, "run-1")
    with db.write() as tx:
        slots.seize(tx, KEY)
    new = taken(db, "run-1")
    with pytest.raises(SlotLost), db.write() as tx:
        slots.free(tx, old)
    assert owner(db) == "run-1"
    with db.write() as tx:
        slots.check(tx, new)
        with pytest.raises(SlotLost):
            slots.check(tx, old)


def test_what_was_written_along_with_a_lost_slot_is_not_kept(db: Database) -> None:
    held = taken(db, "run-1")
    with db.write() as tx:
        slots.seize(tx, KEY)
    with pytest.raises(SlotLost), db.write() as tx:  # noqa: PT012
        tx.add(Slot(key="too late"))
        slots.check(tx, held)
    with db.read() as tx:
        assert tx.get(Slot, "too late") is None


def test_a_seized_slot_is_free_and_lost_to_who_had_it(db: Database) -> None:
    held = taken(db, "run-1")
    with db.write() as tx:
        slots.seize(tx, KEY)
        assert not slots.still_held(tx, held)
    assert owner(db) is None
    assert taken(db, "run-2").token > held.token


def test_a_row_read_before_shows_what_happened_to_its_slot(db: Database) -> None:
    held = taken(db, "run-1")
    with db.write() as tx:
        row = tx.get_one(Slot, KEY)
        slots.free(tx, held)
        assert (row.owner, row.worker, row.taken_at) == (None, None, None)
        again = slots.take(tx, KEY, owner="run-2", worker="w2", now=db.now(tx))
        assert again is not None
        assert (row.owner, row.token) == ("run-2", again.token)
        slots.seize(tx, KEY)
        assert row.owner is None
    assert row.token == again.token + 1


def test_the_proof_names_the_slot_and_the_token(db: Database) -> None:
    held = taken(db, "run-1")
    assert held.proof == f"{KEY}@{held.token}"


@pytest.mark.parametrize(
    ("seconds_ago", "lost"), [(0.0, False), (DEAD_SECONDS - 5, False), (DEAD_SECONDS + 1, True), (None, True)]
)
def test_a_slot_is_orphaned_when_its_worker_is_dead_or_not_known(
    db: Database, seconds_ago: float | None, lost: bool
) -> None:
    taken(db, "run-1", "w1")
    if seconds_ago is not None:
        alive(db, "w1", seconds_ago=seconds_ago)
    with db.write() as tx:
        assert [slot.key for slot in slots.orphans(tx, db)] == ([KEY] if lost else [])


def test_a_free_slot_is_nobodys_orphan(db: Database) -> None:
    held = taken(db, "run-1")
    with db.write() as tx:
        slots.free(tx, held)
        assert slots.orphans(tx, db) == []


def test_a_beat_keeps_a_worker_alive_and_tells_it_when_it_was_forgotten(db: Database) -> None:
    alive(db, "w1", seconds_ago=DEAD_SECONDS + 1)
    taken(db, "run-1", "w1")
    with db.write() as tx:
        assert slots.beat(tx, db, "w1")
        assert slots.orphans(tx, db) == []
        assert not slots.beat(tx, db, "forgotten")


def test_workers_of_this_host_whose_process_is_gone_are_forgotten_at_once(db: Database) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    alive(db, "gone", host=slots.this_host(), pid=gone.pid)
    alive(db, "lives", host=slots.this_host(), pid=os.getpid())
    alive(db, "elsewhere", host="elsewhere", pid=gone.pid)
    with db.write() as tx:
        slots.forget_the_dead_here(tx)
        assert tx.get(Worker, "gone") is None
        assert tx.get(Worker, "lives") is not None
        assert tx.get(Worker, "elsewhere") is not None
