"""Generations: a counter in the row that makes a lost update impossible."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, update

from kilonova.kernel.db.transaction import Transaction
from kilonova.kernel.errors import Conflict


class StaleGeneration(Conflict):
    """Somebody else changed the row since it was read: read again and decide again."""

    text = "The {what} was changed by another request at the same time; read it again and retry."


async def update_where_generation(
    tx: Transaction, table: Table, *, key: dict[str, Any], generation: int, values: dict[str, Any], what: str
) -> int:
    """Update the row ``key`` only if its generation is still ``generation``; returns the new generation.

    Raises StaleGeneration when the row has moved on or is gone.
    """
    statement = update(table).where(table.c.generation == generation)
    for column, value in key.items():
        statement = statement.where(table.c[column] == value)
    if await tx.run(statement.values(**values, generation=generation + 1)) == 0:
        raise StaleGeneration(what=what)
    return generation + 1
