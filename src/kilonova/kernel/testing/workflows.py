"""The standing tests of workflows: every step *failing*, *repeating*, and *crashing* and being resumed.

A room gives a ``World``: how to make a fresh one, write the operation, and check that what it left is
whole. The kit breaks one step at a time in every way it knows and runs the operation to its end:

    @pytest.mark.parametrize("trouble", troubles(BUILD), ids=str)
    async def test_build_survives(trouble):
        await survive(trouble, BUILD, make_world)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kilonova.kernel.tasks.journal import Journal, Operation
from kilonova.kernel.tasks.worker import Worker
from kilonova.kernel.tasks.workflow import Do, Step, Work, Workflow
from kilonova.kernel.testing.clock import FakeClock

FAILS_BEFORE, FAILS_AFTER = "fails before its effect", "fails after its effect"
REPEATS, CRASHES_BEFORE, CRASHES_AFTER = "repeats", "crashes before its effect", "crashes after its effect"
UNDO_REPEATS, UNDO_CRASHES, UNDO_FAILS_LONG = "undo repeats", "undo crashes after its effect", "undo fails for long"
IS_OVERTAKEN = "is overtaken after its effect"


class Broken(Exception):
    """What a step that is made to fail raises."""


class Crash(BaseException):
    """The process dies here: nothing after this point runs, nothing is written."""


class World(Protocol):
    """One fresh cloud's worth of parts for one run."""

    journal: Journal
    clock: FakeClock
    parts: Any

    async def start(self) -> int:
        """Write the operation under test; its id."""

    async def overtake(self) -> None:
        """Write the operation that overtakes it (with the workflows that carry it out in ``others``)."""

    others: tuple[Workflow, ...]

    async def begin_life(self) -> None:
        """A new worker begins, perhaps long after the one before it."""

    async def check(self, operation: Operation, trouble: Trouble) -> None:
        """Assert that nothing is left half done."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Step ``step`` of a workflow meets ``how``."""

    step: str
    how: str

    def __str__(self) -> str:
        return f"{self.step} {self.how}".replace(" ", "-")

    @property
    def must_succeed(self) -> bool:
        """Whether the operation must reach its good end in spite of this."""
        return self.how in (REPEATS, CRASHES_BEFORE, CRASHES_AFTER)


def troubles(workflow: Workflow, *, can_be_overtaken: bool = False) -> list[Trouble]:
    """Every way in which each step can be broken."""
    return list(_troubles(workflow, can_be_overtaken))


def _troubles(workflow: Workflow, can_be_overtaken: bool) -> Iterator[Trouble]:
    for step in workflow.steps:
        hows = [FAILS_BEFORE, FAILS_AFTER, REPEATS, CRASHES_BEFORE, CRASHES_AFTER]
        if step.undo is not None:
            hows += [UNDO_REPEATS, UNDO_CRASHES, UNDO_FAILS_LONG]
        if can_be_overtaken:
            hows.append(IS_OVERTAKEN)
        for how in hows:
            yield Trouble(step.name, how)


async def survive(trouble: Trouble, workflow: Workflow, make: Callable[[], Awaitable[World]]) -> None:
    """Run one operation through one trouble to its end, then let the world check itself."""
    world = await make()
    number = await world.start()
    broken = break_step(workflow, trouble, world)
    flows = {flow.kind: flow for flow in (*world.others, broken)}
    for life in range(1, 10):
        await world.begin_life()
        worker = Worker(world.journal, flows, world.parts, name=f"worker-{life}")
        await _live(worker)
        async with world.journal.db.read() as tx:
            if not await world.journal.open_operations(tx):
                break
        await world.clock.advance(world.journal.lease_s + 400)
    async with world.journal.db.read() as tx:
        left = await world.journal.open_operations(tx)
        operation = await world.journal.get(tx, number)
    assert not left, f"never ended: {[(o.kind, o.state, o.step) for o in left]}"
    assert operation is not None
    if trouble.must_succeed:
        assert operation.state == "done", f"{trouble}: {operation.state}: {operation.fault}"
    await world.check(operation, trouble)


async def _live(worker: Worker) -> None:
    """Carry out what can be taken; a Crash ends this worker's life. Turns the clock for those who wait."""
    journal = worker.journal
    while leases := await journal.take(worker.name, worker.workflows.keys(), 1):
        for lease in leases:
            try:
                await run_with_clock(journal.clock, worker._carry_out(lease))
            except Crash:
                return


async def run_with_clock(clock: Any, work: Any) -> None:
    """Await ``work`` while turning a fake clock for every pause it makes."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0)
        if not task.done() and getattr(clock, "_sleepers", None):
            await clock.advance(1.0)
    task.result()


def break_step(workflow: Workflow, trouble: Trouble, world: World) -> Workflow:
    """The workflow with one step made to meet ``trouble``."""
    steps = list(workflow.steps)
    index = workflow.index(trouble.step)
    step, how = steps[index], trouble.how
    if how == FAILS_BEFORE:
        steps[index] = replace(step, do=_failing(workflow, index, _raise(Broken("made to fail")), step.do))
    elif how == FAILS_AFTER:
        fails = _then_raise(step.do, Broken("made to fail"))
        steps[index] = replace(step, do=_failing(workflow, index, fails, step.do))
    elif how == REPEATS:
        steps[index] = replace(step, do=_twice(step.do))
    elif how == CRASHES_BEFORE:
        steps[index] = replace(step, do=_once(_raise(Crash()), step.do))
    elif how == CRASHES_AFTER:
        steps[index] = replace(step, do=_once(_then_raise(step.do, Crash()), step.do))
    elif how == IS_OVERTAKEN:
        steps[index] = replace(step, do=_once(_overtaken(step.do, world), step.do))
    else:
        assert step.undo is not None
        last = how == UNDO_REPEATS and _twice(step.undo)
        if how == UNDO_CRASHES:
            last = _once(_then_raise(step.undo, Crash()), step.undo)
        elif how == UNDO_FAILS_LONG:
            last = _times(5, _raise(Broken("cannot be undone now")), step.undo)
        assert last
        # The step itself must fail for its undo to run: it does so after its effect.
        steps[index] = Step(
            step.name,
            _then_raise(step.do, Broken("made to fail")),
            last,
            step.deadline_s,
            step.tries,
            step.undo_tries,
            step.event,
        )
    return replace(workflow, steps=tuple(steps))


def _failing(workflow: Workflow, index: int, fails: Do, works: Do) -> Do:
    """What only goes forward must work in the end, so it fails for some time only."""
    return _times(3, fails, works) if workflow.goes_on(index) else fails


def _raise(error: BaseException) -> Do:
    async def do(work: Work[Any]) -> None:
        raise error

    return do


def _then_raise(first: Do, error: BaseException) -> Do:
    async def do(work: Work[Any]) -> None:
        await first(work)
        raise error

    return do


def _twice(first: Do) -> Do:
    async def do(work: Work[Any]) -> None:
        await first(work)
        work._writes.clear()
        work.fresh = False
        await first(work)

    return do


def _overtaken(first: Do, world: World) -> Do:
    async def do(work: Work[Any]) -> None:
        await first(work)
        await world.overtake()

    return do


def _once(first: Do, after: Do) -> Do:
    return _times(1, first, after)


def _times(count: int, first: Do, after: Do) -> Do:
    left = count

    async def do(work: Work[Any]) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            await first(work)
        else:
            await after(work)

    return do
