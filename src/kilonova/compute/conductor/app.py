"""The conductor's process: a worker for the journal, ears for the agents, answers for the scheduler, and sweeps."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kilonova.compute.calls import (
    ALIVE,
    CLOUD_FACTS,
    CONDUCTOR,
    HEARTBEAT,
    HOSTS,
    POWER_CHANGED,
    REGISTER,
    ROLL_CALL,
)
from kilonova.compute.conductor import hosts, interfaces, power
from kilonova.compute.conductor.build import BUILD_SERVER
from kilonova.compute.conductor.delete import DELETE_SERVER
from kilonova.compute.conductor.parts import Parts
from kilonova.compute.conductor.sweeps import SWEEPS
from kilonova.kernel.bus import Call, Serving
from kilonova.kernel.bus.call import Handler
from kilonova.kernel.tasks import Sweeper, Worker, Workflow

LOG = logging.getLogger(__name__)

WORKFLOWS: tuple[Workflow, ...] = (
    BUILD_SERVER,
    DELETE_SERVER,
    *power.WORKFLOWS,
    interfaces.ATTACH,
    interfaces.DETACH,
)


@dataclass(slots=True)
class Conductor:
    """``await start()``, then it works in the background until ``stop()``, which gives back what is under way."""

    parts: Parts
    worker: Worker = field(init=False)
    sweeper: Sweeper = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _serving: list[Serving] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = self.parts
        self.worker = Worker(
            parts.journal,
            {workflow.kind: workflow for workflow in WORKFLOWS},
            parts,
            name=parts.settings.name,
            limit=parts.settings.workers,
        )
        self.sweeper = Sweeper(SWEEPS, parts, parts.clock)

    def listen(self) -> None:
        """Hear and answer agents and scheduler; no work is taken yet."""
        parts = self.parts
        handlers: dict[Call[Any, Any], Handler] = {
            REGISTER: partial(hosts.register_host, parts),
            POWER_CHANGED: partial(hosts.power_changed, parts),
            CLOUD_FACTS: partial(hosts.cloud_facts, parts),
        }
        self._serving = [
            parts.bus.serve(CONDUCTOR, handlers, limit=64),
            parts.bus.listen(HOSTS, {HEARTBEAT: parts.hosts.hear, ALIVE: parts.hosts.hear_service}),
        ]
        parts.bus.wake(ROLL_CALL)

    async def start(self, *, alone: bool = True) -> None:
        """``alone``: no other process has our name, so what it held when it died is taken back at once."""
        self.listen()
        if alone:
            await self.parts.journal.release(self.parts.settings.name)
        await hosts.write_what_was_heard(self.parts)
        self._tasks = [
            asyncio.create_task(self.worker.run(), name="conductor's worker"),
            asyncio.create_task(self.sweeper.run(), name="conductor's sweeps"),
            asyncio.create_task(self._keep_writing(), name="conductor's notes of living hosts"),
        ]

    async def stop(self) -> None:
        for one in self._serving:
            one.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    async def _keep_writing(self) -> None:
        while True:
            await self.parts.clock.sleep(self.parts.settings.seen_every_s)
            try:
                await hosts.write_what_was_heard(self.parts)
            except asyncio.CancelledError:
                raise
            except Exception:
                LOG.exception("which hosts live could not be written down; tried again")
