"""Workflows: steps in pairs of do and undo, carried out from the journal so that a crash loses nothing.

The engine's promises, which every step may build on:

* a step may run again after it had its effect (the crash came before the record), so it looks at the world
  first;
* what a step put into ``work.data``, and the writes it asked for with ``work.also``, are kept in one
  transaction with the record that the step is done: they happen exactly once;
* when a step fails, its own undo and those of all steps before it run backwards, each several times if it
  must;
* an undo that keeps failing is left in the journal and repeated later, for as long as it takes;
* before each record the engine sees whether a later operation has overtaken this one, and then undoes.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

from kilonova.kernel.bus.call import RemoteFailure, TimedOut, Unreachable
from kilonova.kernel.context import bind
from kilonova.kernel.errors import Error, ServiceUnavailable
from kilonova.kernel.tasks.journal import (
    CANCELLED,
    DONE,
    FAILED,
    RUNNING,
    UNDOING,
    Cancelled,
    Lease,
    LeaseLost,
    Operation,
    Write,
)

LOG = logging.getLogger(__name__)

P = TypeVar("P")

PARK_FIRST_S, PARK_MOST_S = 5.0, 300.0
MOST_ATTEMPTS = 20


class StartOver(Exception):
    """Raised by a step: undo back to and including step ``at``, then go forward again from there."""

    def __init__(self, at: str, because: str):
        super().__init__(because)
        self.at = at


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a workflow did not reach its end. ``trace`` is for admins only."""

    step: str
    code: str
    message: str
    status: int = 500
    trace: str = ""


@dataclass(slots=True)
class Work(Generic[P]):
    """What a step sees. ``parts``: the worker's clients and stores. ``data``: kept from step to step (plain
    JSON);
    ``memo``: remembered in this process only. ``fresh``: this step has certainly not run before, so there
    is nothing to look for; ``last_try``: nobody will try it again.
    """

    parts: P
    operation: Operation
    data: dict[str, Any]
    failure: Failure | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True
    last_try: bool = False
    _writes: list[Write] = field(default_factory=list)
    _event: dict[str, Any] = field(default_factory=dict)
    _payload: dict[str, Any] | None = None

    @property
    def subject(self) -> str:
        return self.operation.subject

    @property
    def payload(self) -> dict[str, Any]:
        return self.operation.payload

    def also(self, write: Write) -> None:
        """Have ``write(tx)`` run in the transaction that records this step as done."""
        self._writes.append(write)

    def forget(self, *names: str) -> None:
        """Remove secrets from what was asked for, with the next record: they have served."""
        left = {key: value for key, value in self.operation.payload.items() if key not in names}
        self.operation = replace(self.operation, payload=left)
        self._payload = left

    def tell(self, **facts: Any) -> None:
        """Add facts (``host``, ``details``) to the event that this step leaves in the journal."""
        self._event.update(facts)


