"""Allocations and their consumers. A write of allocations is one transaction that cannot exceed an inventory.

What protects it, on every engine: the generation of each provider that is taken from, and of each consumer that is
written, is compared and raised in the same transaction. Of two writers that read the same state, the second finds
another generation and gets ChangedMeanwhile; nothing of it stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.placement.errors import (
    AllocationOnUnknownProvider,
    ChangedMeanwhile,
    ConsumerGenerationConflict,
    NoAllocations,
)
from kilonova.placement.model.claims import Balance, Claim, Held, Place, Unsaid, check
from kilonova.placement.model.provider import Inventory
from kilonova.placement.store import inventories as inventory_store
from kilonova.placement.store import providers as provider_store
from kilonova.placement.store.changes import advance, note
from kilonova.placement.store.tables import allocations, consumers, inventories, providers

_CONSUMER_WITH_ALLOCATIONS = (
    select(consumers, allocations.c.provider, allocations.c.resource_class, allocations.c.used)
    .select_from(consumers.outerjoin(allocations, allocations.c.consumer == consumers.c.uuid))
    .where(consumers.c.uuid.in_(bindparam("keys", expanding=True)))
)
_USE = (
    update(inventories)
    .where(inventories.c.provider == bindparam("of"), inventories.c.resource_class == bindparam("rc"))
    .values(used=inventories.c.used + bindparam("more"))
)
_INSERT = insert(allocations)
_INSERT_CONSUMER = insert(consumers)
_DELETE = delete(allocations).where(allocations.c.consumer == bindparam("of"))
_DELETE_CONSUMER = delete(consumers).where(
    consumers.c.uuid == bindparam("key"), consumers.c.generation == bindparam("expected")
)
_UPDATE_CONSUMER = (
    update(consumers)
    .where(consumers.c.uuid == bindparam("key"), consumers.c.generation == bindparam("expected"))
    .values(
        generation=consumers.c.generation + 1,
        project_id=bindparam("project"),
        user_id=bindparam("user"),
        consumer_type=bindparam("kind"),
    )
)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a class the consumers of one type have. ``consumer_type`` None: unknown."""

    consumer_type: str | None
    resource_class: str
    used: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who holds allocations. ``consumer_type`` None: unknown."""

    uuid: str
    generation: int
    project_id: str
    user_id: str
    consumer_type: str | None


async def write(
    tx: Transaction,
    claims: Sequence[Claim],
    now: datetime,
    *,
    offered: Mapping[Place, Inventory] | None = None,
    moving: Mapping[str, int] | None = None,
) -> Balance:
    """Make each consumer hold exactly what it claims.

    A reshape gives ``offered`` (inventories as they will be, instead of those stored) and ``moving`` (the providers
    whose inventories change, with their generations).

    Raises ConsumerGenerationConflict, AllocationOnUnknownProvider, UnknownClass, DoesNotFit, ChangedMeanwhile.
    """
    found, held = await _consumers(tx, [claim.consumer for claim in claims])
    for claim in claims:
        _compare_generation(claim, found.get(claim.consumer))
    cleared = {claim.consumer for claim in claims if not claim.allocations}
    named = {provider for claim in claims for provider in claim.allocations}
    named |= {one.provider for one in held if one.consumer in cleared}
    generations = await provider_store.generations(tx, named) if named else {}
    for claim in claims:
        for provider in claim.allocations:
            if provider not in generations:
                raise AllocationOnUnknownProvider(uuid=provider)
    balance = Balance.of(claims, held)
    stored = offered if offered is not None else await inventory_store.of_providers(tx, named) if named else {}
    places = {place for claim in claims for place, _amount in claim.amounts()}
    await inventory_store.know_classes(tx, {rc for provider, rc in places if (provider, rc) not in stored})
    check(claims, balance, stored)

    for claim in claims:
        await _put_consumer(tx, claim, found.get(claim.consumer))
    for consumer in {one.consumer for one in held}:
        await tx.run(_DELETE, {"of": consumer})
    await tx.run(_INSERT, [row for claim in claims for row in _rows(claim, now)])
    await _use(tx, balance.change)
    touched = {provider for (provider, _rc), more in balance.change.items() if more}
    expected = {**(moving or {}), **generations}
    if expected or touched:
        await advance(tx, expected, now, touched=touched)
    return balance


async def remove(tx: Transaction, consumer: str) -> None:
    """Delete the consumer with its allocations, whatever its generation. Raises NoAllocations, ChangedMeanwhile."""
    found, held = await _consumers(tx, [consumer])
    if not held:
        raise NoAllocations(consumer=consumer)
    await _delete_consumer(tx, found[consumer])
    await tx.run(_DELETE, {"of": consumer})
    change: Counter[Place] = Counter()
    for one in held:
        change[one.place] -= one.used
    await _use(tx, change)
    await note(tx, touched={one.provider for one in held})


async def of_consumer(tx: Transaction, consumer: str) -> tuple[Consumer | None, Sequence[Row[Any]]]:
    """The consumer and its rows: provider, generation (of the provider), resource_class, used, created_at."""
    rows = await tx.all(
        select(
            allocations.c.provider, providers.c.generation, allocations.c.resource_class, allocations.c.used,
            allocations.c.created_at,
        )
        .join(providers, providers.c.uuid == allocations.c.provider)
        .where(allocations.c.consumer == consumer)
    )  # fmt: skip
    if not rows:
        return None, ()
    row = await tx.first(select(consumers).where(consumers.c.uuid == consumer))
    return (None if row is None else _consumer(row)), rows


async def of_provider(tx: Transaction, provider: str) -> Sequence[Row[Any]]:
    """Rows: consumer, generation (of the consumer), resource_class, used, created_at."""
    return await tx.all(
        select(
            allocations.c.consumer, consumers.c.generation, allocations.c.resource_class, allocations.c.used,
            allocations.c.created_at,
        )
        .join(consumers, consumers.c.uuid == allocations.c.consumer)
        .where(allocations.c.provider == provider)
    )  # fmt: skip


async def usage(tx: Transaction, project_id: str, user_id: str | None) -> list[Usage]:
    """What a project's consumers have, or those of one user in it."""
    statement = _of_owner(
        select(consumers.c.consumer_type, allocations.c.resource_class, func.sum(allocations.c.used).label("used"))
        .join(allocations, allocations.c.consumer == consumers.c.uuid)
        .group_by(consumers.c.consumer_type, allocations.c.resource_class),
        project_id,
        user_id,
    )
    rows = await tx.all(statement)
    return [Usage(row.consumer_type, row.resource_class, int(row.used)) for row in rows]


