"""A database of its own for each test, upgraded as a server upgrades it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.store.database import Database
from prbot.store.migrate import upgrade


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'prbot.db'}")
    upgrade(database)
    yield database
    database.close()