Do = Callable[[Work[Any]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``tries``: how often it is attempted when the other side cannot be reached; ``event``: its
    name in the history that users see, if it is shown there under another name. ``recorded`` False: that it
    is done is written down with the next step only (it leaves no trace, or costs nothing to repeat).
    """

    name: str
    do: Do
    undo: Do | None = None
    deadline_s: float = 60.0
    tries: int = 4
    undo_tries: int = 3
    event: str | None = None
    recorded: bool = True


@dataclass(frozen=True, slots=True)
class Workflow:
    """How one kind of operation is carried out. ``on_failure`` and ``on_cancel`` run when all is undone (or
    when an undo had to be put off): they ask for the last writes with ``work.also``. ``no_return``: from
    this step on nothing can be undone (a delete): a step that fails is told to the user and tried again
    later, until it is done.
    """

    kind: str
    steps: tuple[Step, ...]
    on_failure: Do | None = None
    on_cancel: Do | None = None
    no_return: str | None = None
    deadline_s: float = 3600.0

    def goes_on(self, index: int) -> bool:
        """Whether a failing step ``index`` is tried again later instead of undone."""
        return self.no_return is not None and index >= self.index(self.no_return)

    def index(self, name: str) -> int:
        """The position of a step. Raises KeyError."""
        for position, step in enumerate(self.steps):
            if step.name == name:
                return position
        raise KeyError(f"{self.kind} has no step {name}")


def is_passing(error: BaseException) -> bool:
    """Whether trying again in a moment may help: nobody was there to ask."""
    if isinstance(error, RemoteFailure):
        return error.status == 503
    return isinstance(error, Unreachable | ServiceUnavailable | ConnectionError)


async def carry_out(lease: Lease, workflow: Workflow, parts: Any) -> str:
    """Run one operation as far as it goes; the state it was left in. Raises LeaseLost when another took
    over.
    """
    operation = lease.operation
    bind(operation.context())
    work: Work[Any] = Work(parts, operation, dict(operation.data))
    if operation.fault is not None:
        work.failure = msgspec.convert(operation.fault, Failure)
    run = _Run(lease, workflow, work)
    if operation.state == UNDOING:
        if await run.unwind():
            await run.forward()
    elif operation.cancel:
        await run.back_out(min(operation.step, len(workflow.steps) - 1), 0, CANCELLED)
    else:
        await run.forward()
    return lease.operation.state


@dataclass(slots=True)
class _Run:
    lease: Lease
    workflow: Workflow
    work: Work[Any]

    async def forward(self) -> None:
        """Steps from the recorded one on, going back and forth as StartOver asks, until an end is written."""
        while True:
            index = self.lease.operation.step
            step = self.workflow.steps[index]
            event = self._begin(step)
            try:
                self._refuse_when_hopeless()
                await self._attempt(step.do, step.tries, step.deadline_s)
                self._close(event, "Success")
                if index + 1 == len(self.workflow.steps):
                    await self._finish(DONE, heed_cancel=True, step=index + 1)
                    return
                if step.recorded or self.work._writes:
                    await self._record(heed_cancel=True, step=index + 1)
                else:
                    self.lease.operation = replace(self.lease.operation, step=index + 1)
            except LeaseLost:
                raise
            except Cancelled:
                LOG.info("%s %s: overtaken, undoing", self.workflow.kind, self.work.subject)
                if await self.back_out(index, 0, CANCELLED):
                    continue
                return
            except StartOver as over:
                self._close(event, "Error", over)
                LOG.warning("%s %s: %s", self.workflow.kind, self.work.subject, over)
                if await self.back_out(index, self.workflow.index(over.at), RUNNING):
                    continue
                return
            except Exception as error:  # noqa: BLE001 (whatever a step raises is its failure)
                self.work.failure = failure = _explain(step.name, error)
                self._close(event, "Error", error)
                LOG.warning(
                    "%s %s: step %s failed: %s: %s",
                    self.workflow.kind,
                    self.work.subject,
                    step.name,
                    failure.code,
                    failure.message,
                )
                if self.workflow.goes_on(index):
                    await self._put_off(step, error)
                    return
                if await self.back_out(index, 0, FAILED, fault=msgspec.to_builtins(failure)):
                    continue
                return

    def _refuse_when_hopeless(self) -> None:
        operation = self.lease.operation
        if self.workflow.goes_on(operation.step):
            return
        deadline = operation.deadline or operation.created_at + timedelta(seconds=self.workflow.deadline_s)
        if self.lease.journal.clock.now() > deadline:
            raise TimedOut(f"the operation did not end by {deadline:%Y-%m-%d %H:%M:%S} UTC")
        if operation.attempts > MOST_ATTEMPTS:
            raise TimedOut(f"given up: the work was begun {MOST_ATTEMPTS} times and never ended")

    async def back_out(self, start: int, floor: int, then: str, **values: Any) -> bool:
        """Begin to undo from step ``start`` down to ``floor``; True when work goes forward again after it."""
        self.work._writes.clear()
        await self._record(heed_cancel=False, state=UNDOING, step=start, unwind_to=floor, unwind_then=then, **values)
        return await self.unwind()

    async def unwind(self) -> bool:
        """Undo backwards as recorded; True when the operation is to go forward again."""
        while (index := self.lease.operation.step) >= self.lease.operation.unwind_to:
            step = self.workflow.steps[index]
            if step.undo is not None:
                event = self._begin(step, " (undo)")
                try:
                    await self._attempt(step.undo, step.undo_tries, step.deadline_s, any_error=True)
                except LeaseLost:
                    raise
                except Exception as error:  # noqa: BLE001 (kept in the journal and repeated)
                    self._close(event, "Error", error)
                    await self._put_off(step, error)
                    return False
                self._close(event, "Success")
                await self._record(heed_cancel=False, step=index - 1)
            else:
                # Nothing to undo and nothing to record: looking again after a crash costs nothing.
                self.lease.operation = replace(self.lease.operation, step=index - 1)
        operation = self.lease.operation
        if operation.unwind_then != RUNNING:
            await self._end(operation.unwind_then or FAILED)
            return False
        try:
            await self._record(heed_cancel=True, state=RUNNING, step=operation.unwind_to, unwind_then=None)
        except Cancelled:
            return await self.back_out(operation.unwind_to - 1, 0, CANCELLED)
        return True

    async def _end(self, state: str) -> None:
        ending = self.workflow.on_cancel if state == CANCELLED else self.workflow.on_failure
        message = None if self.work.failure is None else self.work.failure.message
        if ending is not None and not self.work.data.get("_told"):
            await ending(self.work)
        await self._finish(state, step=0, message=message)

    async def _put_off(self, step: Step, error: Exception) -> None:
        """A step that must succeed keeps failing: tell the user what is so, and keep the rest for later."""
        operation = self.lease.operation
        wait_s = min(PARK_FIRST_S * 2 ** min(operation.attempts - 1, 10), PARK_MOST_S)
        LOG.error(
            "%s %s: %s must be done, but failed (%s); tried again in %.0f s",
            self.workflow.kind,
            self.work.subject,
            step.name,
            error,
            wait_s,
        )
        then = operation.unwind_then
        values: dict[str, Any] = {}
        if then == RUNNING:
            # What was begun cannot be cleaned away, so beginning again elsewhere could make two of it.
            then = FAILED
            self.work.failure = self.work.failure or _explain(step.name, error)
            values = {"unwind_then": then, "unwind_to": 0, "fault": msgspec.to_builtins(self.work.failure)}
        elif then is None and self.work.failure is not None:
            values = {"step": operation.step, "fault": msgspec.to_builtins(self.work.failure)}
        ending = self.workflow.on_cancel if then == CANCELLED else self.workflow.on_failure
        self.work._writes.clear()
        if ending is not None and not self.work.data.get("_told"):
            await ending(self.work)
            self.work.data["_told"] = True
        writes = self._take_writes()
        await self.lease.park(writes, wait_s=wait_s, data=self.work.data, events=self._events(), **values)

    async def _attempt(self, do: Do, tries: int, deadline_s: float, *, any_error: bool = False) -> None:
        """Call ``do``, again after a growing pause when that may help, all within its deadline."""
        clock = self.lease.journal.clock
        try:
            async with asyncio.timeout(deadline_s):
                for attempt in range(1, tries + 1):
                    if not self.lease.is_good:
                        raise LeaseLost(f"operation {self.lease.operation.id}: this process was held up for too long")
                    self.work.fresh = attempt == 1 and self.lease.operation.attempts == 1
                    self.work.last_try = attempt == tries
                    try:
                        await do(self.work)
                        return
                    except (LeaseLost, Cancelled, StartOver):
                        raise
                    except Exception as error:
                        if attempt == tries or not (any_error or is_passing(error)):
                            raise
                        LOG.info("%s %s: trying again: %s", self.workflow.kind, self.work.subject, error)
                    self.work._writes.clear()
                    await clock.sleep(0.2 * 3 ** (attempt - 1))
        except TimeoutError:
            raise TimedOut(f"did not end within {deadline_s:g} s") from None

    # -- events and records

    def _begin(self, step: Step, suffix: str = "") -> dict[str, Any]:
        event = {"name": (step.event or step.name) + suffix, "start": self.lease.journal.clock.now()}
        self.work._event = event
        return event

    def _close(self, event: dict[str, Any], result: str, error: Exception | None = None) -> None:
        event["finish"] = self.lease.journal.clock.now()
        event["result"] = result
        if error is not None:
            event["details"] = str(error)
            event["trace"] = "".join(traceback.format_exception(error))[-4000:]
        self.lease.operation.events.append(event)

    def _events(self) -> list[dict[str, Any]]:
        return self.lease.operation.events

    def _take_writes(self) -> list[Write]:
        writes, self.work._writes = self.work._writes, []
        return writes

    def _forgotten(self) -> dict[str, Any]:
        return {} if self.work._payload is None else {"payload": self.work._payload}

    async def _record(self, *, heed_cancel: bool, **values: Any) -> None:
        await self.lease.record(
            self._take_writes(),
            heed_cancel=heed_cancel,
            data=self.work.data,
            events=self._events(),
            **self._forgotten(),
            **values,
        )

    async def _finish(self, state: str, *, heed_cancel: bool = False, **values: Any) -> None:
        await self.lease.finish(
            state,
            self._take_writes(),
            heed_cancel=heed_cancel,
            data=self.work.data,
            events=self._events(),
            **self._forgotten(),
            **values,
        )


def _explain(step: str, error: Exception) -> Failure:
    trace = "".join(traceback.format_exception(error))[-4000:]
    if isinstance(error, Error):
        return Failure(step, error.type_name, error.message, error.status, trace)
    if isinstance(error, RemoteFailure):
        return Failure(step, error.code, error.message, error.status, error.trace or trace)
    return Failure(step, type(error).__name__, str(error), 500, trace)
