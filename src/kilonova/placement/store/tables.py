"""Tables. Keys are the names that the API uses (UUIDs, class and trait names), so that no statement joins for a name.

Two columns carry what upstream computes by joins:

- ``inventories.used`` is the sum of the allocations against that inventory, changed in the same transaction as they.
- ``providers.changed`` is the number of the last change that touched the provider (or its inventories, usage, traits,
  aggregates). The single row of ``changes`` counts them. A process that remembers number N reads only the providers
  with ``changed > N`` to be up to date again: see :mod:`kilonova.placement.store.snapshot`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

from kilonova.kernel.db import UtcDateTime

metadata = MetaData()

UUID = String(36)
NAME = String(255)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("latest", BigInteger, nullable=False),
    Column("provider_removed", BigInteger, nullable=False, doc="number of the last removal of a provider"),
    Column("names_changed", BigInteger, nullable=False, doc="number of the last change of classes or traits"),
)

resource_classes = Table(
    "resource_classes",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

traits = Table(
    "traits",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

providers = Table(
    "providers",
    metadata,
    Column("uuid", UUID, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("generation", Integer, nullable=False),
    Column("parent", UUID, ForeignKey("providers.uuid")),
    Column("root", UUID, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_providers_parent", "parent"),
    Index("ix_providers_root", "root"),
    Index("ix_providers_changed", "changed"),
)

inventories = Table(
    "inventories",
    metadata,
    Column("provider", UUID, ForeignKey("providers.uuid"), nullable=False),
    Column("resource_class", NAME, nullable=False),
    Column("total", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("min_unit", Integer, nullable=False),
    Column("max_unit", Integer, nullable=False),
    Column("step_size", Integer, nullable=False),
    Column("allocation_ratio", Float, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("provider", "resource_class"),
    Index("ix_inventories_resource_class", "resource_class"),
)

provider_traits = Table(
    "provider_traits",
    metadata,
    Column("provider", UUID, ForeignKey("providers.uuid"), nullable=False),
    Column("trait", NAME, nullable=False),
    PrimaryKeyConstraint("provider", "trait"),
    Index("ix_provider_traits_trait", "trait"),
)

provider_aggregates = Table(
    "provider_aggregates",
    metadata,
    Column("provider", UUID, ForeignKey("providers.uuid"), nullable=False),
    Column("aggregate", UUID, nullable=False),
    PrimaryKeyConstraint("provider", "aggregate"),
)

consumers = Table(
    "consumers",
    metadata,
    Column("uuid", UUID, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("project_id", NAME, nullable=False),
    Column("user_id", NAME, nullable=False),
    Column("consumer_type", NAME, doc="None: written by a client older than consumer types"),
    Index("ix_consumers_project_user", "project_id", "user_id"),
)

allocations = Table(
    "allocations",
    metadata,
    Column("consumer", UUID, nullable=False),
    Column("provider", UUID, nullable=False),
    Column("resource_class", NAME, nullable=False),
    Column("used", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("consumer", "provider", "resource_class"),
    Index("ix_allocations_provider_class", "provider", "resource_class"),
)