async def count_consumers(tx: Transaction, project_id: str, user_id: str | None) -> dict[str | None, int]:
    """How many consumers of each type a project (or one user in it) has."""
    statement = _of_owner(
        select(consumers.c.consumer_type, func.count().label("many")).group_by(consumers.c.consumer_type),
        project_id,
        user_id,
    )
    return {row.consumer_type: int(row.many) for row in await tx.all(statement)}


def _of_owner(statement: Any, project_id: str, user_id: str | None) -> Any:
    statement = statement.where(consumers.c.project_id == project_id)
    return statement if user_id is None else statement.where(consumers.c.user_id == user_id)


async def _consumers(tx: Transaction, uuids: Collection[str]) -> tuple[dict[str, Consumer], list[Held]]:
    rows = await tx.all(_CONSUMER_WITH_ALLOCATIONS, {"keys": list(uuids)})
    found = {row.uuid: _consumer(row) for row in rows}
    held = [Held(row.uuid, row.provider, row.resource_class, row.used) for row in rows if row.provider is not None]
    return found, held


def _consumer(row: Row[Any]) -> Consumer:
    return Consumer(row.uuid, row.generation, row.project_id, row.user_id, row.consumer_type)


def _compare_generation(claim: Claim, consumer: Consumer | None) -> None:
    actual = None if consumer is None else consumer.generation
    if not isinstance(claim.generation, Unsaid) and claim.generation != actual:
        shown = ["null" if g is None else str(g) for g in (actual, claim.generation)]
        raise ConsumerGenerationConflict(consumer=claim.consumer, actual=shown[0], given=shown[1])


async def _put_consumer(tx: Transaction, claim: Claim, known: Consumer | None) -> None:
    if not claim.allocations:
        if known is not None:
            await _delete_consumer(tx, known)
        return
    kind = known.consumer_type if known is not None else None
    if not isinstance(claim.consumer_type, Unsaid):
        kind = claim.consumer_type
    if known is None:
        row = {
            "uuid": claim.consumer, "generation": 1, "project_id": claim.project_id, "user_id": claim.user_id,
            "consumer_type": kind,
        }  # fmt: skip
        try:
            await tx.run(_INSERT_CONSUMER, row)
        except Duplicate:
            raise ChangedMeanwhile(what=f"consumer {claim.consumer}") from None
        return
    values = {
        "key": claim.consumer, "expected": known.generation, "project": claim.project_id, "user": claim.user_id,
        "kind": kind,
    }  # fmt: skip
    if await tx.run(_UPDATE_CONSUMER, values) == 0:
        raise ChangedMeanwhile(what=f"consumer {claim.consumer}")


async def _delete_consumer(tx: Transaction, consumer: Consumer) -> None:
    if await tx.run(_DELETE_CONSUMER, {"key": consumer.uuid, "expected": consumer.generation}) == 0:
        raise ChangedMeanwhile(what=f"consumer {consumer.uuid}")


async def _use(tx: Transaction, change: Mapping[Place, int]) -> None:
    # In one order everywhere, so that two writers on a network engine cannot wait for each other.
    rows = [{"of": of, "rc": rc, "more": more} for (of, rc), more in sorted(change.items()) if more]
    await tx.run(_USE, rows)


def _rows(claim: Claim, now: datetime) -> Iterable[dict[str, Any]]:
    for (provider, resource_class), amount in claim.amounts():
        yield {
            "consumer": claim.consumer, "provider": provider, "resource_class": resource_class, "used": amount,
            "created_at": now,
        }  # fmt: skip
