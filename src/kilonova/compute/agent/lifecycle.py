"""What an agent does to guests when it is called: every handler looks first, so doing it twice is doing it once.

Work on one guest is done one thing at a time. A call with an old ticket is refused: it comes from a conductor that
was given up, and what it wants is no longer wanted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import msgspec

from kilonova.compute.agent.config_drive import write_config_drive
from kilonova.compute.agent.guest_spec import disk_count, guest_spec, nic_spec
from kilonova.compute.agent.images import ImageCache
from kilonova.compute.agent.records import Record, Records
from kilonova.compute.calls import (
    AskGuest,
    ChangeNic,
    ConsoleEndpoint,
    ConsoleText,
    Diagnostics,
    Done,
    GuestOrder,
    GuestReport,
    Guests,
    OnGuest,
    OpenConsole,
    Picture,
    Power,
    ReadConsole,
    Spawn,
    Ticket,
)
from kilonova.compute.metadata.documents import config_drive_tree
from kilonova.compute.model.trace import hop
from kilonova.compute.virt.driver import (
    BackingImage,
    Driver,
    DriverError,
    GuestSpec,
    NoSuchGuest,
    PowerState,
    Transient,
)
from kilonova.kernel.errors import Conflict, Error, NotFound, ServiceUnavailable

LOG = logging.getLogger(__name__)

_CONSOLE_BYTES = 100 * 1024
_STARTS_AT_ONCE = 4


class GuestFailed(Error):
    """The driver could not do it. ``code`` names the driver's error."""

    text = "{why}"


class GuestBusy(ServiceUnavailable):
    """The driver says that it may work later."""

    text = "{why}"


class GuestGone(NotFound):
    text = "The host has no guest {server_id}."


class TicketTooOld(Conflict):
    text = "Server {server_id} has been given to another worker since ({ticket}); nothing was done."


