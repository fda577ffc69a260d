"""What every noun's rows have in common: being written, changed with a new revision, deleted, found by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, delete, func, insert, select, update

from kilonova.kernel.db import Transaction


class Clash(Exception):
    """Another request got in between; the whole transaction is to be tried again with what is there now."""


async def add(tx: Transaction, table: Table, values: Mapping[str, Any], now: datetime) -> None:
    """Insert a row at revision 1."""
    await tx.run(insert(table).values(**values, created_at=now, updated_at=now, revision_number=1))


async def change(tx: Transaction, table: Table, object_id: str, values: Mapping[str, Any], now: datetime) -> None:
    """Change a row and count its revision up; with no values only the revision moves."""
    await tx.run(
        update(table)
        .where(table.c.id == object_id)
        .values(**values, updated_at=now, revision_number=table.c.revision_number + 1)
    )


async def drop(tx: Transaction, table: Table, object_id: str) -> None:
    """Delete a row by id."""
    await tx.run(delete(table).where(table.c.id == object_id))


async def find(tx: Transaction, table: Table, object_id: str) -> Row[Any] | None:
    """The row with this id, whoever owns it. Where the engine can, it is locked until the transaction
    ends.
    """
    return await tx.first(select(table).where(table.c.id == object_id).with_for_update())


async def find_all(tx: Transaction, table: Table, object_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """The rows with these ids, by id."""
    if not object_ids:
        return {}
    rows = await tx.all(select(table).where(table.c.id.in_(list(object_ids))))
    return {row.id: row for row in rows}


async def count(tx: Transaction, table: Table, project_id: str) -> int:
    """How many rows a project owns."""
    return int(await tx.scalar(select(func.count()).select_from(table).where(table.c.project_id == project_id)) or 0)
