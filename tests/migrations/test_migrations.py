"""The migrations lead to the tables that the code declares, from any process, also from an installed package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hatchling.builders.wheel import WheelBuilder
from sqlalchemy import text
from sqlmodel import SQLModel

import prbot.store
from prbot.store import audit_log, tables  # noqa: F401  (they declare the tables)
from prbot.store.database import Database
from prbot.store.migrate import current, upgrade

ROOT = Path(__file__).parents[2]
MIGRATIONS = Path(prbot.store.__file__).parent / "migrations"
UPGRADE = """
import sys
from prbot.store.database import Database
from prbot.store.migrate import upgrade
sys.stdin.readline()
upgrade(Database(sys.argv[1]))
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'prbot.db'}")
    yield database
    database.close()


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_the_upgraded_schema_is_the_one_that_the_code_declares(db: Database) -> None:
    upgrade(db)
    options = {
        "version_table": "prbot_alembic_version",
        "include_name": lambda name, kind, _parents: kind != "table" or name.startswith("prbot_"),
        "compare_type": True,
    }
    with db.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_every_table_is_named_after_prbot() -> None:
    assert SQLModel.metadata.tables
    assert [name for name in SQLModel.metadata.tables if not name.startswith("prbot_")] == []


def test_an_upgrade_leads_from_nothing_to_the_only_head_and_a_second_changes_nothing(db: Database) -> None:
    assert current(db) is None
    upgrade(db)
    assert [current(db)] == scripts().get_heads()
    upgrade(db)
    assert [current(db)] == scripts().get_heads()


def test_an_upgrade_that_breaks_leaves_nothing_behind(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE prbot_worker (id INTEGER)"))  # in the way of a late step
    with pytest.raises(Exception, match="prbot_worker"):
        upgrade(db)
    with db.engine.begin() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
    assert names == ["prbot_worker"]


def test_processes_that_upgrade_at_once_do_it_once(db: Database) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, str(db.url)],
            cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    with db.read() as tx:
        versions = tx.connection().execute(text("SELECT version_num FROM prbot_alembic_version")).scalars().all()
    assert versions == scripts().get_heads()


def test_the_package_that_is_installed_holds_every_file_of_the_migrations() -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in MIGRATIONS.rglob("*")
        if path.suffix in {".py", ".mako"} and path.is_file()
    }
    packaged = {Path(each.distribution_path).as_posix() for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "prbot/store/migrations/versions/0001_first.py" in wanted
    assert wanted <= packaged
