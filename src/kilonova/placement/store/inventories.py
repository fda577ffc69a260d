"""Inventories of a provider. ``used`` is never written here: it follows the allocations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.placement.errors import (
    InventoryExists,
    InventoryInUse,
    NoSuchInventory,
    OneInventoryInUse,
    UnknownClass,
)
from kilonova.placement.model.claims import Place
from kilonova.placement.model.provider import Inventory
from kilonova.placement.store.changes import advance
from kilonova.placement.store.tables import inventories, resource_classes

FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")

_UPDATE = (
    update(inventories)
    .where(inventories.c.provider == bindparam("of"), inventories.c.resource_class == bindparam("rc"))
    .values({name: bindparam(name) for name in (*FIELDS, "updated_at")})
)
_INSERT = insert(inventories)
_OF_PROVIDERS = select(inventories).where(inventories.c.provider.in_(bindparam("keys", expanding=True)))

Offer = Mapping[str, Any]
"""The six fields of an inventory."""


async def of_providers(tx: Transaction, uuids: Collection[str]) -> dict[Place, Inventory]:
    """All inventories of these providers by place."""
    rows = await tx.all(_OF_PROVIDERS, {"keys": list(uuids)})
    return {(row.provider, row.resource_class): from_row(row) for row in rows}


def from_row(row: Row[Any]) -> Inventory:
    """The value of a row."""
    return Inventory(
        row.resource_class, row.total, row.reserved, row.min_unit, row.max_unit, row.step_size,
        row.allocation_ratio, row.used, row.updated_at,
    )  # fmt: skip


async def know_classes(tx: Transaction, names: Iterable[str]) -> None:
    """Raise UnknownClass unless all these resource classes exist."""
    wanted = set(names)
    if not wanted:
        return
    found = await tx.column(select(resource_classes.c.name).where(resource_classes.c.name.in_(wanted)))
    if len(found) < len(wanted):
        raise UnknownClass(names=", ".join(sorted(wanted.difference(found))))


async def put(tx: Transaction, provider: str, offers: Mapping[str, Offer], now: datetime) -> set[str]:
    """Insert or update these inventories of a provider. Returns the classes it offers besides. Raises UnknownClass."""
    had = set(await tx.column(select(inventories.c.resource_class).where(inventories.c.provider == provider)))
    await know_classes(tx, set(offers) - had)
    new = [_values(provider, rc, offer, now) for rc, offer in offers.items() if rc not in had]
    old = [{**_fields(offer), "of": provider, "rc": rc, "updated_at": now} for rc, offer in offers.items() if rc in had]
    await tx.run(_UPDATE, old)
    await tx.run(_INSERT, new)
    return had - set(offers)


async def drop(tx: Transaction, provider: str, classes: Collection[str]) -> None:
    """Delete these inventories. Raises InventoryInUse, naming the classes that have allocations."""
    if not classes:
        return
    these = (inventories.c.provider == provider, inventories.c.resource_class.in_(classes))
    used = await tx.column(select(inventories.c.resource_class).where(*these, inventories.c.used > 0))
    if used:
        raise InventoryInUse(resource_classes=", ".join(sorted(used)), provider=provider)
    await tx.run(delete(inventories).where(*these))


async def replace(tx: Transaction, provider: Row[Any], offers: Mapping[str, Offer], now: datetime) -> None:
    """Make these the provider's inventories. Raises UnknownClass, InventoryInUse, ChangedMeanwhile."""
    await drop(tx, provider.uuid, await put(tx, provider.uuid, offers, now))
    await advance(tx, {provider.uuid: provider.generation}, now)


async def add(tx: Transaction, provider: Row[Any], resource_class: str, offer: Offer, now: datetime) -> None:
    """Add one inventory. Raises UnknownClass, InventoryExists, ChangedMeanwhile."""
    await know_classes(tx, [resource_class])
    try:
        await tx.run(_INSERT, [_values(provider.uuid, resource_class, offer, now)])
    except Duplicate:
        raise InventoryExists(provider=provider.uuid, resource_class=resource_class) from None
    await advance(tx, {provider.uuid: provider.generation}, now)


async def change(tx: Transaction, provider: Row[Any], resource_class: str, offer: Offer, now: datetime) -> bool:
    """Update one inventory; False when there is none. Raises ChangedMeanwhile."""
    values = {**_fields(offer), "of": provider.uuid, "rc": resource_class, "updated_at": now}
    if await tx.run(_UPDATE, values) == 0:
        return False
    await advance(tx, {provider.uuid: provider.generation}, now)
    return True


async def remove(tx: Transaction, provider: Row[Any], resource_class: str, now: datetime) -> None:
    """Delete one inventory. Raises NoSuchInventory, OneInventoryInUse, ChangedMeanwhile."""
    this = (inventories.c.provider == provider.uuid, inventories.c.resource_class == resource_class)
    used = await tx.scalar(select(inventories.c.used).where(*this))
    if used is None:
        raise NoSuchInventory(provider=provider.uuid, resource_class=resource_class)
    if used:
        raise OneInventoryInUse(resource_classes=resource_class, provider=provider.uuid)
    await tx.run(delete(inventories).where(*this))
    await advance(tx, {provider.uuid: provider.generation}, now)


def _fields(offer: Offer) -> dict[str, Any]:
    return {name: offer[name] for name in FIELDS}


def _values(provider: str, resource_class: str, offer: Offer, now: datetime) -> dict[str, Any]:
    return {**_fields(offer), "provider": provider, "resource_class": resource_class, "used": 0, "updated_at": now}
