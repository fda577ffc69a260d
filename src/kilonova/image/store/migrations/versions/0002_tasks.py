"""A record of each import."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.kernel.db import JsonText, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("image_id", sa.String(36), sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("user_id", sa.String(64)),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("request", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
    )
    op.create_index("tasks_image", "tasks", ["image_id"])
    op.create_index("tasks_expiry", "tasks", ["expires_at"])
