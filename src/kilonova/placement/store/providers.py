"""Providers: create, rename, move within the forest, remove; their traits and aggregates."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, insert, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.placement.errors import (
    BadParent,
    NoSuchProvider,
    ProviderHasAllocations,
    ProviderHasChildren,
    ProviderTaken,
    UnknownTraits,
)
from kilonova.placement.model.provider import Provider
from kilonova.placement.store.changes import advance, note
from kilonova.placement.store.tables import (
    allocations,
    inventories,
    provider_aggregates,
    provider_traits,
    providers,
    traits,
)

_BY_UUID = select(providers).where(providers.c.uuid == bindparam("key"))
_SAME = select(providers.c.uuid, providers.c.name).where(
    (providers.c.uuid == bindparam("key")) | (providers.c.name == bindparam("called"))
)
_INSERT = insert(providers)
_GENERATIONS = select(providers.c.uuid, providers.c.generation).where(
    providers.c.uuid.in_(bindparam("keys", expanding=True))
)


async def get(tx: Transaction, uuid: str) -> Row[Any]:
    """The provider's row. Raises NoSuchProvider."""
    row = await tx.first(_BY_UUID, {"key": uuid})
    if row is None:
        raise NoSuchProvider(uuid=uuid)
    return row


async def generations(tx: Transaction, uuids: Collection[str]) -> dict[str, int]:
    """The generation of each of these providers that exists."""
    rows = await tx.all(_GENERATIONS, {"keys": list(uuids)})
    return {row.uuid: row.generation for row in rows}


async def create(tx: Transaction, *, uuid: str, name: str, parent: str | None, now: datetime) -> Provider:
    """Add a provider at generation 0 and give it back. Raises BadParent, ProviderTaken."""
    root = uuid
    if parent is not None:
        root = await _root_below(tx, uuid, parent)
    for row in await tx.all(_SAME, {"key": uuid, "called": name}):
        raise ProviderTaken(which=f"uuid: {uuid}" if row.uuid == uuid else f"name: {name}")
    number = await note(tx)
    values = {
        "uuid": uuid, "name": name, "generation": 0, "parent": parent, "root": root, "changed": number,
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    try:
        await tx.run(_INSERT, values)
    except Duplicate:  # another process was quicker than our look
        raise ProviderTaken(which=f"name: {name}") from None
    return Provider(uuid, name, 0, parent, root, now, now)


async def rename(tx: Transaction, uuid: str, name: str, now: datetime) -> None:
    """Give the provider another name. Raises ProviderTaken."""
    taken = await tx.scalar(select(providers.c.uuid).where(providers.c.name == name))
    if taken is not None and taken != uuid:
        raise ProviderTaken(which=f"name: {name}")
    await tx.run(update(providers).where(providers.c.uuid == uuid).values(name=name, updated_at=now))
    await note(tx, touched=[uuid])


async def move(tx: Transaction, provider: Row[Any], parent: str | None, *, freely: bool) -> None:
    """Put the provider (and all below it) under another parent, or make it a root.

    Unless ``freely``, a provider that has a parent keeps it. Raises BadParent.
    """
    if parent == provider.parent:
        return
    if parent is None and not freely:
        raise BadParent(uuid=provider.uuid, why="un-parenting a provider is not allowed in this microversion.")
    if provider.parent is not None and not freely:
        raise BadParent(uuid=provider.uuid, why="re-parenting a provider is not allowed in this microversion.")
    below = await _subtree(tx, provider)
    if parent in below:
        raise BadParent(uuid=provider.uuid, why="that would make a loop in the provider tree.")
    root = provider.uuid if parent is None else await _root_below(tx, provider.uuid, parent)
    await tx.run(update(providers).where(providers.c.uuid == provider.uuid).values(parent=parent))
    await tx.run(update(providers).where(providers.c.uuid.in_(below)).values(root=root))
    await note(tx, touched=below)


async def remove(tx: Transaction, uuid: str) -> None:
    """Delete the provider with its inventories. Raises NoSuchProvider, ProviderHasChildren, ProviderHasAllocations."""
    row = await get(tx, uuid)
    if await tx.scalar(select(exists().where(providers.c.parent == uuid))):
        raise ProviderHasChildren(uuid=uuid)
    if await tx.scalar(select(exists().where(allocations.c.provider == uuid))):
        raise ProviderHasAllocations(uuid=uuid)
    for table in (provider_traits, provider_aggregates, inventories):
        await tx.run(delete(table).where(table.c.provider == uuid))
    same = delete(providers).where(providers.c.uuid == uuid, providers.c.generation == row.generation)
    if await tx.run(same) == 0:
        raise ProviderHasAllocations(uuid=uuid)
    await note(tx, provider_removed=True)


async def set_traits(tx: Transaction, provider: Row[Any], names: Collection[str], now: datetime) -> int:
    """Give the provider exactly these traits. Returns its generation, raised when anything changed.

    Raises UnknownTraits, ChangedMeanwhile.
    """
    wanted = set(names)
    known = set(await tx.column(select(traits.c.name).where(traits.c.name.in_(wanted)))) if wanted else set()
    if wanted - known:
        raise UnknownTraits(names=", ".join(sorted(wanted - known)))
    table = provider_traits
    had = set(await tx.column(select(table.c.trait).where(table.c.provider == provider.uuid)))
    if had == wanted:
        return int(provider.generation)
    if had - wanted:
        await tx.run(delete(table).where(table.c.provider == provider.uuid, table.c.trait.in_(had - wanted)))
    await tx.run(insert(table), [{"provider": provider.uuid, "trait": name} for name in sorted(wanted - had)])
    await advance(tx, {provider.uuid: provider.generation}, now)
    return int(provider.generation) + 1


async def set_aggregates(
    tx: Transaction, provider: Row[Any], uuids: Iterable[str], now: datetime, *, raise_generation: bool
) -> int:
    """Make the provider a member of exactly these aggregates. Returns its generation. Raises ChangedMeanwhile."""
    wanted = set(uuids)
    table = provider_aggregates
    had = set(await tx.column(select(table.c.aggregate).where(table.c.provider == provider.uuid)))
    if had - wanted:
        await tx.run(delete(table).where(table.c.provider == provider.uuid, table.c.aggregate.in_(had - wanted)))
    await tx.run(insert(table), [{"provider": provider.uuid, "aggregate": u} for u in sorted(wanted - had)])
    if not raise_generation:
        await note(tx, touched=[provider.uuid])
        return int(provider.generation)
    await advance(tx, {provider.uuid: provider.generation}, now)
    return int(provider.generation) + 1


async def _root_below(tx: Transaction, uuid: str, parent: str) -> str:
    if parent == uuid:
        raise BadParent(uuid=uuid, why="parent provider UUID cannot be same as UUID.")
    root = await tx.scalar(select(providers.c.root).where(providers.c.uuid == parent))
    if root is None:
        raise BadParent(uuid=uuid, why=f"parent provider UUID {parent} does not exist.")
    return str(root)


async def _subtree(tx: Transaction, top: Row[Any]) -> set[str]:
    rows = await tx.all(select(providers.c.uuid, providers.c.parent).where(providers.c.root == top.root))
    below: set[str] = {top.uuid}
    grown = True
    while grown:
        more = {row.uuid for row in rows if row.parent in below} - below
        below |= more
        grown = bool(more)
    return below
