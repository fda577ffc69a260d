"""Needs: what the driver has still to be told. Written with the change itself, cleared when the driver has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, insert, or_, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.network.drivers.driver import Kind
from kilonova.network.store.standard import Clash
from kilonova.network.store.tables import needs

Key = tuple[Kind, str]


async def write(tx: Transaction, keys: Iterable[Key], now: datetime) -> dict[Key, int]:
    """Record that the driver must be told of these objects. Returns what ``clear`` must be given."""
    wanted = list(dict.fromkeys(keys))
    there = {(Kind(row.kind), row.object_id): row.wanted for row in await find(tx, wanted)}
    # Ever growing, also over a need that was cleared and came back: a late ``clear`` then does not hit the new one.
    moment = int(now.timestamp() * 1_000_000)
    numbers = {key: max(moment, there.get(key, 0) + 1) for key in wanted}
    fresh = [
        {"kind": str(key[0]), "object_id": key[1], "wanted": n, "since": now, "attempts": 0, "error": ""}
        for key, n in numbers.items()
        if key not in there
    ]
    try:
        await tx.run(insert(needs), fresh)
    except Duplicate:
        raise Clash() from None
    for key in there:
        await tx.run(update(needs).where(_is(key)).values(wanted=numbers[key]))
    return numbers


async def find(tx: Transaction, keys: Sequence[Key]) -> Sequence[Row[Any]]:
    """The needs of these objects."""
    if not keys:
        return []
    by_kind: dict[Kind, list[str]] = {}
    for kind, object_id in keys:
        by_kind.setdefault(kind, []).append(object_id)
    clauses = [and_(needs.c.kind == str(kind), needs.c.object_id.in_(ids)) for kind, ids in by_kind.items()]
    return await tx.all(select(needs).where(or_(*clauses)))


async def pending(tx: Transaction, limit: int) -> Sequence[Row[Any]]:
    """Needs that are not met yet: those tried least first, then the oldest."""
    return await tx.all(select(needs).order_by(needs.c.attempts, needs.c.since).limit(limit))


async def clear(tx: Transaction, seen: Mapping[Key, int]) -> None:
    """The driver has these as they were when ``seen``; a newer change keeps its need."""
    for key, wanted in seen.items():
        await tx.run(delete(needs).where(_is(key), needs.c.wanted <= wanted))


async def fail(tx: Transaction, keys: Iterable[Key], error: str) -> None:
    """Note why the driver could not be told."""
    for key in keys:
        await tx.run(update(needs).where(_is(key)).values(attempts=needs.c.attempts + 1, error=error[:2000]))


def _is(key: Key) -> Any:
    return and_(needs.c.kind == str(key[0]), needs.c.object_id == key[1])
