"""Transactions: one writer at a time, readers that cannot write, and times that have a zone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as NoTurn
from sqlmodel import Session, select

from prbot.store import database
from prbot.store.database import Database, after_commit
from prbot.store.tables import Worker

NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


def worker(name: str, at: datetime = NOON) -> Worker:
    return Worker(id=name, host="here", pid=1, started_at=at, beat_at=at)


def names(db: Database) -> list[str]:
    with db.read() as tx:
        return list(tx.exec(select(Worker.id).order_by(Worker.id)))


def test_what_a_transaction_wrote_is_there_after_it_and_not_when_it_broke(db: Database) -> None:
    with db.write() as tx:
        tx.add(worker("kept"))
    with pytest.raises(KeyError), db.write() as tx:  # noqa: PT012
        tx.add(worker("rolled back"))
        tx.flush()
        raise KeyError
    assert names(db) == ["kept"]


def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"), db.read() as tx:  # noqa: PT012
        tx.add(worker("sneaked in"))
        tx.flush()
    assert names(db) == []


def test_a_reader_keeps_its_view_while_others_write_and_does_not_keep_them_waiting(db: Database) -> None:
    with db.read() as tx:
        assert tx.exec(select(Worker.id)).all() == []
        with db.write() as other:
            other.add(worker("new"))
        assert tx.exec(select(Worker.id)).all() == []
    assert names(db) == ["new"]


def test_a_nested_write_says_that_it_is_one_and_the_outer_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with db.write() as outer:
        outer.add(worker("outer"))
        with pytest.raises(NoTurn, match="nested"), db.write():
            pass
    with db.write() as tx:
        tx.add(worker("later"))
    assert names(db) == ["later", "outer"]


def test_what_one_writer_read_stays_true_until_it_commits(db: Database) -> None:
    with db.write() as tx:
        tx.add(Worker(id="count", host="here", pid=0, started_at=NOON, beat_at=NOON))

    def add_ten() -> None:
        other = Database(str(db.url))  # as another process
        for _ in range(10):
            with other.write() as tx:
                row = tx.get_one(Worker, "count")
                row.pid += 1
        other.close()

    threads = [threading.Thread(target=add_ten) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with db.read() as tx:
        assert tx.get_one(Worker, "count").pid == 30


def test_what_waits_for_the_commit_is_called_after_it_once_and_in_order(db: Database) -> None:
    seen: list[tuple[str, list[str]]] = []

    def first() -> None:
        seen.append(("first", names(db)))

    def second() -> None:
        seen.append(("second", names(db)))

    with db.write() as tx:
        for call in (first, second, first):
            after_commit(tx, call)
        tx.add(worker("new"))
        assert seen == []
    assert seen == [("first", ["new"]), ("second", ["new"])]


def test_what_waits_for_a_commit_that_never_comes_is_never_called(db: Database) -> None:
    seen: list[str] = []

    def break_it(tx: Session) -> None:
        after_commit(tx, lambda: seen.append("called"))
        raise KeyError

    with pytest.raises(KeyError), db.write() as tx:
        break_it(tx)
    with db.write():
        pass
    assert seen == []


def test_a_time_comes_back_with_its_zone_as_the_same_moment(db: Database) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    with db.write() as tx:
        tx.add(worker("tokyo", tokyo))
    with db.read() as tx:
        beat = tx.get_one(Worker, "tokyo").beat_at
    assert beat == NOON
    assert beat.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(StatementError, match="without a zone"), db.write() as tx:
        tx.add(worker("naive", naive))
    assert names(db) == []


def test_the_clock_of_the_database_is_in_utc_and_knows_milliseconds(db: Database) -> None:
    with db.read() as tx:
        shown = {db.now(tx) for _ in range(200)}
    assert all(each.tzinfo is UTC and abs(each - datetime.now(UTC)) < timedelta(seconds=30) for each in shown)
    with db.read() as tx:
        fraction = tx.connection().execute(text("SELECT strftime('%f', 'now')")).scalar_one()
    assert len(fraction) == len("00.000")