@dataclass(slots=True)
class Lifecycle:
    """The handlers of calls.py on one host. ``stop_timeout_s``: what a guest gets to power off by itself."""

    host: str
    driver: Driver
    records: Records
    images: ImageCache
    stop_timeout_s: float = 60.0
    reboot_timeout_s: float = 120.0
    busy: set[str] = field(default_factory=set)
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    # -- life and death

    async def spawn(self, call: Spawn) -> GuestReport:
        """Make a guest and start it; one that is there already is only reported."""
        order = call.order
        async with self._at(order.server_id, call.ticket):
            there = await self.driver.guest_state(order.server_id)
            if there is not None and there.power_state == PowerState.RUNNING:
                self._remember(order, call.ticket, is_to_run=True)
                return GuestReport(server_id=order.server_id, power_state=there.power_state)
            LOG.info("%s: server %s as %s", hop("13-19"), order.server_id, order.guest_name)
            backing = await self._backing(order, call.image_ticket)
            about = order.image.image_id if backing is not None else "none: simulated guests have no disk"
            LOG.info("%s: server %s, image %s", hop("20-22"), order.server_id, about)
            # Remembered before it is made: whatever comes of it can be found and removed.
            self._remember(order, call.ticket, is_to_run=True, backing=backing.path if backing else "")
            await self._write_config_drive(order)
            await self.driver.spawn(self._spec(order, backing))
            LOG.info("%s: server %s", hop("29"), order.server_id)
            return await self._report(order.server_id)

    async def destroy(self, call: OnGuest) -> Done:
        """Leave nothing of a guest."""
        async with self._at(call.server_id, call.ticket):
            await self.driver.destroy(call.server_id)
            self.records.remove(call.server_id, call.ticket)
            LOG.info("server %s: the guest is gone", call.server_id)
        return Done()

    # -- power

    async def power(self, call: Power) -> GuestReport:
        """Change what a guest does; its state afterwards."""
        guest = call.guest
        async with self._at(guest.server_id, guest.ticket):
            if guest.order is not None:
                await self._redefine(guest.order, guest.ticket)
            await getattr(self, f"_{call.what}")(guest)
            is_to_run = call.what != "stop"
            self._note_run(guest.server_id, guest.ticket, is_to_run)
            LOG.info("server %s: %s done", guest.server_id, call.what)
            return await self._report(guest.server_id)

    async def _start(self, guest: OnGuest) -> None:
        await self.driver.start(await self._known_spec(guest.server_id))

    async def _stop(self, guest: OnGuest) -> None:
        state = await self.driver.guest_state(guest.server_id)
        if state is None:
            raise GuestGone(server_id=guest.server_id)
        if state.power_state == PowerState.RUNNING:
            await self.driver.shutdown(guest.server_id, timeout_s=self.stop_timeout_s)
        elif state.power_state not in (PowerState.SHUTDOWN, PowerState.CRASHED):
            await self.driver.power_off(guest.server_id)

    async def _reboot_soft(self, guest: OnGuest) -> None:
        spec = await self._known_spec(guest.server_id)
        state = await self.driver.guest_state(guest.server_id)
        running = state is not None and state.power_state == PowerState.RUNNING
        if running and await self.driver.reboot_soft(spec, timeout_s=self.reboot_timeout_s):
            return
        LOG.info("server %s: did not power off by itself; rebooting it hard", guest.server_id)
        await self.driver.reboot_hard(spec)

    async def _reboot_hard(self, guest: OnGuest) -> None:
        record = self.records.get(guest.server_id)
        if record is not None and record.order is not None:
            await self._write_config_drive(record.order, only_if_missing=True)
        await self.driver.reboot_hard(await self._known_spec(guest.server_id))

    async def _pause(self, guest: OnGuest) -> None:
        if not await self._is(guest.server_id, PowerState.PAUSED):
            await self.driver.pause(guest.server_id)

    async def _unpause(self, guest: OnGuest) -> None:
        if not await self._is(guest.server_id, PowerState.RUNNING):
            await self.driver.unpause(guest.server_id)

    async def _suspend(self, guest: OnGuest) -> None:
        if not await self._is(guest.server_id, PowerState.SUSPENDED):
            await self.driver.suspend(guest.server_id)

    async def _resume(self, guest: OnGuest) -> None:
        if not await self._is(guest.server_id, PowerState.RUNNING):
            await self.driver.resume(await self._known_spec(guest.server_id))

    # -- devices

    async def attach_nic(self, call: ChangeNic) -> Done:
        """Give the guest one more card; one that it has already is left as it is."""
        async with self._at(call.server_id, call.ticket):
            order = self._order(call.server_id)
            if all(nic.port_id != call.nic.port_id for nic in order.nics):
                await self.driver.attach_nic(call.server_id, nic_spec(call.nic))
                order = msgspec.structs.replace(order, nics=(*order.nics, call.nic))
            self._remember_order(call.server_id, order, call.ticket)
        return Done()

    async def detach_nic(self, call: ChangeNic) -> Done:
        """Take a card away; one that is gone is no error."""
        async with self._at(call.server_id, call.ticket):
            order = self._order(call.server_id)
            if any(nic.port_id == call.nic.port_id for nic in order.nics):
                await self.driver.detach_nic(call.server_id, nic_spec(call.nic))
                nics = tuple(nic for nic in order.nics if nic.port_id != call.nic.port_id)
                order = msgspec.structs.replace(order, nics=nics)
            self._remember_order(call.server_id, order, call.ticket)
        return Done()

    # -- looking

    async def guest_state(self, call: AskGuest) -> GuestReport:
        return await self._report(call.server_id)

    async def list_guests(self, _call: Done) -> Guests:
        states = await self.driver.list_guests()
        return Guests(guests=tuple(GuestReport(server_id=s.uuid, power_state=s.power_state) for s in states))

    async def console_log(self, call: ReadConsole) -> ConsoleText:
        with _explained(call.server_id):
            data = await self.driver.console_log(call.server_id, last_bytes=_CONSOLE_BYTES)
        lines = data.decode(errors="replace").splitlines(keepends=True)
        if call.last_lines is not None:
            lines = lines[-call.last_lines :] if call.last_lines else []
        return ConsoleText(text="".join(lines))

    async def console_endpoint(self, call: OpenConsole) -> ConsoleEndpoint:
        with _explained(call.server_id):
            path = await self.driver.console_endpoint(call.server_id, call.kind)
        return ConsoleEndpoint(host=self.host, path=str(path))

    async def screenshot(self, call: AskGuest) -> Picture:
        with _explained(call.server_id):
            media_type, data = await self.driver.screenshot(call.server_id)
        return Picture(media_type=media_type, data=data)

    async def diagnostics(self, call: AskGuest) -> Diagnostics:
        with _explained(call.server_id):
            state = await self.driver.guest_state(call.server_id)
            inventory = await self.driver.inventory()
        if state is None:
            raise GuestGone(server_id=call.server_id)
        record = self.records.get(call.server_id)
        order = record.order if record is not None else None
        return Diagnostics(
            power_state=state.power_state,
            cpu_time_s=state.cpu_time_s,
            vcpus=state.vcpus,
            ram_mib=state.ram_mib,
            hypervisor=inventory.hypervisor_type,
            driver="libvirt" if self.driver.capabilities.real else "fake",
            macs=tuple(nic.mac for nic in order.nics) if order is not None else (),
            disks=disk_count(order) if order is not None else 0,
        )

    # -- at the start of the agent

    async def start_what_is_to_run(self) -> list[str]:
        """Start the guests that ran before the host went down, a few at a time; the ids of those that were started."""
        room = asyncio.Semaphore(_STARTS_AT_ONCE)
        wanted = [record for record in self.records.all() if record.is_to_run and record.order is not None]
        started = await asyncio.gather(*(self._start_again(record, room) for record in wanted))
        return [record.server_id for record, done in zip(wanted, started, strict=True) if done]

    async def _start_again(self, record: Record, room: asyncio.Semaphore) -> bool:
        async with room:
            try:
                async with self._at(record.server_id, record.ticket):
                    state = await self.driver.guest_state(record.server_id)
                    if state is None or state.power_state not in (PowerState.SHUTDOWN, PowerState.CRASHED):
                        return False
                    await self.driver.start(await self._known_spec(record.server_id))
            except Error as error:
                LOG.error("server %s: could not be started again: %s", record.server_id, error.message)
                return False
        LOG.info("server %s: its guest was started again with the host", record.server_id)
        return True

    def note_seen_power(self, server_id: str, power_state: int) -> None:
        """The cloud knows that a guest went off, or on, by itself: it is not (or is) to be started with the host."""
        record = self.records.get(server_id)
        if record is not None and server_id not in self.busy:
            is_off = power_state in (PowerState.SHUTDOWN, PowerState.CRASHED)
            self.records.put(msgspec.structs.replace(record, is_to_run=not is_off))

    # -- parts

    @asynccontextmanager
    async def _at(self, server_id: str, ticket: Ticket) -> AsyncIterator[None]:
        """One thing at a time on one guest, for those who hold its newest ticket; driver errors explained."""
        lock = self._locks.setdefault(server_id, asyncio.Lock())  # it lives as long as somebody holds it or waits
        async with lock:
            if not self.records.admits(server_id, ticket):
                raise TicketTooOld(server_id=server_id, ticket=ticket)
            self.busy.add(server_id)
            try:
                with _explained(server_id):
                    yield
            finally:
                self.busy.discard(server_id)

    async def _report(self, server_id: str) -> GuestReport:
        state = await self.driver.guest_state(server_id)
        if state is None:
            return GuestReport(server_id=server_id, exists=False)
        return GuestReport(server_id=server_id, power_state=int(state.power_state))

    async def _is(self, server_id: str, power_state: PowerState) -> bool:
        state = await self.driver.guest_state(server_id)
        if state is None:
            raise GuestGone(server_id=server_id)
        return state.power_state == power_state

    async def _backing(self, order: GuestOrder, ticket: str) -> BackingImage | None:
        if not order.image.image_id or not self.driver.capabilities.real:
            return None
        return await self.images.ensure(order.image, ticket)

    def _spec(self, order: GuestOrder, backing: BackingImage | None) -> GuestSpec:
        return guest_spec(order, self.driver.guest_dir(order.server_id), backing)

    async def _known_spec(self, server_id: str) -> GuestSpec:
        """The spec of a guest that was made here before; its image is in the cache as long as it is."""
        record = self.records.get(server_id)
        if record is None or record.order is None:
            raise GuestGone(server_id=server_id)
        backing = None
        if record.backing:
            kind = "qcow2" if record.backing.endswith(".qcow2") else "raw"
            backing = BackingImage(record.backing, kind)  # type: ignore[arg-type]
        return self._spec(record.order, backing)

    async def _write_config_drive(self, order: GuestOrder, *, only_if_missing: bool = False) -> None:
        if not order.config_drive or not self.driver.capabilities.real:
            return
        path = self.driver.guest_dir(order.server_id) / "disk.config"
        if not (only_if_missing and path.exists()):
            await asyncio.to_thread(write_config_drive, path, config_drive_tree(order))

    async def _redefine(self, order: GuestOrder, ticket: Ticket) -> None:
        """The cloud's view of the guest replaces ours; where its disk starts from is kept."""
        record = self.records.get(order.server_id)
        if record is None:
            found = self.images.find(order.image) if order.image.image_id else None
            self._remember(order, ticket, is_to_run=True, backing=found.path if found else "")
        else:
            self._remember(order, ticket, is_to_run=record.is_to_run, backing=record.backing)

    def _remember(self, order: GuestOrder, ticket: Ticket, *, is_to_run: bool, backing: str | None = None) -> None:
        if backing is None:
            known = self.records.get(order.server_id)
            backing = known.backing if known is not None else ""
        self.records.put(
            Record(server_id=order.server_id, ticket=ticket, order=order, is_to_run=is_to_run, backing=backing)
        )

    def _remember_order(self, server_id: str, order: GuestOrder, ticket: Ticket) -> None:
        known = self.records.get(server_id)
        self._remember(order, ticket, is_to_run=known.is_to_run if known is not None else True)

    def _note_run(self, server_id: str, ticket: Ticket, is_to_run: bool) -> None:
        record = self.records.get(server_id)
        if record is not None:
            self.records.put(msgspec.structs.replace(record, ticket=ticket, is_to_run=is_to_run))

    def _order(self, server_id: str) -> GuestOrder:
        record = self.records.get(server_id)
        if record is None or record.order is None:
            raise GuestGone(server_id=server_id)
        return record.order


class _explained:
    """Turns what a driver raises into errors that cross the bus with their name."""

    def __init__(self, server_id: str):
        self.server_id = server_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NoSuchGuest):
            raise GuestGone(server_id=self.server_id) from error
        if isinstance(error, Transient):
            raise GuestBusy(why=str(error)) from error
        if isinstance(error, DriverError):
            failed = GuestFailed(why=str(error))
            failed.code = type(error).__name__  # type: ignore[misc]
            raise failed from error
