"""Telling the driver what is wanted, after it was committed; what fails stays a *need* that the sweep meets.

One change of the driver at a time, in this process: what came meanwhile goes together in the next one. The specs are
read when it is told, so what it hears is always the newest; requests that overtake one another cannot undo each other.
A spec that the driver refuses must not hold up the others: then each is told alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database, Transaction
from kilonova.network.drivers.driver import (
    BadSpec,
    Change,
    Delete,
    DriverError,
    Kind,
    NetworkDriver,
    Put,
    Spec,
    kind_of,
)
from kilonova.network.store import needs, wanted
from kilonova.network.store.needs import Key

LOG = logging.getLogger(__name__)

ORDER = (Kind.SECURITY_GROUP, Kind.NETWORK, Kind.SUBNET, Kind.PORT, Kind.ROUTER, Kind.FLOATING_IP)
DEADLINE_S = 10.0
SWEEP_BATCH = 200


class Realiser:
    """Owns the way to the driver."""

    def __init__(self, db: Database, driver: NetworkDriver, clock: Clock, dns_domain: str):
        self._db, self._driver, self._clock, self._dns_domain = db, driver, clock, dns_domain
        self._waiting: dict[Key, int] = {}
        self._done: dict[Key, int] = {}
        self._lock = asyncio.Lock()

    async def carry_out(self, written: Mapping[Key, int]) -> None:
        """Tell the driver of these objects (with the numbers of their needs); returns when it was told or not."""
        for key, number in written.items():
            self._waiting[key] = max(number, self._waiting.get(key, 0))
        async with self._lock:
            batch, self._waiting = self._waiting, {}
            if batch:
                await self._tell(batch)

    async def settle(self, tx: Transaction) -> None:
        """Clear the needs that were met, within somebody's transaction: saves one of our own for each change."""
        done, self._done = self._done, {}
        try:
            await needs.clear(tx, done)
        except BaseException:
            self._done = {**done, **self._done}
            raise

    def unsettle(self, seen: Mapping[Key, int]) -> None:
        """The transaction of ``settle`` was rolled back."""
        self._done = {**seen, **self._done}

    @property
    def met(self) -> Mapping[Key, int]:
        """Needs that are met and not yet cleared."""
        return dict(self._done)

    async def catch_up(self) -> int:
        """Meet needs that were left over; how many were tried. Raises nothing that the driver raises."""
        async with self._lock:
            if self._done:
                async with self._db.transaction() as tx:
                    await self.settle(tx)
            async with self._db.read() as tx:
                rows, now = await needs.pending(tx, SWEEP_BATCH), self._clock.now()
                left = {(Kind(row.kind), row.object_id): int(row.wanted) for row in rows if needs.is_due(row, now)}
            if left:
                await self._tell(left)
        return len(left)

    async def _tell(self, batch: Mapping[Key, int]) -> None:
        seen = {key: number for key, number in batch.items() if self._done.get(key, 0) < number}
        if not seen:
            return
        async with self._db.read() as tx:
            specs = await wanted.specs(tx, seen, self._dns_domain)
        try:
            await self._apply(changes_for(seen, specs))
        except BadSpec as error:
            if len(seen) == 1:
                await self._note_failure(seen, error)
                return
            for change in changes_for(seen, specs):
                key = (kind_of(change.spec), change.spec.id) if isinstance(change, Put) else (change.kind, change.id)
                await self._tell_alone(key, seen[key], specs.get(key))
            return
        except (DriverError, TimeoutError) as error:
            await self._note_failure(seen, error)
            return
        self._done.update(seen)

    async def _tell_alone(self, key: Key, number: int, spec: Spec | None) -> None:
        try:
            await self._apply(changes_for({key: number}, {} if spec is None else {key: spec}))
        except (DriverError, TimeoutError) as error:
            await self._note_failure({key: number}, error)
        else:
            self._done[key] = number

    async def _apply(self, changes: Sequence[Change]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self._driver.apply(changes)

    async def _note_failure(self, seen: Mapping[Key, int], error: Exception) -> None:
        reason = str(error) or type(error).__name__
        LOG.warning("the driver was not told of %d objects, the sweep will: %s", len(seen), reason)
        async with self._db.transaction() as tx:
            await needs.fail(tx, seen, reason, refused=isinstance(error, BadSpec))


def changes_for(keys: Iterable[Key], specs: Mapping[Key, Spec]) -> list[Change]:
    """What is there is put, used things first; what is gone is deleted, using things first."""
    puts = sorted((key for key in keys if key in specs), key=lambda key: ORDER.index(key[0]))
    gone = sorted((key for key in keys if key not in specs), key=lambda key: -ORDER.index(key[0]))
    return [*(Put(specs[key]) for key in puts), *(Delete(*key) for key in gone)]
