"""Alembic's entry: it works on the connection that it is given, and sees our tables alone."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from prbot.store import audit_log, tables  # noqa: F401  (they declare the tables)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    version_table="prbot_alembic_version",
    include_name=lambda name, kind, _parents: kind != "table" or (name or "").startswith("prbot_"),
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
