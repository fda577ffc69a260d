"""Inventories and allocations written at once, checked against the state that comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kilonova.kernel.db import Transaction
from kilonova.placement.model.claims import Claim, Place
from kilonova.placement.store import allocations as allocation_store
from kilonova.placement.store import inventories as inventory_store
from kilonova.placement.store.inventories import Offer


async def reshape(
    tx: Transaction,
    offers: Mapping[str, Mapping[str, Offer]],
    expected: Mapping[str, int],
    claims: Sequence[Claim],
    now: datetime,
) -> None:
    """New inventories first, then the allocations, then the inventories that nobody uses any more go.

    ``offers``: by provider all that it shall offer; ``expected``: the generations of these providers.
    Raises what :func:`allocations.write` raises, UnknownClass, InventoryInUse.
    """
    leaving: list[Place] = []
    for provider, of_provider in offers.items():
        gone = await inventory_store.put(tx, provider, of_provider, now)
        leaving += [(provider, resource_class) for resource_class in gone]
    involved = {*offers, *(provider for claim in claims for provider in claim.allocations)}
    stored = await inventory_store.of_providers(tx, involved)
    for place in leaving:
        stored.pop(place, None)
    await allocation_store.write(tx, claims, now, offered=stored, moving=expected)
    for provider in offers:
        await inventory_store.drop(tx, provider, [rc for of, rc in leaving if of == provider])
