"""Buses over the broker that KILONOVA_TEST_BROKER names, and waiting for what takes its way over it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from kilonova.kernel.bus import Bus
from kilonova.kernel.ids import new_hex


def broker() -> str:
    """The address of the broker of this run; skips the story where there is none."""
    address = os.environ.get("KILONOVA_TEST_BROKER", "")
    if not address:
        pytest.skip("no broker: KILONOVA_TEST_BROKER is not set (make test-engines starts one)")
    pytest.importorskip("aio_pika", reason="aio-pika is not installed (the extra `rabbit`)")
    return address


def amqp_bus(address: str, prefix: str = "") -> Any:
    from kilonova.kernel.bus.amqp import AmqpBus

    return AmqpBus(address, prefix=prefix or f"story-{new_hex()}")


async def settled(bus: Bus) -> None:
    """All that serve and listen are in place: at once in memory, by the broker's word else."""
    ready = getattr(bus, "ready", None)
    if ready is not None:
        await ready()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process or the broker has to do first; at once where it holds already."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)
