"""Queries of the records of moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from kilonova.compute.model.migrations import Migration
from kilonova.compute.store.tables import migrations
from kilonova.kernel.db import Page, Transaction, paginate

_COLUMNS = {"number": migrations.c.number, "created_at": migrations.c.created_at}


def migration_of(row: Any) -> Migration:
    """A row as a value."""
    has = dict(row._mapping)
    del has["hidden"]
    return Migration(**has)


async def page(
    tx: Transaction,
    page: Page,
    *,
    equal: Mapping[str, Any],
    host: str | None = None,
    changed_since: datetime | None = None,
    changed_before: datetime | None = None,
) -> list[Migration]:
    """A page of moves, by columns that must be equal, and by a host that is source or destination."""
    wanted: Select[Any] = select(migrations)
    for name, value in equal.items():
        wanted = wanted.where(migrations.c[name] == value)
    if host is not None:
        wanted = wanted.where((migrations.c.source_host == host) | (migrations.c.dest_host == host))
    if changed_since is not None:
        wanted = wanted.where(migrations.c.updated_at >= changed_since)
    if changed_before is not None:
        wanted = wanted.where(migrations.c.updated_at <= changed_before)
    return [migration_of(row) for row in await tx.all(paginate(wanted, _COLUMNS, page))]


async def find(tx: Transaction, migration_id: str) -> Migration | None:
    """One move by uuid, or None."""
    row = await tx.first(select(migrations).where(migrations.c.id == migration_id))
    return None if row is None else migration_of(row)
