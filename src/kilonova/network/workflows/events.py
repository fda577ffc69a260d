"""What the driver reports: ports come up and go down. It becomes their status, and compute hears of its own ports.

The driver may report again what was known, and reports come in bursts: only the latest of each port counts, and only
news is told. A report that is lost is found by the sweep over all statuses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.network.drivers.driver import PortEvent
from kilonova.network.store import ports

LOG = logging.getLogger(__name__)

UP, DOWN = "ACTIVE", "DOWN"
PLUGGED, UNPLUGGED = "network-vif-plugged", "network-vif-unplugged"
CHANGED, DELETED = "network-changed", "network-vif-deleted"
ATTEMPTS = 6
FIRST_WAIT_S = 0.5
QUEUE_LIMIT = 10_000
BATCH = 500


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """Something that compute should know of one of its servers; ``tag`` is the port."""

    name: str
    server_id: str
    tag: str
    status: str = "completed"


Send = Callable[[Sequence[ServerEvent]], Awaitable[None]]
"""Hands events to compute's os-server-external-events. Raises when compute cannot be reached now."""


async def send_nowhere(events: Sequence[ServerEvent]) -> None:
    """For a cloud without compute."""


class PortEvents:
    """Owns the way from the driver's reports to rows and to compute."""

    def __init__(self, db: Database, clock: Clock, send: Send, *, interval_s: float = 0.0):
        self._db, self._clock, self._send, self._interval_s = db, clock, send, interval_s
        self._reported: dict[str, bool] = {}
        self._outgoing: list[ServerEvent] = []
        self._news = asyncio.Event()
        self._mail = asyncio.Event()

    def listen(self, event: PortEvent) -> None:
        """Called by the driver; returns at once."""
        self._reported[event.port_id] = event.up
        self._news.set()

    def post(self, events: Sequence[ServerEvent]) -> None:
        """Have these handed to compute; returns at once."""
        if events:
            self._outgoing.extend(events)
            self._mail.set()

    async def run(self) -> None:
        """Note reports until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            reported, self._reported = self._reported, {}
            try:
                await self.note(reported)
            except Exception:  # the owner of this loop: a report that fails must not stop the next ones
                LOG.exception("%d reports of ports could not be noted; the sweep will", len(reported))

    async def note(self, reported: Mapping[str, bool]) -> None:
        """Make these the ports' statuses and tell compute what is news."""
        async with self._db.read() as tx:
            rows = await ports.find_all(tx, list(reported))
        changed = [row for row in rows.values() if row.status != (UP if reported[row.id] else DOWN)]
        if not changed:
            return
        async with self._db.transaction() as tx:
            news = [row for row in changed if await ports.set_status(tx, row.id, UP if reported[row.id] else DOWN)]
        for row in news:
            LOG.info("port %s is %s", row.id, UP if reported[row.id] else DOWN)
            if row.device_owner.startswith("compute:") and row.device_id:
                name = PLUGGED if reported[row.id] else UNPLUGGED
                self._outgoing.append(ServerEvent(name, row.device_id, row.id))
        if self._outgoing:
            self._mail.set()

    async def deliver(self) -> None:
        """Hand events to compute until cancelled; bounded retries, then they are dropped: compute also looks itself."""
        while True:
            await self._mail.wait()
            if self._interval_s:
                await self._clock.sleep(self._interval_s)
            self._mail.clear()
            events, self._outgoing = self._outgoing[:QUEUE_LIMIT], []
            for start in range(0, len(events), BATCH):
                await self._hand_over(events[start : start + BATCH])

    async def _hand_over(self, events: Sequence[ServerEvent]) -> None:
        wait_s = FIRST_WAIT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._send(events)
            except Exception as error:  # noqa: BLE001 -- whatever happens to one delivery, the loop goes on
                LOG.warning("compute was not told of %d ports (attempt %d): %s", len(events), attempt, error)
                await self._clock.sleep(wait_s)
                wait_s *= 2
            else:
                return
        LOG.error("compute was not told of %d ports; giving up", len(events))
