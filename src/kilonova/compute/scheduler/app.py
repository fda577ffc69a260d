"""The scheduler's process: keeps the hosts in memory, asks Placement who has room, and serves select_destinations.

Hosts come from the agents' own heartbeats; zones, aggregates and what is used come from the conductor, every so
often and when it says that they changed. A choice is counted at once, so a batch of servers spreads.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kilonova.compute.calls import (
    ALIVE,
    CLOUD_FACTS,
    CONDUCTOR,
    FACTS_CHANGED,
    HEARTBEAT,
    HOSTS,
    ROLL_CALL,
    SCHEDULER,
    SELECT_DESTINATIONS,
    Choice,
    CloudFacts,
    Done,
    HostReport,
    PlacementAsk,
    ServiceAlive,
)
from kilonova.compute.model.resources import Need, need_of
from kilonova.compute.model.trace import hop
from kilonova.compute.scheduler.choose import Claims, choose
from kilonova.compute.scheduler.hosts import HostView, view_hosts
from kilonova.compute.scheduler.limits import Limits
from kilonova.kernel.bus import Bus, CallFailed, Serving
from kilonova.kernel.clock import Clock

LOG = logging.getLogger(__name__)


class Offers(Protocol):
    """What the scheduler asks of Placement."""

    async def offers(
        self,
        resources: Mapping[str, int],
        *,
        required: Collection[str] = (),
        forbidden: Collection[str] = (),
        limit: int = 1000,
    ) -> Claims:
        """Claims by provider id of the hosts that have room."""


@dataclass(slots=True)
class Scheduler:
    """``await start()``, then it answers calls to its topic until ``stop()``."""

    bus: Bus
    placement: Offers
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    host: str = "localhost"
    alive_every_s: float = 10.0
    rng: random.Random = field(default_factory=random.Random)
    _facts: CloudFacts = field(default_factory=CloudFacts)
    _reports: dict[str, HostReport] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _views: dict[str, HostView] = field(default_factory=dict)
    _stale: bool = True
    _asked_at: float = float("-inf")
    _in_flight: dict[Any, asyncio.Task[Claims]] = field(default_factory=dict)
    _serving: list[Serving] = field(default_factory=list)
    _alive: asyncio.Task[None] | None = None
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        self._serving = [
            self.bus.listen(HOSTS, {HEARTBEAT: self.hear}),
            self.bus.on_wake(FACTS_CHANGED, self.forget_facts),
            self.bus.on_wake(ROLL_CALL, self.say_alive),
            self.bus.serve(SCHEDULER, {SELECT_DESTINATIONS: self.select_destinations}, limit=256),
        ]
        self._alive = asyncio.create_task(self._keep_saying_alive(), name="scheduler's sign of life")

    async def stop(self) -> None:
        for one in self._serving:
            one.close()
        for task in (*self._in_flight.values(), self._alive):
            if task is not None:
                task.cancel()

    def say_alive(self) -> None:
        """Tell the conductors that this scheduler lives."""
        self.bus.announce(HOSTS, ALIVE, ServiceAlive(binary="nova-scheduler", host=self.host, topic="scheduler"))

    async def _keep_saying_alive(self) -> None:
        while True:
            self.say_alive()
            await self.clock.sleep(self.alive_every_s)

    def hear(self, report: HostReport) -> None:
        """A heartbeat: the host lives, and this is how it is."""
        before = self._reports.get(report.host)
        self._reports[report.host] = report
        was_up = self._is_up(report.host)
        self._heard[report.host] = self.clock.monotonic()
        if not was_up or before is None or _shape(before) != _shape(report):
            self._stale = True

    def forget_facts(self) -> None:
        """Aggregates or services changed: ask again before the next choice."""
        self._asked_at = float("-inf")

    async def select_destinations(self, ask: PlacementAsk) -> Choice:
        """Candidates for one server, best first, or why there is none."""
        await self._refresh()
        claims = await self._offers(need_of(ask.flavor, ask.image))
        choice = choose(ask, tuple(self._current().values()), claims, self.limits, self.rng)
        if choice.candidates:
            best = choice.candidates[0]
            self._views[best.host] = self._views[best.host].with_server(ask)
            LOG.info(
                "%s: server %s gets %s of %d hosts (%d refused)",
                hop("9-10"),
                ask.server_id,
                best.host,
                choice.hosts_seen,
                sum(row.count for row in choice.refusals),
            )
        else:
            LOG.warning(
                "server %s: none of %d hosts will do: %s",
                ask.server_id,
                choice.hosts_seen,
                "; ".join(f"{row.count} {row.reason}" for row in choice.refusals),
            )
        return choice

    async def _refresh(self) -> None:
        if self.clock.monotonic() - self._asked_at < self.limits.facts_every_s:
            return
        async with self._refreshing:
            if self.clock.monotonic() - self._asked_at < self.limits.facts_every_s:
                return
            try:
                facts = await self.bus.call(CONDUCTOR, CLOUD_FACTS, Done())
            except CallFailed as failed:
                LOG.warning("choosing with what was known before: %s", failed)
                self._asked_at = self.clock.monotonic() - self.limits.facts_every_s + 1
                return
            self._facts, self._stale = facts, True
            self._asked_at = self.clock.monotonic()
            for report in facts.reports:  # only of hosts that the conductor heard of lately
                self._reports.setdefault(report.host, report)
                self._heard.setdefault(report.host, self._asked_at)

    def _current(self) -> dict[str, HostView]:
        up = {host: self._is_up(host) for host in self._reports}
        if self._stale or any(view.is_up and not up[name] for name, view in self._views.items()):
            self._views = view_hosts(self._reports.values(), self._facts, up=up, default_zone=self.limits.default_zone)
            self._stale = False
        return self._views

    def _is_up(self, host: str) -> bool:
        heard = self._heard.get(host)
        return heard is not None and self.clock.monotonic() - heard <= self.limits.down_after_s

    async def _offers(self, need: Need) -> Claims:
        """Ask Placement; servers of one size that are asked for at the same moment share the answer."""
        key = (tuple(sorted(need.resources.items())), need.required, need.forbidden)
        task = self._in_flight.get(key)
        if task is None:
            task = asyncio.create_task(
                self.placement.offers(
                    need.resources,
                    required=need.required,
                    forbidden=need.forbidden,
                    limit=self.limits.max_placement_results,
                )
            )
            self._in_flight[key] = task
            task.add_done_callback(lambda _done: self._in_flight.pop(key, None))
        return await asyncio.shield(task)


def _shape(report: HostReport) -> tuple[object, ...]:
    """What of a report changes a choice; use is counted from the database, not from here."""
    return (
        report.id,
        report.vcpus,
        report.ram_mib,
        report.disk_gib,
        report.traits,
        report.cpu_allocation_ratio,
        report.ram_allocation_ratio,
        report.disk_allocation_ratio,
        report.reserved_ram_mib,
        report.reserved_disk_gib,
        report.reserved_vcpus,
        report.supported,
    )
