"""Failed logins in a row, for the lock-out of accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.kernel.db import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "failed_logins",
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
    )
