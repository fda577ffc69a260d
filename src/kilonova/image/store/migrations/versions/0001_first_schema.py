"""The first schema of images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.kernel.db import UtcDateTime

revision = "0001"
down_revision = None


def _image_id(**kw: bool) -> sa.Column[str]:
    return sa.Column("image_id", sa.String(36), sa.ForeignKey("images.id", ondelete="CASCADE"), **kw)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(255)),
        sa.Column("status", sa.String(30), nullable=False),
        sa.Column("visibility", sa.String(9), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("container_format", sa.String(20)),
        sa.Column("disk_format", sa.String(20)),
        sa.Column("min_disk_gib", sa.Integer(), nullable=False),
        sa.Column("min_ram_mib", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("virtual_size_bytes", sa.BigInteger()),
        sa.Column("checksum", sa.String(32)),
        sa.Column("hash_value", sa.String(128)),
        sa.Column("blob_id", sa.String(36)),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
        sa.Column("generation", sa.BigInteger(), nullable=False),
    )
    op.create_index("images_owner", "images", ["owner"])
    op.create_index("images_created", "images", ["created_at", "id"])
    op.create_table(
        "image_properties",
        _image_id(primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("value", sa.Text()),
    )
    op.create_table(
        "image_tags",
        _image_id(primary_key=True),
        sa.Column("tag", sa.String(255), primary_key=True),
    )
    op.create_index("image_tags_tag", "image_tags", ["tag"])
    op.create_table(
        "image_members",
        _image_id(primary_key=True),
        sa.Column("project_id", sa.String(255), primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
    )
    op.create_index("image_members_project", "image_members", ["project_id"])
    op.create_table(
        "uploads",
        sa.Column("blob_id", sa.String(36), primary_key=True),
        _image_id(nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("touched_at", UtcDateTime(), nullable=False),
    )
    op.create_index("uploads_owner", "uploads", ["owner"])
    op.create_index("uploads_image", "uploads", ["image_id"])
