"""The one place that reads the time, so that tests and simulations can hold it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time in seconds, and waiting."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def iso_seconds(moment: datetime | None) -> str | None:
    """``2026-01-02T03:04:05Z``: the form of Nova, Glance and most others."""
    return None if moment is None else moment.isoformat(timespec="seconds")[:19] + "Z"


def iso_micros(moment: datetime | None) -> str | None:
    """``2026-01-02T03:04:05.000000``: no zone, microseconds (Nova's OS-SRV-USG and services)."""
    return None if moment is None else moment.isoformat(timespec="microseconds")[:26]


def iso_micros_z(moment: datetime | None) -> str | None:
    """``2026-01-02T03:04:05.000000Z``: Keystone's form."""
    return None if moment is None else moment.isoformat(timespec="microseconds")[:26] + "Z"


def parse_iso(text: str) -> datetime:
    """An ISO 8601 moment as aware UTC; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
