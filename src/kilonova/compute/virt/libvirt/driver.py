"""The libvirt driver: what the contract asks, as calls on libvirt's domains.

Each change is one piece of blocking work that looks at the domain first, run in a thread. What the guest needs beside
its definition (disks, taps) is made before, at the same time. The definition can always be made again from the spec.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import fromstring

import libvirt

from kilonova.compute.virt.driver import (
    Broken,
    Capabilities,
    DiskFormat,
    DiskSpec,
    GuestEvent,
    GuestSpec,
    GuestState,
    HostInventory,
    Listener,
    Listeners,
    NicSpec,
    NoSuchGuest,
    NotAble,
    PowerState,
    Transient,
    WrongState,
)
from kilonova.compute.virt.libvirt import console_logs, domain_xml, domains, host, images, probe
from kilonova.compute.virt.libvirt.config import Settings
from kilonova.compute.virt.libvirt.connection import Connection
from kilonova.compute.virt.libvirt.daemon import CONSOLES_INSIDE, NAME, QEMU_USER, Place, unprivileged_user
from kilonova.compute.virt.libvirt.domain_xml import NAMESPACE, Firmware, HostChoices
from kilonova.compute.virt.vif import Vifs
from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.process import ChildFailed, Supervisor

LOG = logging.getLogger(__name__)

EMULATOR = "/usr/bin/qemu-system-x86_64"
_UEFI = Firmware("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")
_SECURE_BOOT = Firmware("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd")

_ASK_AGAIN_S = 10.0
"""A guest that was still booting did not hear the first request to power off."""
_LOG_CHECK_S = 20.0
_LETS_GO_S = 20.0
"""How long a guest may take to let go of a device."""


class LibvirtDriver:
    """`directory` holds a folder a guest; `state_dir` the daemon's own things, `run_dir` its pid file; `cloud` marks
    our domains.

    `netns` is where the daemon and its guests live; it is not used with an external `connection_uri`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cloud: str,
        directory: Path,
        state_dir: Path,
        run_dir: Path,
        supervisor: Supervisor,
        vifs: Vifs,
        netns: str | None = None,
        hostname: str | None = None,
        clock: Clock | None = None,
    ):
        self._settings = settings
        self._cloud = cloud
        self._directory = directory
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._supervisor = supervisor
        self._vifs = vifs
        self._netns = netns
        self._hostname = hostname or socket.gethostname()
        self._clock = clock or SystemClock()
        self._chores: asyncio.Task[None] | None = None
        self._place = Place(state_dir / "libvirt")
        self._run_fd: int | None = None
        self._listeners = Listeners()
        self._changed: dict[str, asyncio.Event] = {}
        self._connection: Connection | None = None
        self._host: HostChoices | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.accelerator_note = ""
        """Why guests run under the accelerator they run under: for the operator."""

    # --- life ---

    @property
    def capabilities(self) -> Capabilities:
        chosen = self._host
        return Capabilities(
            real=True,
            pause=True,
            suspend=True,
            attach_nic=True,
            attach_disk=True,
            vnc=True,
            serial=True,
            screenshot=True,
            uefi=chosen is not None and chosen.uefi is not None,
            secure_boot=chosen is not None and chosen.secure_boot is not None,
            accelerated=chosen is not None and chosen.virt_type == "kvm",
        )

    @property
    def disk_format(self) -> DiskFormat:
        return self._settings.disk_format

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        self._host = await self._choose()
        if not self._settings.connection_uri:
            await asyncio.to_thread(self._settle)
            child = self._place.child(
                run_dir=self._run_dir, log_path=self._state_dir / "log" / "libvirtd.log", netns=self._netns
            )
            try:
                await self._supervisor.ensure(child)
            except ChildFailed as error:
                raise Transient(str(error)) from error
            self._run_fd = os.open(self._place.run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._connection = Connection(self._uri, self._listen)
        await self._connection.ask(lambda connection: connection.getVersion())
        self._chores = asyncio.create_task(self._keep_logs_short(), name="console logs")

    async def close(self) -> None:
        if self._chores is not None:
            self._chores.cancel()
            await asyncio.gather(self._chores, return_exceptions=True)
            self._chores = None
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await self._vifs.close()
        if self._run_fd is not None:
            os.close(self._run_fd)
            self._run_fd = None

    async def stop_daemon(self) -> None:
        """End the daemon of our own; guests run on. For taking a cloud down."""
        await self._supervisor.stop(NAME)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def guest_dir(self, uuid: str) -> Path:
        return self._directory / uuid

    # --- what is there ---

    async def inventory(self) -> HostInventory:
        chosen = self._chosen
        return await self._open.ask(lambda c: host.inventory(c, chosen, self._hostname, self._directory))

    async def list_guests(self) -> tuple[GuestState, ...]:
        return await self._open.ask(self._list)

    async def guest_state(self, uuid: str) -> GuestState | None:
        def look(connection: Any) -> GuestState | None:
            domain = self._find(connection, uuid)
            return None if domain is None else domains.state_of(domain)

        return await self._open.ask(look)

    # --- power ---

    async def spawn(self, spec: GuestSpec) -> None:
        state = await self.guest_state(spec.uuid)
        if state is None or state.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
            await self._prepare(spec)
            await self._define_and_start(spec)

    async def start(self, spec: GuestSpec) -> None:
        await self.spawn(spec)

    async def shutdown(self, uuid: str, *, timeout_s: float) -> bool:
        if await self._went_down(uuid, timeout_s):
            return True
        await self.power_off(uuid)
        return False

    async def power_off(self, uuid: str) -> None:
        def pull(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            if domain.hasManagedSaveImage(0):
                domain.managedSaveRemove(0)
            domains.stop(domain)

        await self._open.change(pull)

    async def reboot_soft(self, spec: GuestSpec, *, timeout_s: float) -> bool:
        state = await self.guest_state(spec.uuid)
        if state is None:
            raise NoSuchGuest(spec.uuid)
        if state.power_state is not PowerState.RUNNING:
            raise WrongState(f"Guest {spec.uuid} does not run, so it cannot be asked to reboot.")
        if not await self._went_down(spec.uuid, timeout_s):
            return False
        await self.start(spec)
        return True

    async def reboot_hard(self, spec: GuestSpec) -> None:
        with contextlib.suppress(NoSuchGuest):
            await self.power_off(spec.uuid)
        await self._prepare(spec)
        await self._define_and_start(spec)

    async def pause(self, uuid: str) -> None:
        def freeze(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            if domains.power_state(domain) is not PowerState.PAUSED:
                domain.suspend()

        await self._open.change(freeze)

    async def unpause(self, uuid: str) -> None:
        def thaw(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            if domains.power_state(domain) is not PowerState.RUNNING:
                domain.resume()

        await self._open.change(thaw)

    async def suspend(self, uuid: str) -> None:
        def save(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            if domains.power_state(domain) is not PowerState.SUSPENDED:
                domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)

        await self._open.change(save)

    async def resume(self, spec: GuestSpec) -> None:
        def restore(connection: Any) -> None:
            domain = self._domain(connection, spec.uuid)
            state = domains.power_state(domain)
            if state is PowerState.RUNNING:
                return
            if state is not PowerState.SUSPENDED:
                raise WrongState(f"Guest {spec.uuid} is {state.name.lower()}, not suspended.")
            domain.create()

        await self._plug(spec)
        await self._open.change(restore)

    async def destroy(self, uuid: str, *, keep_files: bool = False) -> None:
        def remove(connection: Any) -> None:
            domain = self._find(connection, uuid)
            if domain is not None:
                domains.stop(domain)
                if not self._settings.connection_uri:
                    self._place.log_of(domain.name()).unlink(missing_ok=True)
                domains.tolerate(lambda: domain.undefineFlags(domains.UNDEFINE), libvirt.VIR_ERR_NO_DOMAIN)

        await self._open.change(remove)
        await self._vifs.unplug_all(uuid)
        await asyncio.to_thread(self._remove_files, uuid, keep_files)

    # --- devices ---

    async def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        def add(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            if nic.mac not in domains.macs(domain):
                domain.attachDeviceFlags(domain_xml.nic(nic), domains.live_or_later(domain))

        await self._require(uuid)
        await self._vifs.plug(uuid, nic)
        await self._open.change(add)

    async def detach_nic(self, uuid: str, nic: NicSpec) -> None:
        await self._detach(uuid, lambda domain: nic.mac in domains.macs(domain), lambda domain: domain_xml.nic(nic))
        await self._vifs.unplug(nic)

    async def attach_disk(self, uuid: str, disk: DiskSpec) -> None:
        def add(connection: Any) -> None:
            domain = self._domain(connection, uuid)
            taken = domains.disks(domain)
            if disk.path not in taken:
                xml = domain_xml.disk(disk, domain_xml.free_target(disk.bus, taken.values()))
                domain.attachDeviceFlags(xml, domains.live_or_later(domain))

        await self._require(uuid)
        await images.make_disk(disk)
        await self._open.change(add)

    async def detach_disk(self, uuid: str, disk: DiskSpec) -> None:
        def xml(domain: Any) -> str:
            return domain_xml.disk(disk, domains.disks(domain)[disk.path])

        await self._detach(uuid, lambda domain: disk.path in domains.disks(domain), xml)

    # --- consoles ---

    async def console_log(self, uuid: str, *, last_bytes: int) -> bytes:
        await self._require(uuid)
        return await asyncio.to_thread(_tail, self.guest_dir(uuid) / console_logs.NAME, last_bytes)

    async def console_endpoint(self, uuid: str, kind: Literal["vnc", "serial"]) -> Path:
        state = await self.guest_state(uuid)
        if state is None:
            raise NoSuchGuest(uuid)
        path = self._consoles / f"{uuid}.{kind}"
        runs = state.power_state in (PowerState.RUNNING, PowerState.PAUSED)
        if not runs or not await asyncio.to_thread(path.is_socket):
            raise WrongState(f"Guest {uuid} has no {kind} console now; it is {state.power_state.name.lower()}.")
        return path

    async def screenshot(self, uuid: str) -> tuple[str, bytes]:
        def shoot(connection: Any) -> tuple[str, bytes]:
            stream = connection.newStream()
            kind = self._domain(connection, uuid).screenshot(stream, 0)
            parts = []
            while part := stream.recv(1 << 18):
                parts.append(part)
            stream.finish()
            return kind, b"".join(parts)

        return await self._open.change(shoot)

    # --- within: the daemon ---

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            raise Transient("The libvirt driver is not open.")
        return self._connection

    @property
    def _chosen(self) -> HostChoices:
        if self._host is None:
            raise Transient("The libvirt driver is not open.")
        return self._host

    @property
    def _consoles(self) -> Path:
        return self._state_dir / "consoles" if self._settings.connection_uri else self._place.consoles

    def _uri(self) -> str:
        """Our own daemon's socket, through a descriptor of its folder: names of sockets may have 107 characters."""
        if self._settings.connection_uri:
            return self._settings.connection_uri
        return f"qemu:///system?socket=/proc/self/fd/{self._run_fd}/{self._place.socket.name}"

    async def _choose(self) -> HostChoices:
        settings = self._settings
        virt_type: Literal["kvm", "qemu"]
        if settings.virt_type == "auto":
            virt_type, verdict = await probe.virt_type(self._state_dir / "accelerator.json", EMULATOR)
            self.accelerator_note = verdict.why
            LOG.info("libvirt: guests run under %s: %s", virt_type, verdict.why)
        else:
            virt_type = settings.virt_type
            self.accelerator_note = "as configured in [libvirt] virt_type"
        if settings.connection_uri:
            await asyncio.to_thread(self._consoles.mkdir, parents=True, exist_ok=True)
        arch = os.uname().machine
        return HostChoices(
            cloud=self._cloud,
            virt_type=virt_type,
            emulator=EMULATOR,
            consoles=str(self._consoles) if settings.connection_uri else CONSOLES_INSIDE,
            arch=arch,
            cpu_mode=settings.cpu_mode,
            cpu_models=settings.cpu_models,
            machine=dict(settings.machines).get(arch),
            uefi=_installed(_UEFI),
            secure_boot=_installed(_SECURE_BOOT),
            pcie_ports=settings.pcie_ports,
            tb_cache_mib=settings.tb_cache_mib,
            rng_path=settings.rng_path,
            memory_stats_period_s=settings.memory_stats_period_s,
        )

    async def _keep_logs_short(self) -> None:
        while True:
            await self._clock.sleep(_LOG_CHECK_S)
            await asyncio.to_thread(console_logs.shorten_all, self._directory)

    def _settle(self) -> None:
        """Choose whom guests run as, and write the daemon's configuration."""
        kvm = self._chosen.virt_type == "kvm"
        user = unprivileged_user(self._directory, needs_kvm=kvm)
        if user is None:
            LOG.warning("libvirt: guests run as root: there is no %s, or it cannot get at what they need", QEMU_USER)
        self._place = Place(self._place.root, user or "root", hide_kvm=user is not None and not kvm)
        self._place.prepare()

    def _listen(self, connection: Any) -> None:
        """In a thread, once a connection."""
        kind = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        connection.domainEventRegisterAny(None, kind, self._heard, None)

    def _heard(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        """In libvirt's thread."""
        told = domains.told(domain, event, detail)
        if told is None or self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._tell, told)

    def _tell(self, event: GuestEvent) -> None:
        waiting = self._changed.get(event.uuid)
        if waiting is not None:
            waiting.set()
        self._listeners.tell(event)

    # --- within: domains ---

    def _find(self, connection: Any, uuid: str) -> Any | None:
        """The domain of a guest; a domain that another cloud has under this uuid is none of ours."""
        try:
            domain = connection.lookupByUUIDString(uuid)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
                return None
            raise
        return domain if self._is_ours(domain) else None

    def _domain(self, connection: Any, uuid: str) -> Any:
        domain = self._find(connection, uuid)
        if domain is None:
            raise NoSuchGuest(uuid)
        return domain

    async def _require(self, uuid: str) -> None:
        await self._open.ask(lambda connection: self._domain(connection, uuid))

    def _is_ours(self, domain: Any) -> bool:
        if not self._settings.connection_uri:
            return True
        try:
            text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
        except libvirt.libvirtError:
            return False
        return fromstring(text).get("cloud") == self._cloud  # noqa: S314 - what we wrote, as libvirt keeps it

    def _list(self, connection: Any) -> tuple[GuestState, ...]:
        wanted = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
        wanted |= libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU
        found = []
        for domain, stats in connection.getAllDomainStats(wanted, 0):
            if self._is_ours(domain):
                found.append(
                    GuestState(
                        uuid=domain.UUIDString(),
                        name=domain.name(),
                        power_state=domains.as_power_state(domain, stats["state.state"], stats["state.reason"]),
                        vcpus=stats.get("vcpu.maximum", 0),
                        ram_mib=stats.get("balloon.maximum", 0) >> 10,
                        cpu_time_s=stats.get("cpu.time", 0) / 1e9,
                    )
                )
        return tuple(found)

    async def _prepare(self, spec: GuestSpec) -> None:
        """What must be there before the guest is: its folder, disks, and interfaces."""
        await asyncio.to_thread(self.guest_dir(spec.uuid).mkdir, parents=True, exist_ok=True)
        made = await asyncio.gather(
            self._plug(spec), *(images.make_disk(disk) for disk in spec.disks), return_exceptions=True
        )
        for failure in made:
            if failure is not None:
                raise failure

    async def _plug(self, spec: GuestSpec) -> None:
        for nic in spec.nics:
            await self._vifs.plug(spec.uuid, nic)

    async def _define_and_start(self, spec: GuestSpec) -> None:
        if spec.firmware == "uefi":
            flags = self.capabilities
            if not (flags.secure_boot if spec.secure_boot else flags.uefi):
                raise NotAble("This host has no UEFI firmware for that (the package ovmf is not installed).")
        xml = domain_xml.domain(spec, self._chosen, self.guest_dir(spec.uuid))

        def define(connection: Any) -> None:
            before = self._find(connection, spec.uuid)
            if before is not None and before.isActive():
                return
            if before is not None and before.hasManagedSaveImage(0):
                before.managedSaveRemove(0)
            domain = connection.defineXML(xml)
            domains.tolerate(domain.create, libvirt.VIR_ERR_OPERATION_INVALID)

        await self._open.change(define)

    async def _went_down(self, uuid: str, timeout_s: float) -> bool:
        """Ask the guest to power off, again each 10 s, and wait for the event that it did."""

        def press(connection: Any) -> bool:
            domain = self._domain(connection, uuid)
            state = domains.power_state(domain)
            if state is PowerState.RUNNING:
                domains.tolerate(
                    lambda: domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
                    libvirt.VIR_ERR_OPERATION_INVALID,
                )
            return state in (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED)

        until = self._clock.monotonic() + timeout_s
        changed = self._changed[uuid] = asyncio.Event()
        try:
            while not await self._open.change(press):
                left_s = until - self._clock.monotonic()
                if left_s <= 0:
                    return False
                changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, _ASK_AGAIN_S)):
                        await changed.wait()
            return True
        finally:
            self._changed.pop(uuid, None)

    async def _detach(self, uuid: str, is_there: Callable[[Any], bool], xml: Callable[[Any], str]) -> None:
        """Ask the guest to let go, and look until it has; ask again each second, for it may have been busy."""

        def ask(connection: Any) -> bool:
            domain = self._domain(connection, uuid)
            if not is_there(domain):
                return True
            try:
                domain.detachDeviceFlags(xml(domain), domains.live_or_later(domain))
            except libvirt.libvirtError as error:
                busy = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING)
                if error.get_error_code() not in busy:
                    raise
            return not is_there(domain)

        until = self._clock.monotonic() + _LETS_GO_S
        while not await self._open.change(ask):
            if self._clock.monotonic() > until:
                raise Transient(f"Guest {uuid} does not let go of the device.")
            for _ in range(10):
                await self._clock.sleep(0.1)
                if await self._open.ask(lambda connection: not is_there(self._domain(connection, uuid))):
                    return

    def _remove_files(self, uuid: str, keep_files: bool) -> None:
        for kind in ("vnc", "serial"):
            (self._consoles / f"{uuid}.{kind}").unlink(missing_ok=True)
        if not keep_files:
            try:
                shutil.rmtree(self.guest_dir(uuid))
            except FileNotFoundError:
                return
            except OSError as error:
                raise Broken(f"The files of guest {uuid} cannot be removed: {error}") from error


def _tail(path: Path, last_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - last_bytes))
            return file.read(last_bytes)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Broken(f"The console log {path} cannot be read: {error.strerror}") from error


def _installed(firmware: Firmware) -> Firmware | None:
    return firmware if os.path.exists(firmware.code) and os.path.exists(firmware.variables) else None
