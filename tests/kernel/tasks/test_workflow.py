"""A small workshop with shelves: workflows tested on it before they are trusted with servers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select

from kilonova.kernel.bus import MemoryBus
from kilonova.kernel.db import Database
from kilonova.kernel.errors import Conflict, ServiceUnavailable
from kilonova.kernel.tasks import (
    Journal,
    LeaseLost,
    Operation,
    StartOver,
    Step,
    Work,
    Worker,
    Workflow,
    carry_out,
    operations_table,
)
from kilonova.kernel.testing import FakeClock, memory_database
from kilonova.kernel.testing.clock import settle
from kilonova.kernel.testing.workflows import IS_OVERTAKEN, Trouble, run_with_clock, survive, troubles

metadata = MetaData()
operations = operations_table(metadata)
notes = Table("notes", metadata, Column("text", String(100), nullable=False))


@dataclass
class Shelves:
    """The world outside: what lies where. Putting twice is putting once."""

    lying: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    full: set[str] = field(default_factory=set)


async def put_plank(work: Work[Shelves]) -> None:
    work.parts.log.append("plank")
    work.parts.lying.add(f"{work.subject}/plank")


async def take_plank(work: Work[Shelves]) -> None:
    work.parts.lying.discard(f"{work.subject}/plank")


async def choose_shelf(work: Work[Shelves]) -> None:
    tried = work.data.setdefault("tried", [])
    left = [s for s in ("a", "b", "c") if s not in tried]
    if not left:
        raise Conflict("no shelf is left")
    work.data["shelf"] = left[0]


async def put_box(work: Work[Shelves]) -> None:
    shelf = work.data["shelf"]
    work.parts.lying.add(f"{work.subject}/box@{shelf}")
    if shelf in work.parts.full:
        work.data["tried"].append(shelf)
        raise StartOver("shelf", f"{shelf} is full")


async def take_box(work: Work[Shelves]) -> None:
    work.parts.lying.discard(f"{work.subject}/box@{work.data['shelf']}")


async def label(work: Work[Shelves]) -> None:
    async def write(tx):
        await tx.run(insert(notes), {"text": f"{work.subject} is in {work.data['shelf']}"})

    work.also(write)


async def bury(work: Work[Shelves]) -> None:
    async def write(tx):
        assert work.failure is not None
        await tx.run(insert(notes), {"text": f"{work.subject} failed: {work.failure.message}"})

    work.also(write)


STORE = Workflow(
    "store",
    (
        Step("plank", put_plank, undo=take_plank),
        Step("shelf", choose_shelf),
        Step("box", put_box, undo=take_box),
        Step("label", label),
    ),
    on_failure=bury,
)


async def clear(work: Work[Shelves]) -> None:
    work.parts.lying = {thing for thing in work.parts.lying if not thing.startswith(work.subject)}


REMOVE = Workflow("remove", (Step("clear", clear),))


class Workshop:
    others = (REMOVE,)

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.db: Database = memory_database(metadata, "workshop")
        self.parts = Shelves()
        self.journal = Journal(self.db, operations, MemoryBus(), self.clock)

    async def start(self, subject: str = "tea", kind: str = "store", **kw) -> int:
        async with self.db.transaction() as tx:
            return await self.journal.write(tx, kind, subject, **kw)

    async def overtake(self) -> None:
        await self.start(kind="remove", overtakes=True)

    async def begin_life(self) -> None:
        return None

    async def check(self, operation: Operation, trouble: Trouble) -> None:
        written = await self.notes()
        if operation.state == "done":
            assert self.parts.lying == {"tea/plank", "tea/box@a"}
            assert written == ["tea is in a"]
        else:
            assert self.parts.lying == set()
            failures = [] if trouble.how == IS_OVERTAKEN else [f"tea failed: {operation.message}"]
            assert written == failures

    async def notes(self) -> list[str]:
        async with self.db.read() as tx:
            return await tx.column(select(notes.c.text))

    async def run(self, *workflows: Workflow) -> None:
        worker = Worker(self.journal, {w.kind: w for w in workflows or (STORE, REMOVE)}, self.parts, "w")
        await run_with_clock(self.clock, worker.drain())

    async def operation(self, number: int) -> Operation:
        async with self.db.read() as tx:
            found = await self.journal.get(tx, number)
        assert found is not None
        return found


@pytest.mark.parametrize("trouble", troubles(STORE, can_be_overtaken=True), ids=str)
async def test_a_workflow_survives_every_trouble(trouble):
    async def make():
        return Workshop()

    await survive(trouble, STORE, make)


async def test_a_workflow_leaves_its_history():
    shop = Workshop()
    number = await shop.start()
    await shop.run()
    operation = await shop.operation(number)
    assert operation.state == "done"
    assert [(e["name"], e["result"]) for e in operation.events] == [
        ("plank", "Success"),
        ("shelf", "Success"),
        ("box", "Success"),
        ("label", "Success"),
    ]


async def test_starting_over_undoes_and_takes_the_next():
    shop = Workshop()
    shop.parts.full = {"a", "b"}
    await shop.start()
    await shop.run()
    assert shop.parts.lying == {"tea/plank", "tea/box@c"}
    assert await shop.notes() == ["tea is in c"]


async def test_running_out_of_places_to_start_over_fails_with_the_reason():
    shop = Workshop()
    shop.parts.full = {"a", "b", "c"}
    number = await shop.start()
    await shop.run()
    assert shop.parts.lying == set()
    assert await shop.notes() == ["tea failed: no shelf is left"]
    assert (await shop.operation(number)).state == "failed"


async def test_a_service_that_is_away_for_a_moment_is_tried_again():
    calls = []

    async def ask(work):
        calls.append(1)
        if len(calls) < 3:
            raise ServiceUnavailable

    shop = Workshop()
    number = await shop.start()
    await shop.run(Workflow("store", (Step("ask", ask),)))
    assert len(calls) == 3
    assert (await shop.operation(number)).state == "done"


async def test_operations_on_one_subject_run_one_after_another():
    shop = Workshop()
    await shop.start("tea")
    await shop.start("tea")
    await shop.start("salt")
    first = await shop.journal.take("w1", ["store"], 10)
    assert [lease.operation.subject for lease in first] == ["tea", "salt"]
    assert await shop.journal.take("w2", ["store"], 10) == []


async def test_a_worker_whose_lease_was_taken_cannot_write():
    shop = Workshop()
    number = await shop.start()
    [slow] = await shop.journal.take("slow", ["store"], 1)
    await shop.clock.advance(shop.journal.lease_s + 1)
    [quick] = await shop.journal.take("quick", ["store"], 1)
    assert quick.operation.ticket > slow.operation.ticket
    with pytest.raises(LeaseLost):
        await carry_out(slow, STORE, shop.parts)
    assert await carry_out(quick, STORE, shop.parts) == "done"
    assert await shop.notes() == ["tea is in a"]
    assert (await shop.operation(number)).lease_owner is None


async def test_a_living_worker_keeps_its_lease_by_its_heartbeat():
    shop = Workshop()
    await shop.start()
    await shop.journal.take("alive", ["store"], 1)
    await shop.clock.advance(20)
    assert await shop.journal.renew("alive") == 1
    await shop.clock.advance(20)
    assert await shop.journal.take("other", ["store"], 1) == []


async def test_a_worker_that_starts_again_takes_its_own_work_back_at_once():
    shop = Workshop()
    await shop.start()
    await shop.journal.take("w", ["store"], 1)
    assert await shop.journal.release("w") == 1
    assert len(await shop.journal.take("w", ["store"], 1)) == 1


async def test_a_wish_that_is_rolled_back_starts_nothing():
    shop = Workshop()

    async def wish_then_fail() -> None:
        async with shop.db.transaction() as tx:
            await shop.journal.write(tx, "store", "tea")
            raise Conflict("after all not")

    with pytest.raises(Conflict):
        await wish_then_fail()
    assert await shop.journal.take("w", ["store"], 1) == []


async def test_an_operation_past_its_deadline_is_undone_and_says_so():
    shop = Workshop()
    number = await shop.start(deadline_s=60)
    await shop.clock.advance(61)
    await shop.run()
    operation = await shop.operation(number)
    assert operation.state == "failed"
    assert "did not end by" in (operation.message or "")


async def test_a_parked_operation_does_not_hold_up_a_removal():
    async def stuck(work):
        raise Conflict("the shelf is nailed shut")

    async def fail(work):
        raise Conflict("no")

    shop = Workshop()
    number = await shop.start()
    flow = Workflow("store", (Step("plank", put_plank, undo=stuck), Step("fail", fail)), on_failure=bury)
    await shop.run(flow)
    assert (await shop.operation(number)).state == "parked"
    assert await shop.notes() == ["tea failed: no"]
    await shop.overtake()
    await shop.run(flow, REMOVE)
    assert shop.parts.lying == set()
    await shop.clock.advance(400)
    await shop.run(STORE, REMOVE)
    assert (await shop.operation(number)).state == "failed"
    assert await shop.notes() == ["tea failed: no"]


async def test_asking_twice_for_the_same_does_not_stop_the_first():
    shop = Workshop()
    await shop.start(kind="remove", overtakes=True)
    await shop.start(kind="remove", overtakes=True)
    await shop.run()
    async with shop.db.read() as tx:
        assert [o.state for o in await shop.journal.of(tx, "tea")] == ["done", "done"]


async def test_a_workflow_has_a_deadline_of_its_own():
    shop = Workshop()
    number = await shop.start()
    await shop.clock.advance(4000)
    await shop.run()
    assert (await shop.operation(number)).state == "failed"


async def test_what_ended_long_ago_is_forgotten():
    shop = Workshop()
    await shop.start()
    await shop.run()
    await shop.clock.advance(100)
    await shop.start("salt")
    async with shop.db.read() as tx:
        assert await shop.journal.ended_before(tx, shop.clock.now()) == 1
    assert await shop.journal.forget(shop.clock.now()) == 1
    async with shop.db.read() as tx:
        assert await shop.journal.of(tx, "tea") == []
        assert len(await shop.journal.of(tx, "salt")) == 1


async def test_a_process_that_was_held_up_does_not_touch_the_world_again():
    shop = Workshop()
    await shop.start()
    [lease] = await shop.journal.take("slow", ["store"], 1)
    await shop.clock.advance(shop.journal.lease_s + 1)
    with pytest.raises(LeaseLost, match="held up"):
        await carry_out(lease, STORE, shop.parts)
    assert shop.parts.lying == set()


async def test_a_heartbeat_prolongs_what_is_under_way():
    shop, gate = Workshop(), asyncio.Event()

    async def wait(work):
        await gate.wait()

    number = await shop.start()
    flow = Workflow("store", (Step("wait", wait), Step("plank", put_plank)))
    worker = Worker(shop.journal, {"store": flow}, shop.parts, "w")
    running = asyncio.create_task(worker.run())
    for _ in range(6):
        await settle()
        await shop.clock.advance(shop.journal.lease_s / 3)
    gate.set()
    await settle()
    assert (await shop.operation(number)).state == "done"
    running.cancel()
    await asyncio.wait([running])
