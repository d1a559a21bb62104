"""Verification finds each thing that was changed behind the log's back, and says which."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from prbot.audit import checkpoints, merkle
from prbot.audit import verify as verification
from prbot.audit.checkpoints import Checkpoint
from prbot.audit.entries import PRBOT, Entry, user
from prbot.audit.keys import AuditKeys, SigningKey
from prbot.audit.log import AuditLog
from prbot.audit.query import Filter, find
from prbot.audit.verify import Report, verify
from prbot.core.ids import ProjectKey
from prbot.store import audit_log as store
from prbot.store.database import Database
from tests.audit.conftest import ORIGIN, StoppedClock

Tamper = Callable[..., None]
Check = Callable[..., Report]


@pytest.fixture
def check(db: Database, keys: AuditKeys, clock: StoppedClock) -> Check:
    return lambda **kept: verify(db, keys.verifiers, now=clock.now(), kept=kept)


@pytest.fixture
def tamper(database_file: Path, eleven: AuditLog) -> Tamper:
    """SQL against the file, as whoever has it can do."""

    def execute(*statements: str, **parameters: object) -> None:
        with sqlite3.connect(database_file) as connection:
            for statement in statements:
                connection.execute(statement, parameters)
        connection.close()

    return execute


@pytest.fixture
def eleven(db: Database, log: AuditLog) -> AuditLog:
    """A log of eleven entries, with checkpoints at sizes 3, 4, 5, … 11."""
    with db.write() as tx:
        log.append(tx, "rules.loaded", actor=PRBOT, facts={"rules": "sha256:11"})
        log.append(tx, "command.accepted", actor=user("bo"), repo="acme/infra", pull=7)
        log.append(tx, "lock.taken", actor=PRBOT, project=ProjectKey("acme/infra", "net"), pull=7)
    for number in range(8):
        with db.write() as tx:
            log.append(
                tx, "plan.finished", actor=PRBOT, project=ProjectKey("acme/infra", "net"), pull=7, run=f"r{number}",
                resources=["aws_vpc.main", f"aws_subnet.a[{number}]"],
            )  # fmt: skip
    return log


def whats(report: Report) -> list[str]:
    assert not report.ok
    return [str(problem) for problem in report.problems]


def test_an_untouched_log_holds(eleven: AuditLog, check: Check, db: Database) -> None:
    report = check()
    assert (report.problems, report.ok, report.size, report.checkpoints) == ((), True, 11, 9)
    leaves = [each.leaf_hash for each in find(db, Filter())][::-1]
    assert report.root == merkle.Frontier().extended(leaves)[0].root()
    assert report.checkpoint == eleven.checkpoint()


def test_verification_spans_pages(eleven: AuditLog, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = check()
    for page in (1, 2, 3, 4, 5):
        monkeypatch.setattr(store, "PAGE", page)
        assert check() == whole


def test_an_empty_log_is_a_problem(check: Check) -> None:
    assert whats(check()) == ["the log is empty: there is nothing to verify"]


ONE_CHANGE = {
    "the bytes of an entry": (
        "UPDATE prbot_audit_entry SET body = replace(body, '\"bo\"', '\"al\"') WHERE seq = 1",
        ["entry 1: its bytes do not have its leaf hash", "entry 1: its column actor says 'bo', and its bytes 'al'"],
    ),
    "bytes that are no entry": (
        "UPDATE prbot_audit_entry SET body = x'ff' WHERE seq = 1",
        ["entry 1: its bytes do not have its leaf hash", "entry 1: its bytes are no entry: "],
    ),
    "a column": (
        "UPDATE prbot_audit_entry SET actor = 'al' WHERE seq = 1",
        ["entry 1: its column actor says 'al', and its bytes 'bo'"],
    ),
    "a column emptied": (
        "UPDATE prbot_audit_entry SET pull = NULL WHERE seq = 1",
        ["entry 1: its column pull says None, and its bytes 7"],
    ),
    "an address": (
        "UPDATE prbot_audit_resource SET address = 'aws_vpc.other' WHERE seq = 6 AND address = 'aws_vpc.main'",
        ["entry 6: its resource addresses are not those in its bytes"],
    ),
    "an address removed": (
        "DELETE FROM prbot_audit_resource WHERE seq = 6",
        ["entry 6: its resource addresses are not those in its bytes"],
    ),
    "an address of an entry to come": (
        "INSERT INTO prbot_audit_resource (seq, address) VALUES (11, 'aws_vpc.main')",
        ["1 resource addresses are of no entry"],
    ),
    "a subtree": (
        "UPDATE prbot_audit_subtree SET hash = zeroblob(32) WHERE level = 1 AND position = 2",
        ["entry 4: the stored hash over the entries 4 to 5 is not the one of those entries"],
    ),
    "a subtree stored as text": (
        "UPDATE prbot_audit_subtree SET hash = 'text' WHERE level = 3 AND position = 0",
        ["entry 0: the stored hash over the entries 0 to 7 is not the one of those entries"],
    ),
    "a subtree removed": (
        "DELETE FROM prbot_audit_subtree WHERE level = 2 AND position = 1",
        ["entry 4: the stored hash over the entries 4 to 7 is missing"],
    ),
    "a subtree of entries to come": (
        "INSERT INTO prbot_audit_subtree (level, position, hash) VALUES (1, 5, zeroblob(32))",
        ["1 subtree hashes are of no entries"],
    ),
    "the head's size": (
        "UPDATE prbot_audit_head SET size = 12",
        ["the head says 12 entries, and there are 11"],
    ),
    "the head's hashes": (
        "UPDATE prbot_audit_head SET frontier = zeroblob(96)",
        ["the head's hashes are not those of the log"],
    ),
    "the head removed": (
        "DELETE FROM prbot_audit_head",
        ["the head says 0 entries, and there are 11"],
    ),
    "a checkpoint": (
        "UPDATE prbot_audit_checkpoint SET note = replace(note, 'prbot.example', 'other.example') WHERE size = 5",
        ["the checkpoint at size 5: no key that is trusted for other.example/audit signed it"],
    ),
    "a checkpoint that is none": (
        "UPDATE prbot_audit_checkpoint SET note = x'00' WHERE size = 5",
        ["the checkpoint at size 5: "],
    ),
    "a checkpoint moved": (
        "UPDATE prbot_audit_checkpoint SET note = (SELECT note FROM prbot_audit_checkpoint LIMIT 1) WHERE size = 5",
        ["the checkpoint at size 5 was signed for size 3"],
    ),
    "the newest checkpoints removed": (
        "DELETE FROM prbot_audit_checkpoint WHERE size > 8",
        ["entry 8: from here to 10 the entries are under no checkpoint"],
    ),
    "text that is no text": (
        "UPDATE prbot_audit_entry SET actor = CAST(x'ff' AS TEXT) WHERE seq = 1",
        ["the log can't be read any further: Could not decode to UTF-8"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE_CHANGE)
def test_one_change_is_found_and_named_and_nothing_else_is(tamper: Tamper, check: Check, what: str) -> None:
    statement, expected = ONE_CHANGE[what]
    tamper(statement)
    found = whats(check())
    assert len(found) == len(expected)
    assert all(said.startswith(wanted) for said, wanted in zip(found, expected, strict=True)), found


def test_the_last_entries_removed_are_missed_by_the_checkpoints(tamper: Tamper, check: Check) -> None:
    tamper("DELETE FROM prbot_audit_entry WHERE seq > 8", "DELETE FROM prbot_audit_resource WHERE seq > 8")
    assert whats(check()) == [
        "entry 9: it is missing, with all up to 9: the checkpoint at size 10 covers them",
        "entry 9: it is missing, with all up to 10: the checkpoint at size 11 covers them",
        "1 subtree hashes are of no entries",
        "the head says 11 entries, and there are 9",
    ]


def test_an_entry_removed_in_the_middle_is_named(tamper: Tamper, check: Check) -> None:
    tamper("DELETE FROM prbot_audit_entry WHERE seq = 4", "DELETE FROM prbot_audit_resource WHERE seq = 4")
    report = check()
    assert whats(report) == [
        "entry 4: it is missing, and what comes next is entry 5",
        "checkpoints from size 5 on can't be checked: entries are missing",
        "the head says 11 entries, and there are 10",
    ]
    assert report.root is None


def test_entries_that_closed_ranks_over_a_removed_one_are_found(tamper: Tamper, check: Check) -> None:
    tamper(
        "DELETE FROM prbot_audit_entry WHERE seq = 4",
        "DELETE FROM prbot_audit_resource WHERE seq = 4",
        "UPDATE prbot_audit_entry SET seq = -seq + 1 WHERE seq > 4",
        "UPDATE prbot_audit_entry SET seq = -seq WHERE seq < 0",
        "UPDATE prbot_audit_resource SET seq = seq - 1 WHERE seq > 4",
    )
    found = whats(check())
    assert "entry 4: the stored hash over the entries 4 to 5 is not the one of those entries" in found
    assert "the checkpoint at size 5 was signed over other entries than the first 5" in found
    assert "the checkpoint at size 4 was signed over other entries than the first 4" not in found


def test_two_entries_that_changed_places_are_found(tamper: Tamper, check: Check) -> None:
    tamper(
        "UPDATE prbot_audit_entry SET seq = 100 WHERE seq = 5",
        "UPDATE prbot_audit_entry SET seq = 5 WHERE seq = 6",
        "UPDATE prbot_audit_entry SET seq = 6 WHERE seq = 100",
        "UPDATE prbot_audit_resource SET seq = 111 - seq WHERE seq IN (5, 6)",
        "UPDATE prbot_audit_resource SET seq = seq - 100 WHERE seq > 100",
    )
    found = whats(check())
    assert "entry 4: the stored hash over the entries 4 to 5 is not the one of those entries" in found
    assert "entry 6: the stored hash over the entries 6 to 7 is not the one of those entries" in found
    assert "the checkpoint at size 6 was signed over other entries than the first 6" in found
    assert not any("the checkpoint at size 5" in each for each in found)


def test_an_entry_rewritten_with_its_hash_is_found_by_the_tree_and_the_signatures(
    tamper: Tamper, check: Check, db: Database
) -> None:
    (old,) = find(db, Filter(actor="bo"))
    new = old.body.replace(b'"bo"', b'"al"')
    tamper(
        "UPDATE prbot_audit_entry SET body = :body, leaf_hash = :leaf, actor = 'al' WHERE seq = 1",
        body=new, leaf=merkle.leaf_hash(new),
    )  # fmt: skip
    assert whats(check()) == [
        "entry 0: the stored hash over the entries 0 to 1 is not the one of those entries",
        *(
            f"the checkpoint at size {size} was signed over other entries than the first {size}"
            for size in range(3, 12)
        ),
        "the head's hashes are not those of the log",
    ]


def rewrite(db: Database, clock: StoppedClock, keys: AuditKeys, bodies: list[bytes], tamper: Tamper) -> None:
    """A new history, as whoever has both the database and the key can write one."""
    tamper(*(f"DELETE FROM prbot_audit_{each}" for each in ("entry", "resource", "subtree", "head", "checkpoint")))
    for body in bodies:
        with db.write() as tx:
            store.add_pending(tx, Entry.parse(body).id, merkle.leaf_hash(body), body)
    AuditLog(db, keys, clock=clock, new_id=lambda: "").sequence()


def test_a_history_that_the_keys_holder_rewrote_is_found_by_a_checkpoint_kept_outside(
    tamper: Tamper, check: Check, db: Database, clock: StoppedClock, keys: AuditKeys, eleven: AuditLog
) -> None:
    kept = eleven.checkpoint()
    bodies = [each.body for each in find(db, Filter())][::-1]
    rewrite(db, clock, keys, [body.replace(b'"bo"', b'"al"') for body in bodies], tamper)
    assert check().ok
    assert whats(check(safe=kept)) == ["safe was signed over other entries than the first 11"]


def test_a_log_that_the_keys_holder_cut_is_found_by_a_checkpoint_kept_outside(
    tamper: Tamper, check: Check, db: Database, clock: StoppedClock, keys: AuditKeys, eleven: AuditLog
) -> None:
    kept = eleven.checkpoint()
    bodies = [each.body for each in find(db, Filter())][::-1]
    rewrite(db, clock, keys, bodies[:9], tamper)
    assert check().ok
    assert whats(check(safe=kept)) == ["entry 9: it is missing, with all up to 10: safe covers them"]


def test_earlier_checkpoints_kept_outside_agree_with_an_honest_log(
    db: Database, log: AuditLog, check: Check, keys: AuditKeys
) -> None:
    kept = {"empty": checkpoints.sign(Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT), keys.signer)}
    for number in range(9):
        with db.write() as tx:
            log.append(tx, "lock.taken", actor=PRBOT)
        kept[f"after{number}"] = log.checkpoint() or ""
    assert check(**kept).ok


def test_a_kept_checkpoint_must_be_of_this_log_and_signed(check: Check, eleven: AuditLog, db: Database) -> None:
    stranger = SigningKey.generate("other.example")
    note = checkpoints.sign(Checkpoint("other.example", 3, bytes(32)), stranger)
    assert whats(check(safe=note)) == ["safe: no key that is trusted for other.example signed it"]
    assert whats(check(safe="")) == ["safe: it is not a signed note: a text, an empty line, and signatures"]
    keys = [SigningKey(ORIGIN, bytes(range(32))).verifier, stranger.verifier]
    report = verify(db, keys, now=StoppedClock().now(), kept={"safe": note})
    assert whats(report) == [f"safe is of the log other.example, and this one is {ORIGIN}"]


def test_without_the_right_key_no_checkpoint_counts(eleven: AuditLog, db: Database, clock: StoppedClock) -> None:
    stranger = SigningKey.generate(ORIGIN).verifier
    found = whats(verify(db, [stranger], now=clock.now()))
    assert found == [
        f"the checkpoint at size {size}: no key that is trusted for {ORIGIN} signed it" for size in range(3, 12)
    ]


def test_entries_that_wait_for_more_than_ten_seconds_are_reported(
    db: Database, eleven: AuditLog, check: Check, clock: StoppedClock, tamper: Tamper
) -> None:
    tamper("CREATE TRIGGER full BEFORE INSERT ON prbot_audit_entry BEGIN SELECT RAISE(ABORT, 'full'); END")
    with capture_logs(), db.write() as tx:
        entry_id = eleven.append(tx, "lock.freed", actor=PRBOT)
    clock.move(10)
    assert check().ok
    clock.move(0.001)
    since = "2026-11-20T12:00:03.250Z"
    assert whats(check()) == [f"the entry {entry_id} waits for its place since {since}: it is not protected yet"]
    tamper("UPDATE prbot_audit_pending SET body = replace(body, 'lock.freed', 'lock.taken')")
    assert whats(check())[0] == f"the waiting entry {entry_id}: its bytes do not have its leaf hash"
    tamper("UPDATE prbot_audit_pending SET body = 'x'")
    assert whats(check())[1].startswith(f"the waiting entry {entry_id}: its bytes are no entry")


def test_a_database_without_a_log_is_a_problem_and_not_a_crash(
    tmp_path: Path, keys: AuditKeys, clock: StoppedClock
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'other.db'}")
    report = verify(database, keys.verifiers, now=clock.now())
    database.close()
    assert whats(report) == ["the log can't be read any further: no such table: prbot_audit_checkpoint"]
    assert report.as_json()["size"] is None


def test_a_report_lists_some_problems_and_counts_the_others(
    tamper: Tamper, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LISTED", 4)
    tamper("UPDATE prbot_audit_entry SET outcome = 'failed'")
    report = check()
    assert (len(report.problems), report.unlisted, report.ok) == (4, 7, False)
    assert report.as_json()["problems"][0] == {"seq": 0, "what": "its column outcome says 'failed', and its bytes 'ok'"}


def test_verification_changes_nothing(eleven: AuditLog, check: Check, database_file: Path) -> None:
    def dump() -> list[str]:
        with sqlite3.connect(database_file) as connection:
            lines = list(connection.iterdump())
        connection.close()
        return lines

    before = dump()
    assert check().ok
    assert dump() == before
