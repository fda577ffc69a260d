"""What every bus does: typed calls, errors that keep their name, deadlines, notes and wake-ups.

The stories run on the bus in memory and, where KILONOVA_TEST_BROKER names a RabbitMQ (`make test-engines` starts one),
on that.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from kilonova.kernel.bus import Bus, Call, Note, RemoteFailure, TimedOut, Unreachable
from kilonova.kernel.context import Context, bind, current
from kilonova.kernel.db.transaction import _open
from kilonova.kernel.errors import Conflict, RemoteCallInTransaction
from tests.kernel.bus.make import settled, until


class Ask(msgspec.Struct):
    number: int
    tags: tuple[str, ...] = ()


class Reply(msgspec.Struct):
    doubled: int
    tags: tuple[str, ...] = ()


DOUBLE = Call("test.double", Ask, Reply, deadline_s=5)
HEARD = Note("test.heard", Ask)


async def double(ask: Ask) -> Reply:
    return Reply(ask.number * 2, ask.tags)


async def test_a_call_is_answered_with_its_types(bus: Bus) -> None:
    bus.serve("calculator", {DOUBLE: double})
    await settled(bus)
    assert await bus.call("calculator", DOUBLE, Ask(21, ("a",))) == Reply(42, ("a",))


async def test_an_unserved_topic_is_unreachable_and_says_nothing_was_done(bus: Bus) -> None:
    with pytest.raises(Unreachable) as caught:
        await bus.call("nobody", DOUBLE, Ask(1))
    assert caught.value.ran is False


async def test_an_error_keeps_its_name_sentence_and_status(bus: Bus) -> None:
    async def refuse(ask: Ask) -> Reply:
        raise Conflict("the number is taken")

    bus.serve("calculator", {DOUBLE: refuse})
    await settled(bus)
    with pytest.raises(RemoteFailure) as caught:
        await bus.call("calculator", DOUBLE, Ask(1))
    assert (caught.value.code, caught.value.status) == ("Conflict", 409)
    assert caught.value.message == "the number is taken"


async def test_a_defect_in_a_handler_reaches_the_caller_as_a_failure(bus: Bus) -> None:
    async def broken(ask: Ask) -> Reply:
        raise ZeroDivisionError("by hand")

    bus.serve("calculator", {DOUBLE: broken})
    await settled(bus)
    with pytest.raises(RemoteFailure, match="ZeroDivisionError: by hand"):
        await bus.call("calculator", DOUBLE, Ask(1))


async def test_a_call_nobody_handles_is_named(bus: Bus) -> None:
    bus.serve("calculator", {})
    await settled(bus)
    with pytest.raises(RemoteFailure, match=r"test\.double"):
        await bus.call("calculator", DOUBLE, Ask(1))


async def test_a_slow_answer_times_out_but_the_work_goes_on(bus: Bus) -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def slow(ask: Ask) -> Reply:
        await gate.wait()
        done.set()
        return Reply(0)

    bus.serve("calculator", {DOUBLE: slow})
    await settled(bus)
    with pytest.raises(TimedOut):
        await bus.call("calculator", DOUBLE, Ask(1), deadline_s=0.3)
    gate.set()
    await asyncio.wait_for(done.wait(), 1)


async def test_several_servers_share_a_topic(bus: Bus) -> None:
    seen: list[str] = []

    def named(name: str):
        async def handler(ask: Ask) -> Reply:
            seen.append(name)
            return Reply(0)

        return handler

    first = bus.serve("calculator", {DOUBLE: named("first")})
    bus.serve("calculator", {DOUBLE: named("second")})
    await settled(bus)
    for _ in range(4):
        await bus.call("calculator", DOUBLE, Ask(1))
    assert sorted(seen) == ["first", "first", "second", "second"]
    first.close()
    await bus.call("calculator", DOUBLE, Ask(1))
    assert seen[-1] == "second"


async def test_a_server_takes_no_more_calls_at_a_time_than_its_limit(bus: Bus) -> None:
    at_once, most = 0, 0

    async def busy(ask: Ask) -> Reply:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Reply(0)

    bus.serve("calculator", {DOUBLE: busy}, limit=3)
    await settled(bus)
    await asyncio.gather(*(bus.call("calculator", DOUBLE, Ask(n)) for n in range(10)))
    assert most == 3


async def test_the_request_id_travels_with_the_call(bus: Bus) -> None:
    async def tell(ask: Ask) -> Reply:
        context = current()
        assert context is not None
        return Reply(0, (context.request_id, context.project_id or ""))

    bus.serve("calculator", {DOUBLE: tell})
    await settled(bus)
    context = Context(project_id="p1")
    bind(context)
    reply = await bus.call("calculator", DOUBLE, Ask(1))
    assert reply.tags == (context.request_id, "p1")


async def test_no_call_inside_a_transaction(bus: Bus) -> None:
    bus.serve("calculator", {DOUBLE: double})
    await settled(bus)
    token = _open.set("compute")
    with pytest.raises(RemoteCallInTransaction):
        await bus.call("calculator", DOUBLE, Ask(1))
    _open.reset(token)


async def test_notes_and_wakes_reach_all_who_listen_and_nobody_after_close(bus: Bus) -> None:
    heard: list[Ask] = []
    woken: list[int] = []
    first = bus.listen("news", {HEARD: heard.append})
    bus.listen("news", {HEARD: heard.append})
    waiting = bus.on_wake("news", lambda: woken.append(1))
    await settled(bus)
    bus.announce("news", HEARD, Ask(7))
    bus.wake("news")
    await until(lambda: len(heard) == 2 and len(woken) == 1)
    first.close()
    waiting.close()
    bus.announce("news", HEARD, Ask(8))
    bus.wake("news")
    await until(lambda: len(heard) == 3)
    assert [ask.number for ask in heard] == [7, 7, 8]
    assert woken == [1]


async def test_a_wake_up_reaches_the_one_who_rings(bus: Bus) -> None:
    woken: list[int] = []
    bus.on_wake("news", lambda: woken.append(1))
    bus.on_wake("other news", lambda: woken.append(2))
    await settled(bus)
    for _ in range(3):
        bus.wake("news")
    await until(lambda: len(woken) >= 3)
    assert set(woken) == {1}
