"""What only a broker can do to us: go away, come back, deliver twice, keep what nobody could do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest

from kilonova.kernel.bus import Call, RemoteFailure, TimedOut, Unreachable
from kilonova.kernel.ids import new_hex
from tests.engines.machine import free_port
from tests.kernel.bus.make import amqp_bus, broker, until


class Ask(msgspec.Struct):
    number: int


class Reply(msgspec.Struct):
    doubled: int


DOUBLE = Call("test.double", Ask, Reply, deadline_s=10)


async def double(ask: Ask) -> Reply:
    return Reply(ask.number * 2)


class Road:
    """The way to the broker, which a story can close and open: a relay on a port of its own."""

    def __init__(self, address: str):
        parts = urlsplit(address)
        self._target, self.port = (parts.hostname, parts.port), free_port()
        self.address = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self.port}"))
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in tuple(self._ends):
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._ends |= {writer, back}
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._ends -= {writer, back}

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def road() -> AsyncIterator[Road]:
    road = Road(broker())
    await road.open()
    yield road
    await road.close()


@pytest.fixture
async def buses(road: Road) -> AsyncIterator[Any]:
    """``buses()`` makes one more process of the same cloud; ``buses(straight=True)`` one that does not use the road."""
    made, prefix = [], f"story-{new_hex()}"

    def make(straight: bool = False) -> Any:
        made.append(amqp_bus(broker() if straight else road.address, prefix))
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


async def test_with_the_broker_away_calls_fail_at_once_and_wake_ups_wake_only_us(road: Road, buses: Any) -> None:
    await road.close()
    bus, woken = buses(), []
    bus.serve("calculator", {DOUBLE: double})
    bus.on_wake("journal", lambda: woken.append(1))
    async with asyncio.timeout(8):
        for _ in range(3):
            with pytest.raises(Unreachable) as caught:
                await bus.call("calculator", DOUBLE, Ask(1))
            bus.wake("journal")
    assert caught.value.ran is False
    assert woken == [1, 1, 1]


async def test_what_is_served_is_in_place_again_when_the_broker_is_back(road: Road, buses: Any) -> None:
    server, caller, woken = buses(), buses(), []
    server.serve("calculator", {DOUBLE: double})
    server.on_wake("journal", lambda: woken.append(1))
    await server.ready()
    await caller.ready()
    assert await caller.call("calculator", DOUBLE, Ask(1)) == Reply(2)
    await road.close()
    await until(lambda: not caller.is_up and not server.is_up)
    await road.open()
    await server.ready()
    await caller.ready()
    assert await caller.call("calculator", DOUBLE, Ask(2)) == Reply(4)
    caller.wake("journal")
    await until(lambda: woken == [1])


async def test_a_call_under_way_when_the_broker_goes_away_may_have_been_done(road: Road, buses: Any) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow(ask: Ask) -> Reply:
        begun.set()
        await gate.wait()
        return Reply(0)

    server, caller = buses(straight=True), buses()
    server.serve("calculator", {DOUBLE: slow})
    await server.ready()
    call = asyncio.create_task(caller.call("calculator", DOUBLE, Ask(1)))
    await begun.wait()
    await road.close()
    with pytest.raises(TimedOut) as caught:
        await asyncio.wait_for(call, 5)
    assert caught.value.ran is None
    gate.set()


async def test_a_call_whose_server_dies_is_done_by_another(road: Road, buses: Any) -> None:
    begun = asyncio.Event()

    async def never(ask: Ask) -> Reply:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    first, caller = buses(), buses(straight=True)
    first.serve("calculator", {DOUBLE: never})
    await first.ready()
    call = asyncio.create_task(caller.call("calculator", DOUBLE, Ask(21)))
    await begun.wait()
    second = buses(straight=True)
    second.serve("calculator", {DOUBLE: double})
    await second.ready()
    await road.close()  # the broker sees the first one's connection end, as when its process is killed
    assert await call == Reply(42)


async def test_a_call_that_outlived_its_deadline_is_not_run_but_kept_as_a_dead_letter(buses: Any) -> None:
    gate, ran = asyncio.Event(), []

    async def one_at_a_time(ask: Ask) -> Reply:
        ran.append(ask.number)
        await gate.wait()
        return Reply(0)

    bus = buses()
    bus.serve("calculator", {DOUBLE: one_at_a_time}, limit=1)
    await bus.ready()
    first = asyncio.create_task(bus.call("calculator", DOUBLE, Ask(1)))
    await until(lambda: ran == [1])
    with pytest.raises(TimedOut):
        await bus.call("calculator", DOUBLE, Ask(2), deadline_s=0.1)
    gate.set()
    await first
    async with asyncio.timeout(5):
        while not (letters := await bus.dead_letters()):
            await asyncio.sleep(0.02)
    assert ran == [1]
    assert [(x.topic, x.call, x.reason) for x in letters] == [("calculator", "test.double", "expired")]
    assert len(await bus.dead_letters()) == 1  # looking takes nothing away


async def test_what_cannot_be_read_is_a_dead_letter_and_stops_nobody(buses: Any) -> None:
    import aio_pika

    bus = buses()
    bus.serve("calculator", {DOUBLE: double}, limit=1)
    await bus.ready()
    connection = await aio_pika.connect(broker())
    channel = await connection.channel()
    await channel.default_exchange.publish(aio_pika.Message(b"\xc1 not ours"), f"{bus._prefix}.call.calculator")
    assert await bus.call("calculator", DOUBLE, Ask(3)) == Reply(6)
    async with asyncio.timeout(5):
        while not (letters := await bus.dead_letters()):
            await asyncio.sleep(0.02)
    assert letters[0].reason == "rejected"
    await connection.close()


async def test_a_refusal_is_no_dead_letter(buses: Any) -> None:
    async def refuse(ask: Ask) -> Reply:
        raise ValueError("no")

    bus = buses()
    bus.serve("calculator", {DOUBLE: refuse})
    await bus.ready()
    with pytest.raises(RemoteFailure):
        await bus.call("calculator", DOUBLE, Ask(1))
    assert await bus.dead_letters() == []
