"""The providers in memory, brought up to date before each use by reading only what has changed.

Several processes may write: each asks the one row of ``changes`` first. When its number is the one remembered, the
world in memory is the database's; when not, the providers stamped with a later number are read again (all of them
after a provider was removed). The number is read before the rows, so a change in between is read twice, never missed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Table, bindparam, select

from kilonova.kernel.db import Database, Transaction
from kilonova.placement.model.provider import Inventory, Provider
from kilonova.placement.model.world import World
from kilonova.placement.store import inventories as inventory_store
from kilonova.placement.store.tables import (
    changes,
    inventories,
    provider_aggregates,
    provider_traits,
    providers,
    resource_classes,
    traits,
)

_MOST_SETS = 10_000
_NUMBERS = select(changes)
_LATER = providers.c.changed > bindparam("seen")
_PROVIDERS = select(providers).where(_LATER)


def _of_later(table: Table) -> Any:
    return select(table).join(providers, providers.c.uuid == table.c.provider).where(_LATER)


_INVENTORIES = _of_later(inventories)
_TRAITS = _of_later(provider_traits)
_AGGREGATES = _of_later(provider_aggregates)


class Snapshot:
    """Holds the world of one database for one process."""

    def __init__(self, db: Database):
        self._db = db
        self._world = World()
        self._seen = -1
        self._lock = asyncio.Lock()
        self._sets: dict[frozenset[str], frozenset[str]] = {}

    async def current(self) -> World:
        """The world as of now. Use it before the next await: later calls change it in place."""
        async with self._lock, self._db.read() as tx:
            numbers = await tx.first(_NUMBERS)
            if numbers is not None and numbers.latest != self._seen:
                await self._catch_up(tx, numbers)
        return self._world

    async def _catch_up(self, tx: Transaction, numbers: Row[Any]) -> None:
        if numbers.names_changed > self._seen:
            self._world.traits = await _names(tx, traits)
            self._world.resource_classes = await _names(tx, resource_classes)
        all_anew = self._seen < 0 or numbers.provider_removed > self._seen
        if all_anew or len(self._sets) > _MOST_SETS:
            self._sets.clear()
        later = await self._load(tx, -1 if all_anew else self._seen)
        if all_anew:
            self._world.clear()
        self._world.replace(later)
        self._seen = numbers.latest

    async def _load(self, tx: Transaction, seen: int) -> Iterable[Provider]:
        values = {"seen": seen}
        rows = await tx.all(_PROVIDERS, values)
        if not rows:
            return ()
        offers: dict[str, dict[str, Inventory]] = {row.uuid: {} for row in rows}
        named: dict[str, set[str]] = {row.uuid: set() for row in rows}
        member: dict[str, set[str]] = {row.uuid: set() for row in rows}
        for row in await tx.all(_INVENTORIES, values):
            if row.provider in offers:
                offers[row.provider][row.resource_class] = inventory_store.from_row(row)
        for row in await tx.all(_TRAITS, values):
            if row.provider in named:
                named[row.provider].add(sys.intern(row.trait))
        for row in await tx.all(_AGGREGATES, values):
            if row.provider in member:
                member[row.provider].add(row.aggregate)
        return [
            Provider(
                row.uuid, row.name, row.generation, row.parent, row.root, row.created_at, row.updated_at,
                offers[row.uuid], self._one(named[row.uuid]), self._one(member[row.uuid]),
            )
            for row in rows
        ]  # fmt: skip

    def _one(self, names: set[str]) -> frozenset[str]:
        # Hosts of a kind have the same fifty traits: one set for all of them, to hold and for the collector to visit.
        found = frozenset(names)
        return self._sets.setdefault(found, found)


async def _names(tx: Transaction, table: Table) -> dict[str, Any]:
    return {row.name: row.created_at for row in await tx.all(select(table).order_by(table.c.name))}
