"""What reconcile remembers"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import prbot.store.database

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prbot_repository",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since", prbot.store.database.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("prbot_inbox", sa.Column("says", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.create_index("prbot_inbox_says", "prbot_inbox", ["says"], unique=True)
    for column in (
        sa.Column("earlier_sha", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=""),
        sa.Column("acted_on", sa.JSON(), nullable=True),
        sa.Column("heard_until", prbot.store.database.UtcDateTime(), nullable=True),
    ):
        op.add_column("prbot_pull", column)
