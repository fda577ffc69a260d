"""The first schema of placement."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.kernel.db import UtcDateTime

revision = "0001"
down_revision = None

UUID = sa.String(36)
NAME = sa.String(255)


def _provider() -> sa.Column[str]:
    return sa.Column("provider", UUID, sa.ForeignKey("providers.uuid"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("latest", sa.BigInteger(), nullable=False),
        sa.Column("provider_removed", sa.BigInteger(), nullable=False),
        sa.Column("names_changed", sa.BigInteger(), nullable=False),
    )
    for table in ("resource_classes", "traits"):
        op.create_table(
            table,
            sa.Column("name", NAME, primary_key=True),
            sa.Column("created_at", UtcDateTime(), nullable=False),
        )
    op.create_table(
        "providers",
        sa.Column("uuid", UUID, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("parent", UUID, sa.ForeignKey("providers.uuid")),
        sa.Column("root", UUID, nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
    )
    for column in ("parent", "root", "changed"):
        op.create_index(f"ix_providers_{column}", "providers", [column])
    op.create_table(
        "inventories",
        _provider(),
        sa.Column("resource_class", NAME, nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("total", "reserved", "min_unit", "max_unit", "step_size")
        ),
        sa.Column("allocation_ratio", sa.Float(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "resource_class"),
    )
    op.create_index("ix_inventories_resource_class", "inventories", ["resource_class"])
    op.create_table(
        "provider_traits",
        _provider(),
        sa.Column("trait", NAME, nullable=False),
        sa.PrimaryKeyConstraint("provider", "trait"),
    )
    op.create_index("ix_provider_traits_trait", "provider_traits", ["trait"])
    op.create_table(
        "provider_aggregates",
        _provider(),
        sa.Column("aggregate", UUID, nullable=False),
        sa.PrimaryKeyConstraint("provider", "aggregate"),
    )
    op.create_table(
        "consumers",
        sa.Column("uuid", UUID, primary_key=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("user_id", NAME, nullable=False),
        sa.Column("consumer_type", NAME),
    )
    op.create_index("ix_consumers_project_user", "consumers", ["project_id", "user_id"])
    op.create_table(
        "allocations",
        sa.Column("consumer", UUID, nullable=False),
        sa.Column("provider", UUID, nullable=False),
        sa.Column("resource_class", NAME, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "provider", "resource_class"),
    )
    op.create_index("ix_allocations_provider_class", "allocations", ["provider", "resource_class"])
