"""A log on a real database, and a clock that stands still until it is moved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from prbot.audit.keys import AuditKeys, SigningKey
from prbot.audit.log import AuditLog
from prbot.store.database import Database

ORIGIN = "prbot.example/audit"


@dataclass
class StoppedClock:
    time: datetime = datetime(2026, 11, 20, 12, 0, 3, 250_999, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def keys() -> AuditKeys:
    return AuditKeys(SigningKey(ORIGIN, bytes(range(32))))


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "prbot.db"


@pytest.fixture
def db(database_file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{database_file}")
    SQLModel.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def log(db: Database, keys: AuditKeys, clock: StoppedClock) -> AuditLog:
    numbers = itertools.count()
    return AuditLog(db, keys, clock=clock, new_id=lambda: f"01h{next(numbers):05}")
