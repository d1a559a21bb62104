"""Entries come and go with their transactions, and get their place whatever happens after."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select
from structlog.testing import capture_logs

from prbot.audit import checkpoints, merkle
from prbot.audit.entries import PRBOT, Entry, EntryRefused, user
from prbot.audit.keys import AuditKeys, SigningKey
from prbot.audit.log import AuditLog, LogDamaged, NotCovered
from prbot.audit.query import Filter, find
from prbot.audit.verify import verify
from prbot.store import audit_log as store
from prbot.store.database import Database
from tests.audit.conftest import ORIGIN, StoppedClock


def record(db: Database, log: AuditLog, count: int = 1) -> list[str]:
    """Each in a transaction of its own."""
    ids = []
    for _ in range(count):
        with db.write() as tx:
            ids.append(log.append(tx, "lock.taken", actor=PRBOT, repo="acme/infra", pull=7))
    return ids


def stuck(db: Database) -> None:
    """From now on no entry gets a place."""
    with db.write() as tx:
        tx.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON prbot_audit_checkpoint BEGIN SELECT RAISE(ABORT, 'full'); END")
        )


def unstuck(db: Database) -> None:
    with db.write() as tx:
        tx.execute(text("DROP TRIGGER full"))


def test_an_entry_has_its_place_right_after_its_transaction(db: Database, log: AuditLog, keys: AuditKeys) -> None:
    with db.write() as tx:
        entry_id = log.append(tx, "command.accepted", actor=user("bo"), repo="acme/infra", pull=7, facts={"line": 1})
    (found,) = find(db, Filter())
    assert found.entry == Entry.parse(found.body)
    assert (found.seq, found.entry.id, found.entry.facts) == (0, entry_id, {"line": 1})
    assert found.leaf_hash == merkle.leaf_hash(found.body)
    note = log.checkpoint()
    assert note is not None
    assert checkpoints.verify(note, keys.verifiers) == checkpoints.Checkpoint(ORIGIN, 1, found.leaf_hash)


def test_entries_keep_the_order_in_which_they_were_written(db: Database, log: AuditLog) -> None:
    first = record(db, log, 2)
    with db.write() as tx:
        together = [log.append(tx, "lock.freed", actor=PRBOT) for _ in range(3)]
    assert [each.entry.id for each in find(db, Filter()) if each.entry][::-1] == first + together
    assert log.sequence() == 5


def test_a_transaction_that_fails_leaves_nothing(db: Database, log: AuditLog) -> None:
    record(db, log)

    def act() -> None:
        with db.write() as tx:
            log.append(tx, "lock.taken", actor=PRBOT)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        act()
    assert log.sequence() == 1
    with db.read() as tx:
        assert not store.any_pending(tx)


def test_a_refused_entry_takes_its_transaction_with_it(db: Database, log: AuditLog) -> None:
    def act() -> None:
        with db.write() as tx:
            log.append(tx, "lock.taken", actor=PRBOT)
            log.append(tx, "lock.stolen", actor=PRBOT)

    with pytest.raises(EntryRefused):
        act()
    assert log.sequence() == 0
    assert log.checkpoint() is None


def test_what_a_crash_left_waiting_gets_its_place_with_the_next_entry(db: Database, log: AuditLog) -> None:
    record(db, log)
    entry = Entry.new("01hcrashed", StoppedClock().now(), "lock.freed", PRBOT, {})
    with db.write() as tx:  # what `append` does, by a process that ends right after its commit
        store.add_pending(tx, entry.id, merkle.leaf_hash(entry.body()), entry.body())
    record(db, log)
    assert [each.entry.action for each in find(db, Filter()) if each.entry] == [
        "lock.taken",
        "lock.freed",
        "lock.taken",
    ]


def test_a_committed_transaction_never_looks_failed_and_its_entry_waits(db: Database, log: AuditLog) -> None:
    record(db, log)
    stuck(db)
    with capture_logs() as logs:
        record(db, log)
    assert [each["event"] for each in logs] == ["audit.not_sequenced"]
    with pytest.raises(IntegrityError):
        log.sequence()
    unstuck(db)
    assert log.sequence() == 2


def test_more_entries_than_a_page_get_their_places_in_one_go(
    db: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAGE", 3)
    with db.write() as tx:
        for _ in range(8):
            log.append(tx, "lock.taken", actor=PRBOT)
    assert log.sequence() == 8
    with db.read() as tx:
        assert [each.size for each in store.checkpoints(tx)] == [3, 6, 8]


def test_four_hundred_entries_from_many_threads_count_four_hundred(
    db: Database, keys: AuditKeys, clock: StoppedClock, database_file: Path
) -> None:
    ids = itertools.count()
    same = AuditLog(db, keys, clock=clock, new_id=lambda: f"a{next(ids)}")
    other_db = Database(f"sqlite:///{database_file}")  # as another process would have it
    other = AuditLog(other_db, keys, clock=clock, new_id=lambda: f"b{next(ids)}")
    failures: list[BaseException] = []

    def work(log: AuditLog, database: Database) -> None:
        try:
            record(database, log, 50)
        except BaseException as error:
            failures.append(error)

    pairs = [(same, db)] * 6 + [(other, other_db)] * 2
    threads = [threading.Thread(target=work, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other_db.close()
    assert failures == []
    assert same.sequence() == 400
    assert [each.seq for each in find(db, Filter(), limit=1000)] == list(range(399, -1, -1))
    assert verify(db, keys.verifiers, now=clock.now()).problems == ()


def test_ensure_covered_gives_the_checkpoint_that_covers_the_entry(db: Database, log: AuditLog) -> None:
    first, second = record(db, log, 2)
    assert log.ensure_covered(first, 1).size == 2
    assert log.ensure_covered(second, 1).size == 2


def test_ensure_covered_does_the_work_that_is_left(db: Database, log: AuditLog) -> None:
    stuck(db)
    with capture_logs():
        (entry_id,) = record(db, log)
    unstuck(db)
    assert log.ensure_covered(entry_id, 1).size == 1


def test_ensure_covered_waits_for_what_gets_unstuck_in_time(db: Database, log: AuditLog) -> None:
    stuck(db)
    with capture_logs():
        (entry_id,) = record(db, log)
    helper = threading.Timer(0.1, unstuck, [db])
    helper.start()
    assert log.ensure_covered(entry_id, 20).size == 1
    helper.join()


def test_ensure_covered_raises_when_the_time_is_up(db: Database, log: AuditLog) -> None:
    stuck(db)
    with capture_logs():
        (entry_id,) = record(db, log)
    begun = time.monotonic()
    with pytest.raises(NotCovered, match=f"{entry_id} is not under a checkpoint after 0.2 s: the database"):
        log.ensure_covered(entry_id, 0.2)
    assert 0.2 <= time.monotonic() - begun < 5


def test_ensure_covered_raises_at_once_for_an_entry_that_is_not_there(log: AuditLog) -> None:
    with pytest.raises(NotCovered, match="there is no audit entry 01hnone"):
        log.ensure_covered("01hnone", 60)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE prbot_audit_entry SET body = replace(body, 'lock.taken', 'lock.freed') WHERE seq = 2",
        "UPDATE prbot_audit_subtree SET hash = zeroblob(32)",
        "DELETE FROM prbot_audit_subtree",
        "DELETE FROM prbot_audit_checkpoint WHERE size = 3",
        "DELETE FROM prbot_audit_checkpoint",
        "UPDATE prbot_audit_checkpoint SET note = replace(note, 'A', 'B')",
    ],
)
def test_ensure_covered_believes_nothing_that_is_not_proven(db: Database, log: AuditLog, damage: str) -> None:
    *_, entry_id = record(db, log, 3)
    assert log.ensure_covered(entry_id, 1)
    with db.write() as tx:
        tx.execute(text(damage))
    with pytest.raises(LogDamaged):
        log.ensure_covered(entry_id, 1)


def test_proofs_from_the_stored_hashes_hold(db: Database, log: AuditLog) -> None:
    record(db, log, 11)
    leaves = [each.leaf_hash for each in find(db, Filter())][::-1]
    roots = [merkle.Frontier().extended(leaves[:size])[0].root() for size in range(12)]
    for size in range(1, 12):
        for seq in range(size):
            proof = log.inclusion_proof(seq, size)
            assert merkle.verify_inclusion(seq, size, leaves[seq], proof, roots[size])
        proof = log.consistency_proof(size, 11)
        assert merkle.verify_consistency(size, 11, roots[size], roots[11], proof)


def test_there_is_no_proof_for_more_entries_than_there_are(db: Database, log: AuditLog) -> None:
    record(db, log, 3)
    with pytest.raises(ValueError, match="the log has 3 entries, not 4"):
        log.inclusion_proof(0, 4)
    with pytest.raises(ValueError, match="the log has 3 entries, not 4"):
        log.consistency_proof(1, 4)
    with pytest.raises(ValueError, match="no leaf 3"):
        log.inclusion_proof(3, 3)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE prbot_audit_head SET size = 2",
        "UPDATE prbot_audit_head SET size = 2, frontier = zeroblob(32)",
        "UPDATE prbot_audit_head SET frontier = zeroblob(64)",
        "DELETE FROM prbot_audit_head",
        "DELETE FROM prbot_audit_checkpoint WHERE size = 3",
        "UPDATE prbot_audit_checkpoint SET note = 'nonsense' WHERE size = 3",
    ],
)
def test_nothing_is_added_to_a_log_that_is_not_what_was_signed_last(db: Database, log: AuditLog, damage: str) -> None:
    record(db, log, 3)
    with db.write() as tx:
        tx.execute(text(damage))
    with capture_logs() as logs:
        (entry_id,) = record(db, log)
    assert [each["event"] for each in logs] == ["audit.not_sequenced"]
    with pytest.raises(LogDamaged):
        log.sequence()
    with pytest.raises(LogDamaged):
        log.ensure_covered(entry_id, 1)
    with db.read() as tx:
        assert store.is_pending(tx, entry_id)


@pytest.mark.parametrize("column", ["body", "leaf_hash"])
def test_a_waiting_entry_that_was_changed_gets_no_place(db: Database, log: AuditLog, column: str) -> None:
    stuck(db)
    with capture_logs():
        record(db, log)
    unstuck(db)
    with db.write() as tx:
        tx.execute(text(f"UPDATE prbot_audit_pending SET {column} = zeroblob(32)"))
    with pytest.raises(LogDamaged, match="was changed since it was written"):
        log.sequence()


def test_a_log_goes_on_under_a_new_key_of_the_same_name_only(
    db: Database, log: AuditLog, keys: AuditKeys, clock: StoppedClock
) -> None:
    record(db, log)
    new = AuditKeys(SigningKey.generate(ORIGIN), earlier=keys.verifiers)
    renewed = AuditLog(db, new, clock=clock, new_id=lambda: "02h")
    (entry_id,) = record(db, renewed)
    assert renewed.ensure_covered(entry_id, 1).size == 2
    assert verify(db, new.verifiers, now=clock.now()).ok
    assert not verify(db, keys.verifiers, now=clock.now()).ok
    stranger = AuditLog(db, AuditKeys(SigningKey.generate("other.example")), clock=clock, new_id=lambda: "03h")
    with capture_logs() as logs:
        record(db, stranger)
    assert f"the audit log of {ORIGIN}" in logs[0]["problem"]


def test_pending_entries_keep_the_bytes_that_are_hashed(db: Database, log: AuditLog) -> None:
    with db.write() as tx:
        log.append(tx, "lock.taken", actor=PRBOT)
        (row,) = _pending(tx)
        assert row.leaf_hash == merkle.leaf_hash(row.body)
        body = row.body
    assert [each.body for each in find(db, Filter())] == [body]


def _pending(tx: Session) -> list[store.AuditPending]:
    return list(tx.exec(select(store.AuditPending)))
