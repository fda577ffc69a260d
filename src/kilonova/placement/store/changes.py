"""Numbering of changes, and the generations of providers. Called last in a transaction: the counter is one row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, select, update

from kilonova.kernel.db import Transaction
from kilonova.placement.errors import ChangedMeanwhile
from kilonova.placement.store.tables import changes, providers

_COUNT = update(changes).values(latest=changes.c.latest + 1)
_LATEST = select(changes.c.latest)
_STAMP = (
    update(providers).where(providers.c.uuid.in_(bindparam("keys", expanding=True))).values(changed=bindparam("number"))
)
_ADVANCE = (
    update(providers)
    .where(providers.c.uuid == bindparam("key"), providers.c.generation == bindparam("expected"))
    .values(generation=providers.c.generation + 1, changed=bindparam("number"), updated_at=bindparam("now"))
)


async def note(
    tx: Transaction, *, touched: Collection[str] = (), provider_removed: bool = False, names_changed: bool = False
) -> int:
    """Number this transaction's change and stamp the ``touched`` providers with it. Returns the number."""
    await tx.run(_COUNT)
    number = int(await tx.scalar(_LATEST))
    marks = {}
    if provider_removed:
        marks["provider_removed"] = number
    if names_changed:
        marks["names_changed"] = number
    if marks:
        await tx.run(update(changes).values(marks))
    if touched:
        await tx.run(_STAMP, {"keys": list(touched), "number": number})
    return number


async def advance(
    tx: Transaction, expected: Mapping[str, int], now: datetime, *, touched: Collection[str] = ()
) -> None:
    """Raise the generation of each provider in ``expected``, which must still be at the given one.

    ``touched`` providers are only stamped as changed. Raises ChangedMeanwhile.
    """
    number = await note(tx, touched=[uuid for uuid in touched if uuid not in expected])
    for uuid, generation in expected.items():
        values = {"key": uuid, "expected": generation, "number": number, "now": now}
        if await tx.run(_ADVANCE, values) == 0:
            raise ChangedMeanwhile(what=f"resource provider {uuid}")
