"""Each story of a bus runs on every bus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kilonova.kernel.bus import Bus, MemoryBus
from tests.kernel.bus.make import amqp_bus, broker


@pytest.fixture(params=["memory", "rabbitmq"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    made: Bus = MemoryBus() if request.param == "memory" else amqp_bus(broker())
    yield made
    await made.close()
