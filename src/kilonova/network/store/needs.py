"""Needs: what the driver has still to be told. Written with the change itself, cleared when the driver has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, insert, select, tuple_, update

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
        await tx.run(_ADD, fresh)
    except Duplicate:
        raise Clash() from None
    for key in there:
        await tx.run(update(needs).where(_is(key)).values(wanted=numbers[key]))
    return numbers


async def find(tx: Transaction, keys: Sequence[Key]) -> Sequence[Row[Any]]:
    """The needs of these objects."""
    if not keys:
        return []
    return await tx.all(_FIND, {"keys": [(str(kind), object_id) for kind, object_id in keys]})


_FIND = select(needs).where(tuple_(needs.c.kind, needs.c.object_id).in_(bindparam("keys", expanding=True)))
_CLEAR = delete(needs).where(
    needs.c.kind == bindparam("the_kind"),
    needs.c.object_id == bindparam("the_id"),
    needs.c.wanted <= bindparam("seen"),
)
_ADD = insert(needs)


async def pending(tx: Transaction, limit: int) -> Sequence[Row[Any]]:
    """Needs that are not met yet: those tried least first, then the oldest."""
    return await tx.all(select(needs).order_by(needs.c.attempts, needs.c.since).limit(limit))


async def clear(tx: Transaction, seen: Mapping[Key, int]) -> None:
    """The driver has these as they were when ``seen``; a newer change keeps its need."""
    rows = [{"the_kind": str(kind), "the_id": object_id, "seen": n} for (kind, object_id), n in seen.items()]
    await tx.run(_CLEAR, rows)


async def fail(tx: Transaction, keys: Iterable[Key], error: str, *, refused: bool) -> None:
    """Note why the driver could not be told. What it ``refused`` is tried more and more seldom."""
    more = 1 if refused else 0
    for key in keys:
        await tx.run(update(needs).where(_is(key)).values(attempts=needs.c.attempts + more, error=error[:2000]))


def is_due(row: Row[Any], now: datetime) -> bool:
    """Whether to try a need again: at once, but 2, 4, 8 ... seconds after it arose when it was refused."""
    return bool(row.attempts == 0 or (now - row.since).total_seconds() > 2 ** min(row.attempts, 20))


def _is(key: Key) -> Any:
    return and_(needs.c.kind == str(key[0]), needs.c.object_id == key[1])
