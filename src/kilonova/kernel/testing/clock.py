"""A clock that stands until a test turns it."""

from __future__ import annotations

import asyncio
import heapq
import os
from datetime import UTC, datetime, timedelta

_ENGINE_ANSWERS_WITHIN_S = 0.04 if os.environ.get("KILONOVA_TEST_DB") else 0


class FakeClock:
    """Starts at ``start``; sleepers wake when ``advance`` passes their moment, in order."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)):
        self._start, self._elapsed = start, 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Turn the clock; each sleeper whose moment comes runs until it waits again."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _count, future = heapq.heappop(self._sleepers)
            self._elapsed = moment
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed = end
        await settle()


async def settle(turns: int = 20) -> None:
    """Let every task that can go on do so; those that wait for a database on the network get real time for it."""
    for _ in range(turns):
        await asyncio.sleep(_ENGINE_ANSWERS_WITHIN_S / turns)
