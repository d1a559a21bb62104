"""What the gate and the apply must know for certain"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import prbot.store.database

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def _when(name: str) -> sa.Column[Any]:
    return sa.Column(name, prbot.store.database.UtcDateTime(), nullable=True)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _word(name: str) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=False, server_default="")


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _list(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=True)


_ADDED = {
    "prbot_inbox": (_count("attempts"), _count("unanswered"), _when("retry_at")),
    "prbot_operation": (_word("base_branch"), _flag("reviewed"), _list("notes"), _when("shown_at")),
    "prbot_run": (
        _when("applying_at"),
        _count("stale_tries"),
        _list("comes_after"),
        _list("state_places"),
        _list("left_out"),
        _word("ended_by"),
        sa.Column("held_for", sa.Text(), nullable=False, server_default=""),
    ),
    "prbot_pull": (_word("queued_sha"), _word("queued_base")),
    "prbot_post": (_count("attempts"), _when("retry_at")),
}


_NUMBERED = ("prbot_inbox", "prbot_operation", "prbot_run")


def _number(table: str) -> None:
    """Number the rows in their order, which so far was that of their ids."""
    op.add_column(table, _count("seq"))
    rows = sa.table(table, sa.column("id"), sa.column("seq"))
    numbers = sa.select(rows.c.id, sa.func.row_number().over(order_by=rows.c.id).label("number")).subquery()
    op.execute(sa.update(rows).values(seq=numbers.c.number).where(rows.c.id == numbers.c.id))
    op.create_index(f"{table}_seq", table, ["seq"], unique=True)


def _name_base_branches() -> None:
    """Operations from before were for the base branch that their pull request has: given another one, it was planned
    again."""
    done, pulls = (
        sa.table("prbot_operation", *map(sa.column, ("repo", "pull", "base_branch"))),
        sa.table("prbot_pull", *map(sa.column, ("repo", "number", "base_branch"))),
    )
    named = sa.select(pulls.c.base_branch).where(pulls.c.repo == done.c.repo, pulls.c.number == done.c.pull)
    op.execute(sa.update(done).values(base_branch=sa.func.coalesce(named.scalar_subquery(), "")))


def _name_workspaces_of_orphans() -> None:
    """Of a removed directory only the default workspace was known."""
    rows = sa.table("prbot_operation", sa.column("id"), sa.column("orphans", sa.JSON()))
    found = op.get_bind().execute(sa.select(rows.c.id, rows.c.orphans)).all()
    for identity, orphans in found:
        if orphans:
            named = [{"workspaces": ["default"], **each} for each in orphans]
            op.execute(sa.update(rows).where(rows.c.id == identity).values(orphans=named))


def _order_by_seq(index: str, table: str, **where: Any) -> None:
    op.drop_index(index, table_name=table)
    op.create_index(index, table, ["repo", "pull", "seq"], unique=False, **where)


def upgrade() -> None:
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
    _name_base_branches()
    _name_workspaces_of_orphans()
    for table in _NUMBERED:
        _number(table)
    _order_by_seq("prbot_inbox_open", "prbot_inbox", sqlite_where=sa.text("handled_at IS NULL"))
    op.create_index("prbot_inbox_pull", "prbot_inbox", ["repo", "pull", "created_at"], unique=False)
    _order_by_seq("prbot_operation_pull", "prbot_operation")
    _order_by_seq("prbot_run_pull", "prbot_run")
    op.create_index("prbot_run_project", "prbot_run", ["repo", "dir", "workspace", "pull", "seq"], unique=False)
    op.create_table(
        "prbot_orphan",
        sa.Column("repo", _TEXT, nullable=False),
        sa.Column("dir", _TEXT, nullable=False),
        sa.Column("workspace", _TEXT, nullable=False),
        sa.Column("pull", sa.Integer(), nullable=True),
        sa.Column("merge_sha", _TEXT, nullable=False),
        sa.Column("before_sha", _TEXT, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("since", prbot.store.database.UtcDateTime(), nullable=False),
        _when("ended_at"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("repo", "dir", "workspace"),
    )
