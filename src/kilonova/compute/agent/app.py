"""The agent's process: reaches the hypervisor, takes care of its guests, registers the host, and reports.

It works with the rest of the cloud away: guests that ran are started from its own records first, then it registers
with a conductor for as long as that takes. A heartbeat is a note, not a write to a database.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field
from typing import Any

from kilonova.compute.agent.images import ImageCache
from kilonova.compute.agent.inventory import HostSettings, host_report
from kilonova.compute.agent.lifecycle import Lifecycle
from kilonova.compute.agent.records import Record, Records
from kilonova.compute.calls import (
    ATTACH_NIC,
    CONDUCTOR,
    CONSOLE_ENDPOINT,
    CONSOLE_LOG,
    DESTROY,
    DETACH_NIC,
    DIAGNOSTICS,
    GUEST_STATE,
    HEARTBEAT,
    HOSTS,
    LIST_GUESTS,
    POWER,
    POWER_CHANGED,
    REGISTER,
    SCREENSHOT,
    SPAWN,
    HostReport,
    PowerChanged,
    Registered,
    agent_topic,
)
from kilonova.compute.virt.driver import Driver, DriverError, GuestEvent
from kilonova.kernel.bus import Bus, Call, CallFailed, Serving
from kilonova.kernel.bus.call import Handler
from kilonova.kernel.clock import Clock, iso_seconds
from kilonova.kernel.context import Context, bind

LOG = logging.getLogger(__name__)

_NAMESPACE = uuid.UUID("3b0f2c52-5d1e-4b0b-9f5c-0c1d6a7e8f90")
_MOST_EVENTS = 1000


def host_id(host: str) -> str:
    """The id of a host and of its resource provider: always the same for one name, so nothing must be kept."""
    return str(uuid.uuid5(_NAMESPACE, host))


@dataclass(slots=True)
class Agent:
    """One host. ``await start()`` returns once guests are looked after and calls are served; registering and
    reporting go on in the background until ``stop()``, which leaves the guests running.
    """

    host: str
    driver: Driver
    records: Records
    images: ImageCache
    bus: Bus
    clock: Clock
    settings: HostSettings = field(default_factory=HostSettings)
    heartbeat_s: float = 10.0
    register_every_s: float = 300.0
    lifecycle: Lifecycle = field(init=False)
    _report: HostReport | None = None
    _serial: int = 0
    _registered: bool = False
    _started_at: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _serving: list[Serving] = field(default_factory=list)
    _events: asyncio.Queue[GuestEvent] = field(default_factory=lambda: asyncio.Queue(_MOST_EVENTS))

    def __post_init__(self) -> None:
        self.lifecycle = Lifecycle(
            self.host,
            self.driver,
            self.records,
            self.images,
            stop_timeout_s=self.settings.shutdown_timeout_s,
        )

    async def start(self) -> None:
        """Find the guests, start those that are to run, and serve. Raises DriverError when there is no
        hypervisor.
        """
        self._started_at = iso_seconds(self.clock.now()) or ""
        self.records.load()
        await self.driver.open()
        self.driver.subscribe(self._hear)
        if self.settings.resume_guests:
            await self.lifecycle.start_what_is_to_run()
        do = self.lifecycle
        handlers: dict[Call[Any, Any], Handler] = {
            SPAWN: do.spawn,
            DESTROY: do.destroy,
            POWER: do.power,
            ATTACH_NIC: do.attach_nic,
            DETACH_NIC: do.detach_nic,
            GUEST_STATE: do.guest_state,
            LIST_GUESTS: do.list_guests,
            CONSOLE_LOG: do.console_log,
            CONSOLE_ENDPOINT: do.console_endpoint,
            SCREENSHOT: do.screenshot,
            DIAGNOSTICS: do.diagnostics,
        }
        self._serving = [self.bus.serve(agent_topic(self.host), handlers, limit=64)]
        await self._look()
        await self._try_to_register()
        self._tasks = [
            asyncio.create_task(self._keep_reporting(), name=f"heartbeat of {self.host}"),
            asyncio.create_task(self._keep_registered(), name=f"registration of {self.host}"),
            asyncio.create_task(self._tell_events(), name=f"guest events of {self.host}"),
        ]

    async def stop(self) -> None:
        """Let go. Guests run on."""
        for one in self._serving:
            one.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        await self.driver.close()

    async def _look(self) -> HostReport:
        inventory = await self.driver.inventory()
        self._serial += 1
        self._report = host_report(
            inventory,
            self.settings,
            host=self.host,
            id=host_id(self.host),
            servers=tuple(record.server_id for record in self.records.all()),
            busy=len(self.lifecycle.busy),
            started_at=self._started_at,
            serial=self._serial,
        )
        return self._report

    async def _keep_reporting(self) -> None:
        while True:
            bind(Context())
            try:
                self.bus.announce(HOSTS, HEARTBEAT, await self._look())
            except DriverError as error:
                LOG.warning("the hypervisor does not answer, so no heartbeat is sent: %s", error)
            except Exception:
                LOG.exception("no heartbeat could be sent; tried again in %.0f s", self.heartbeat_s)
            await self.clock.sleep(self.heartbeat_s)

    async def _keep_registered(self) -> None:
        wait_s = self.register_every_s if self._registered else 1.0
        while True:
            await self.clock.sleep(wait_s)
            bind(Context())
            wait_s = min(wait_s * 2, 30.0)
            try:
                if await self._try_to_register():
                    wait_s = self.register_every_s
                self.images.prune({record.backing for record in self.records.all()})
            except Exception:
                LOG.exception("host %s could not be registered; tried again in %.0f s", self.host, wait_s)

    async def _try_to_register(self) -> bool:
        try:
            answer = await self.bus.call(CONDUCTOR, REGISTER, await self._look())
        except (CallFailed, DriverError) as error:
            LOG.warning("host %s is not registered yet: %s", self.host, error)
            return False
        await self._take_over(answer)
        self._registered = True
        return True

    async def _take_over(self, answer: Registered) -> None:
        """Make ours what the conductor knows: guests whose record we lost, and guests that are deleted."""
        for wanted in answer.wanted:
            if self.records.get(wanted.server_id) is None:
                found = self.images.find(wanted.order.image) if wanted.order.image.image_id else None
                self.records.put(
                    Record(
                        server_id=wanted.server_id,
                        ticket=(0, 0),
                        order=wanted.order,
                        is_to_run=wanted.is_to_run,
                        backing=found.path if found else "",
                    )
                )
        for server_id in answer.gone:
            if server_id in self.lifecycle.busy:
                continue
            LOG.warning("server %s was deleted while this host was away: removing its guest", server_id)
            try:
                await self.driver.destroy(server_id)
            except DriverError as error:
                LOG.error("server %s: the guest could not be removed: %s", server_id, error)
                continue
            record = self.records.get(server_id)
            self.records.remove(server_id, record.ticket if record is not None else (0, 0))

    def _hear(self, event: GuestEvent) -> None:
        if event.uuid in self.lifecycle.busy:
            return  # we are doing it ourselves; the answer to the call tells
        if not self._events.full():
            self._events.put_nowait(event)

    async def _tell_events(self) -> None:
        while True:
            event = await self._events.get()
            bind(Context())
            try:
                await self._tell_power(event.uuid)
            except (CallFailed, DriverError) as failed:
                LOG.info("server %s: nobody heard that its guest %s: %s", event.uuid, event.happening, failed)
            except Exception:
                LOG.exception("server %s: that its guest %s could not be noted", event.uuid, event.happening)

    async def _tell_power(self, server_id: str) -> None:
        """Tell what the guest does now: an event may be older than what we did to the guest since."""
        state = await self.driver.guest_state(server_id)
        if state is None or server_id in self.lifecycle.busy:
            return
        power = int(state.power_state)
        await self.bus.call(
            CONDUCTOR, POWER_CHANGED, PowerChanged(host=self.host, server_id=server_id, power_state=power)
        )
        self.lifecycle.note_seen_power(server_id, power)
