"""What every noun's rows have in common: being written, changed with a new revision, deleted, found by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Delete, Insert, Row, Select, Table, Update, bindparam, delete, func, insert, select, update

from kilonova.kernel.db import Transaction

# Statements are built once a table: building them costs more than running them.


@cache
def _inserts(table: Table) -> Insert:
    return insert(table)


@cache
def _updates(table: Table) -> Update:
    match = table.c.id == bindparam("the_id")
    return update(table).where(match).values(revision_number=table.c.revision_number + 1)


@cache
def _deletes(table: Table) -> Delete:
    return delete(table).where(table.c.id == bindparam("the_id"))


@cache
def _finds(table: Table) -> Select[Any]:
    return select(table).where(table.c.id == bindparam("the_id")).with_for_update()


class Clash(Exception):
    """Another request got in between; the whole transaction is to be tried again with what is there now."""


async def add(tx: Transaction, table: Table, values: Mapping[str, Any], now: datetime) -> None:
    """Insert a row at revision 1."""
    row = {**values, "created_at": now, "updated_at": now, "revision_number": 1}
    await tx.run(_inserts(table), row)


async def change(tx: Transaction, table: Table, object_id: str, values: Mapping[str, Any], now: datetime) -> None:
    """Change a row and count its revision up; with no values only the revision moves."""
    await tx.run(_updates(table), {**values, "updated_at": now, "the_id": object_id})


async def drop(tx: Transaction, table: Table, object_id: str) -> None:
    """Delete a row by id."""
    await tx.run(_deletes(table), {"the_id": object_id})


async def find(tx: Transaction, table: Table, object_id: str) -> Row[Any] | None:
    """The row with this id, whoever owns it. Where the engine can, it is locked until the transaction
    ends.
    """
    return await tx.first(_finds(table), {"the_id": object_id})


async def find_all(tx: Transaction, table: Table, object_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """The rows with these ids, by id."""
    if not object_ids:
        return {}
    rows = await tx.all(select(table).where(table.c.id.in_(list(object_ids))))
    return {row.id: row for row in rows}


async def count(tx: Transaction, table: Table, project_id: str) -> int:
    """How many rows a project owns."""
    return int(await tx.scalar(select(func.count()).select_from(table).where(table.c.project_id == project_id)) or 0)
