"""Bringing a database to the present schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from prbot.store.database import Database

_LOCK = 0x70_72_62_6F_74  # "prbot": the advisory lock on databases that have them


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(db: Database) -> None:
    """Run the migrations that the database has not seen. Two processes at once do it once.

    On SQLite the transaction has the write lock from its beginning; elsewhere an advisory lock does the same.
    """
    with db.engine.begin() as connection:
        if not db.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(_config(connection), "head")


def current(db: Database) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with db.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "prbot_alembic_version"})
        return context.get_current_revision()


def known_revisions() -> tuple[str, ...]:
    """The revisions that this version of prbot knows, newest first."""
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    return tuple(script.revision for script in scripts.walk_revisions())


def damage(db: Database) -> str:
    """What the database's own check finds wrong with the file; empty if nothing. Reads all of it."""
    if not db.is_sqlite:
        return ""
    with db.read() as tx:
        said = [str(row[0]) for row in tx.connection().execute(text("PRAGMA quick_check(3)"))]
    return "" if said == ["ok"] else "; ".join(said)
