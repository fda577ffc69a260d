"""Resource classes and traits: the standard ones of os-resource-classes and os-traits, and custom ones."""

from __future__ import annotations

from datetime import datetime

import os_resource_classes
import os_traits
from sqlalchemy import Table, delete, exists, insert, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.placement.errors import NameInUse, NameTaken, NoSuchClass, NoSuchTrait, StandardName
from kilonova.placement.model.provider import CUSTOM
from kilonova.placement.store.changes import note
from kilonova.placement.store.tables import (
    allocations,
    changes,
    inventories,
    provider_traits,
    resource_classes,
    traits,
)

CLASS, TRAIT = "resource class", "trait"


async def synchronise(tx: Transaction, now: datetime) -> int:
    """Add the standard names that the installed libraries know and the database does not. Returns how many.

    Also makes the row of ``changes``. Names that a library has dropped stay: inventories may use them.
    """
    if await tx.first(select(changes)) is None:
        await tx.run(insert(changes), {"id": 1, "latest": 1, "provider_removed": 0, "names_changed": 1})
    added = await _add_missing(tx, resource_classes, list(os_resource_classes.STANDARDS), now)
    added += await _add_missing(tx, traits, [n for n in os_traits.get_traits() if not n.startswith(CUSTOM)], now)
    if added:
        await note(tx, names_changed=True)
    return added


async def _add_missing(tx: Transaction, table: Table, names: list[str], now: datetime) -> int:
    known = set(await tx.column(select(table.c.name)))
    new = [{"name": name, "created_at": now} for name in names if name not in known]
    await tx.run(insert(table), new)
    return len(new)


async def create(tx: Transaction, table: Table, what: str, name: str, now: datetime) -> datetime:
    """Add a custom name. Raises NameTaken."""
    if await _created_at(tx, table, name) is not None:
        raise NameTaken(what=what, name=name)
    try:
        await tx.run(insert(table), {"name": name, "created_at": now})
    except Duplicate:
        raise NameTaken(what=what, name=name) from None
    await note(tx, names_changed=True)
    return now


async def ensure(tx: Transaction, table: Table, what: str, name: str, now: datetime) -> tuple[bool, datetime]:
    """Add a custom name unless it is there. Returns whether it was made, and when it came to be."""
    await tx.alone("name", name)
    since = await _created_at(tx, table, name)
    if since is not None:
        return False, since
    return True, await create(tx, table, what, name, now)


async def rename_class(tx: Transaction, name: str, new_name: str) -> None:
    """Give a custom class another name, wherever it is used. Raises NoSuchClass, StandardName, NameTaken."""
    if await _created_at(tx, resource_classes, name) is None:
        raise NoSuchClass(name=name)
    if not name.startswith(CUSTOM):
        raise StandardName(what=CLASS, name=name)
    if new_name != name and await _created_at(tx, resource_classes, new_name) is not None:
        raise NameTaken(what=CLASS, name=new_name)
    touched = await tx.column(select(inventories.c.provider).where(inventories.c.resource_class == name))
    await tx.run(update(resource_classes).where(resource_classes.c.name == name).values(name=new_name))
    for table in (inventories, allocations):
        await tx.run(update(table).where(table.c.resource_class == name).values(resource_class=new_name))
    await note(tx, touched=touched, names_changed=True)


async def delete_class(tx: Transaction, name: str) -> None:
    """Delete a custom class. Raises NoSuchClass, StandardName, NameInUse."""
    if await _created_at(tx, resource_classes, name) is None:
        raise NoSuchClass(name=name)
    await _delete(tx, resource_classes, CLASS, name, exists().where(inventories.c.resource_class == name))


async def delete_trait(tx: Transaction, name: str) -> None:
    """Delete a custom trait. Raises NoSuchTrait, StandardName, NameInUse."""
    if await _created_at(tx, traits, name) is None:
        raise NoSuchTrait(names=name)
    await _delete(tx, traits, TRAIT, name, exists().where(provider_traits.c.trait == name))


async def _delete(tx: Transaction, table: Table, what: str, name: str, in_use: object) -> None:
    if not name.startswith(CUSTOM):
        raise StandardName(what=what, name=name)
    if await tx.scalar(select(in_use)):  # type: ignore[call-overload]
        raise NameInUse(what=what, name=name)
    await tx.run(delete(table).where(table.c.name == name))
    await note(tx, names_changed=True)


async def _created_at(tx: Transaction, table: Table, name: str) -> datetime | None:
    found: datetime | None = await tx.scalar(select(table.c.created_at).where(table.c.name == name))
    return found
