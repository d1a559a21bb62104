"""The database: transactions that are safe under many writers, and a reading side that cannot write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, TypeDecorator, create_engine, event, exc, text
from sqlalchemy.engine import make_url
from sqlmodel import Session

BUSY_SECONDS = 30


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on databases that know zones and on those that do not."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone would be stored as somebody's guess")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Database:
    """A database by its URL (`sqlite:///path` or `postgresql+psycopg://…`).

    `write()` is one serialised read-then-write transaction: on SQLite it begins with BEGIN IMMEDIATE, so that what it
    read stays true until it commits. `read()` cannot write. Neither may hold while the network, git or a process works.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = self._engine(read_only=False)
        self._reader = self._engine(read_only=True)
        self._turn = threading.Lock()

    def _engine(self, *, read_only: bool) -> Engine:
        if not self.is_sqlite:
            return create_engine(self.url, pool_pre_ping=True)
        engine = create_engine(
            self.url,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            pool_size=8,
            max_overflow=32,
        )

        @event.listens_for(engine, "connect")
        def on_connect(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # the driver's own modes begin too late; see docs/adr
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"query_only={int(read_only)}"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def on_begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

        return engine

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._writer

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block and rolls back on an exception.

        Callables given to `after_commit` are called once it is committed, in order.
        """
        with self._one_writer(), Session(self._writer, expire_on_commit=False) as session:
            with session.begin():
                yield session
            pending: list[Callable[[], None]] = session.info.pop("after_commit", [])
        for call in dict.fromkeys(pending):
            call()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """One writer of this process at a time on SQLite, whose own waiting is polling and halves the throughput."""
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise exc.TimeoutError(f"no turn to write within {BUSY_SECONDS} s: a write transaction lasts, or is nested")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view. What it loaded stays usable after the block."""
        with Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    def now(self, session: Session) -> datetime:
        """The time by the database's clock, which all workers share; milliseconds at least."""
        if self.is_sqlite:
            raw = session.connection().execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
            return datetime.fromisoformat(raw).replace(tzinfo=UTC)
        value: datetime = session.connection().execute(text("SELECT clock_timestamp()")).scalar_one()
        return value.astimezone(UTC)

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Call `call` once the session's transaction is committed; the same callable is called once."""
    session.info.setdefault("after_commit", []).append(call)
