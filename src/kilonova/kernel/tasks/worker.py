"""A worker takes operations from a journal and carries them out, a bounded number at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kilonova.kernel.tasks.journal import Journal, Lease, LeaseLost
from kilonova.kernel.tasks.workflow import Workflow, carry_out

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """Carries out the operations of ``workflows``. ``name`` is unique among living workers; ``limit``:
    operations at a time; ``poll_s``: how long a lost wake-up can delay an operation."""

    journal: Journal
    workflows: Mapping[str, Workflow]
    parts: Any
    name: str
    limit: int = 32
    poll_s: float = 5.0
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _leases: dict[int, Lease] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until cancelled. What was under way then is given back and resumed by the next worker."""
        waiting = self.journal.bus.on_wake(self.journal.topic, self._woken.set)
        heart = asyncio.create_task(self._beat(), name=f"heartbeat of {self.name}")
        try:
            while True:
                self._woken.clear()
                try:
                    await self._take()
                except Exception:
                    LOG.exception("the journal cannot be read; tried again in %.0f s", self.poll_s)
                await self._pause()
        finally:
            waiting.close()
            heart.cancel()
            await self._stop()

    async def drain(self) -> None:
        """Carry out all that can be taken now, and what follows from it: for tests and for one-shot
        commands.
        """
        while await self._take() or self._tasks:
            if self._tasks:
                await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self.poll_s):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _take(self) -> int:
        room = self.limit - len(self._tasks)
        if room <= 0:
            return 0
        leases = await self.journal.take(self.name, self.workflows.keys(), room)
        for lease in leases:
            number = lease.operation.id
            task = asyncio.create_task(self._carry_out(lease), name=f"{lease.operation.kind} {lease.operation.subject}")
            self._tasks[number], self._leases[number] = task, lease
            task.add_done_callback(partial(self._ended, number))
        return len(leases)

    def _ended(self, number: int, _task: asyncio.Task[None]) -> None:
        was_full = len(self._tasks) >= self.limit
        self._tasks.pop(number, None)
        self._leases.pop(number, None)
        if was_full:
            self._woken.set()

    async def _carry_out(self, lease: Lease) -> None:
        operation = lease.operation
        try:
            await carry_out(lease, self.workflows[operation.kind], self.parts)
        except LeaseLost as lost:
            LOG.warning("%s %s: %s", operation.kind, operation.subject, lost)
        except Exception:
            LOG.exception("%s %s: stopped; taken again when its lease ends", operation.kind, operation.subject)

    async def _beat(self) -> None:
        while True:
            await self.journal.clock.sleep(self.journal.lease_s / 3)
            if not self._tasks:
                continue
            good_until = self.journal.clock.monotonic() + self.journal.lease_s
            try:
                await self.journal.renew(self.name)
                for lease in self._leases.values():
                    if lease.is_good:
                        lease.good_until = good_until
            except Exception:
                LOG.exception("leases of %s could not be renewed", self.name)

    async def _stop(self) -> None:
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
            await self.journal.release(self.name)
