"""Queries of key pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from kilonova.compute.errors import KeypairExists, KeypairNotFound
from kilonova.compute.store.tables import keypairs
from kilonova.kernel.db import Duplicate, Page, Transaction, paginate

_COLUMNS = {"name": keypairs.c.name}


async def page(tx: Transaction, user_id: str, page: Page) -> Sequence[Row[Any]]:
    """A page of a user's key pairs by name."""
    return await tx.all(paginate(select(keypairs).where(keypairs.c.user_id == user_id), _COLUMNS, page))


async def find(tx: Transaction, user_id: str, name: str) -> Row[Any] | None:
    """One key pair, or None."""
    return await tx.first(select(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name))


async def count(tx: Transaction, user_id: str) -> int:
    """How many a user has."""
    return int(await tx.scalar(select(func.count()).where(keypairs.c.user_id == user_id)))


async def insert_keypair(tx: Transaction, values: Mapping[str, Any]) -> int:
    """A new key pair; its number. Raises KeypairExists."""
    try:
        return await tx.insert_id(insert(keypairs), dict(values))
    except Duplicate:
        raise KeypairExists(name=values["name"]) from None


async def remove(tx: Transaction, user_id: str, name: str) -> None:
    """Raises KeypairNotFound."""
    if not await tx.run(delete(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name)):
        raise KeypairNotFound(name=name, user_id=user_id)
