"""The reference driver: guests that exist in memory and in one small file each, and execute nothing.

It keeps the contract to the letter (the conformance suite runs on it first), needs no privilege, and
answers at once. Guests survive a restart of the agent: each state is a file in the guest's directory,
written before it counts, and read again by `open`. Disks are not made; the directory is, and goes with
the guest.

For tests there are public knobs: `fail` and `hold` on the next call of a method, and what guests do by
themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from kilonova.compute.virt.driver import (
    Capabilities,
    DiskSpec,
    GuestEvent,
    GuestSpec,
    GuestState,
    Happening,
    HostInventory,
    Listener,
    Listeners,
    NicSpec,
    NoSuchGuest,
    NotAble,
    PowerState,
    WrongState,
)
from kilonova.compute.virt.fake_consoles import FakeConsoles

RUNNING, PAUSED = PowerState.RUNNING, PowerState.PAUSED
SHUTDOWN, CRASHED, SUSPENDED = PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED

STATE_FILE = "guest.json"


@dataclass(frozen=True, slots=True)
class FakeGuest:
    """What is kept of a guest, on disk as well."""

    spec: GuestSpec
    power_state: PowerState
    console: str = ""
    starts: int = 0


@dataclass(slots=True)
class Knobs:
    """What a test may turn. `fail["spawn"]` is raised by the next spawn (a list: by the next ones);
    `hold["spawn"]` makes every spawn wait for the event. `ignores_shutdown` names guests whose system
    does not react to a request.
    """

    fail: dict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    hold: dict[str, asyncio.Event] = field(default_factory=dict)
    ignores_shutdown: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class FakeMachine:
    """The size of the pretended machine."""

    hostname: str = "fake-host"
    vcpus: int = 1000
    ram_mib: int = 8_000_000
    disk_gib: int = 600_000


class FakeDriver:
    """`directory` holds a directory a guest; the same one at the next start finds the guests again."""

    def __init__(self, directory: Path, machine: FakeMachine | None = None):
        self.knobs = Knobs()
        self.calls: list[tuple[str, str]] = []
        """(method, uuid) of every call that changes a guest, in order: for tests to look at."""
        self._directory = directory
        self._machine = machine or FakeMachine()
        self._guests: dict[str, FakeGuest] = {}
        self._listeners = Listeners()
        self._consoles = FakeConsoles()

    capabilities = Capabilities(
        real=False,
        vnc=True,
        serial=True,
        pause=True,
        suspend=True,
        attach_nic=True,
        attach_disk=True,
        uefi=True,
        secure_boot=True,
    )

    # --- life ---

    async def open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._guests = {}
        for path in self._directory.glob(f"*/{STATE_FILE}"):
            guest = msgspec.json.decode(path.read_bytes(), type=FakeGuest)
            self._guests[guest.spec.uuid] = guest

    async def close(self) -> None:
        self._consoles.close()
        self._guests = {}

    def subscribe(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def guest_dir(self, uuid: str) -> Path:
        return self._directory / uuid

    # --- what is there ---

    async def inventory(self) -> HostInventory:
        machine = self._machine
        guests = self._guests.values()
        return HostInventory(
            hostname=machine.hostname,
            hypervisor_type="fake",
            hypervisor_version=1_000_000,
            vcpus=machine.vcpus,
            ram_mib=machine.ram_mib,
            ram_used_mib=sum(guest.spec.ram_mib for guest in guests),
            disk_gib=machine.disk_gib,
            disk_used_gib=sum(disk.size_bytes for guest in guests for disk in guest.spec.disks) >> 30,
            cpu_info={
                "arch": "x86_64",
                "model": "fake",
                "vendor": "Kilonova",
                "features": [],
                "topology": {"cells": 1, "sockets": 1, "cores": machine.vcpus, "threads": 1},
            },
            supported=(("x86_64", "fake", "hvm"),),
            traits=frozenset({"COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"}),
            uptime_s=_machine_uptime_s(),
        )

    async def list_guests(self) -> tuple[GuestState, ...]:
        return tuple(_seen(guest) for guest in self._guests.values())

    async def guest_state(self, uuid: str) -> GuestState | None:
        guest = self._guests.get(uuid)
        return None if guest is None else _seen(guest)

    def spec(self, uuid: str) -> GuestSpec:
        """What a guest was last defined as: for tests to look at."""
        return self._guest(uuid).spec

    # --- power ---

    async def spawn(self, spec: GuestSpec) -> None:
        await self._begin("spawn", spec.uuid)
        self.guest_dir(spec.uuid).mkdir(parents=True, exist_ok=True)
        self._boot(spec)

    async def start(self, spec: GuestSpec) -> None:
        await self._begin("start", spec.uuid)
        self._boot(spec)

    async def shutdown(self, uuid: str, *, timeout_s: float) -> bool:
        await self._begin("shutdown", uuid)
        guest = self._guest(uuid)
        went = guest.power_state is not RUNNING or uuid not in self.knobs.ignores_shutdown
        self._off(guest, "The system is going down for power off.\n" if went else "")
        return went

    async def power_off(self, uuid: str) -> None:
        await self._begin("power_off", uuid)
        self._off(self._guest(uuid))

    async def reboot_soft(self, spec: GuestSpec, *, timeout_s: float) -> bool:
        await self._begin("reboot_soft", spec.uuid)
        if self._guest(spec.uuid).power_state is not RUNNING:
            raise WrongState(f"Guest {spec.uuid} does not run, so it cannot be asked to reboot.")
        if spec.uuid in self.knobs.ignores_shutdown:
            return False
        self._off(self._guest(spec.uuid))
        self._boot(spec)
        return True

    async def reboot_hard(self, spec: GuestSpec) -> None:
        await self._begin("reboot_hard", spec.uuid)
        if spec.uuid in self._guests:
            self._off(self._guests[spec.uuid])
        self._boot(spec)

    async def pause(self, uuid: str) -> None:
        await self._begin("pause", uuid)
        self._switch(uuid, RUNNING, PAUSED, Happening.PAUSED)

    async def unpause(self, uuid: str) -> None:
        await self._begin("unpause", uuid)
        self._switch(uuid, PAUSED, RUNNING, Happening.RESUMED)

    async def suspend(self, uuid: str) -> None:
        await self._begin("suspend", uuid)
        self._switch(uuid, RUNNING, SUSPENDED, Happening.SUSPENDED)

    async def resume(self, spec: GuestSpec) -> None:
        await self._begin("resume", spec.uuid)
        self._switch(spec.uuid, SUSPENDED, RUNNING, Happening.RESUMED)

    async def destroy(self, uuid: str, *, keep_files: bool = False) -> None:
        await self._begin("destroy", uuid)
        guest = self._guests.get(uuid)
        if guest is not None:
            self._off(guest)
        with contextlib.suppress(FileNotFoundError):
            if keep_files:
                (self.guest_dir(uuid) / STATE_FILE).unlink()
            else:
                shutil.rmtree(self.guest_dir(uuid))
        self._guests.pop(uuid, None)

    # --- devices ---

    async def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        await self._begin("attach_nic", uuid)
        spec = self._guest(uuid).spec
        others = tuple(one for one in spec.nics if one.port_id != nic.port_id)
        self._redefine(uuid, replace(spec, nics=(*others, nic)))

    async def detach_nic(self, uuid: str, nic: NicSpec) -> None:
        await self._begin("detach_nic", uuid)
        spec = self._guest(uuid).spec
        self._redefine(uuid, replace(spec, nics=tuple(n for n in spec.nics if n.port_id != nic.port_id)))

    async def attach_disk(self, uuid: str, disk: DiskSpec) -> None:
        await self._begin("attach_disk", uuid)
        spec = self._guest(uuid).spec
        others = tuple(one for one in spec.disks if one.path != disk.path)
        self._redefine(uuid, replace(spec, disks=(*others, disk)))

    async def detach_disk(self, uuid: str, disk: DiskSpec) -> None:
        await self._begin("detach_disk", uuid)
        spec = self._guest(uuid).spec
        self._redefine(uuid, replace(spec, disks=tuple(d for d in spec.disks if d.path != disk.path)))

    # --- consoles ---

    async def console_log(self, uuid: str, *, last_bytes: int) -> bytes:
        text = self._guest(uuid).console.encode()
        return text[max(0, len(text) - last_bytes) :]

    async def console_endpoint(self, uuid: str, kind: Literal["vnc", "serial"]) -> Path:
        if self._guest(uuid).power_state not in (RUNNING, PAUSED):
            raise WrongState(f"Guest {uuid} has no {kind} console now; it does not run.")
        path = self.guest_dir(uuid) / f"{kind}.sock"
        return await self._consoles.open(path, kind, lambda: self._guest(uuid).console.encode())

    async def screenshot(self, uuid: str) -> tuple[str, bytes]:
        self._guest(uuid)
        raise NotAble("Guests of the fake hypervisor have no screen.")

    # --- what guests do by themselves: for tests ---

    def guest_powers_off(self, uuid: str) -> None:
        """As if someone had typed `poweroff` in the guest."""
        self._off(self._guest(uuid))

    def guest_crashes(self, uuid: str) -> None:
        self._keep(replace(self._guest(uuid), power_state=CRASHED))
        self._listeners.tell(GuestEvent(uuid, Happening.CRASHED, CRASHED))

    def guest_vanishes(self, uuid: str) -> None:
        """As if an operator had removed it behind our back."""
        del self._guests[uuid]
        (self.guest_dir(uuid) / STATE_FILE).unlink(missing_ok=True)

    # --- within ---

    async def _begin(self, method: str, uuid: str) -> None:
        self.calls.append((method, uuid))
        if method in self.knobs.hold:
            await self.knobs.hold[method].wait()
        if self.knobs.fail[method]:
            raise self.knobs.fail[method].pop(0)

    def _guest(self, uuid: str) -> FakeGuest:
        try:
            return self._guests[uuid]
        except KeyError:
            raise NoSuchGuest(uuid) from None

    def _keep(self, guest: FakeGuest) -> None:
        """On disk first (whole or not at all), then in memory."""
        path = self.guest_dir(guest.spec.uuid) / STATE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(guest))
        os.replace(beside, path)
        self._guests[guest.spec.uuid] = guest

    def _boot(self, spec: GuestSpec) -> None:
        before = self._guests.get(spec.uuid)
        if before is not None and before.power_state in (RUNNING, PAUSED):
            return
        starts = 1 if before is None else before.starts + 1
        console = "" if before is None else before.console
        console += f"[    0.000000] {spec.name}: start {starts}\n{spec.name} login: "
        self._keep(FakeGuest(spec, RUNNING, console, starts))
        self._listeners.tell(GuestEvent(spec.uuid, Happening.STARTED, RUNNING))

    def _off(self, guest: FakeGuest, last_words: str = "") -> None:
        self._consoles.close(self.guest_dir(guest.spec.uuid))
        if guest.power_state is SHUTDOWN:
            return
        self._keep(replace(guest, power_state=SHUTDOWN, console=guest.console + last_words))
        self._listeners.tell(GuestEvent(guest.spec.uuid, Happening.STOPPED, SHUTDOWN))

    def _switch(self, uuid: str, before: PowerState, after: PowerState, happening: Happening) -> None:
        guest = self._guest(uuid)
        if guest.power_state is after:
            return
        if guest.power_state is not before:
            state = guest.power_state.name.lower()
            raise WrongState(f"Guest {uuid} is {state}; only one that is {before.name.lower()} can be {happening}.")
        self._keep(replace(guest, power_state=after))
        self._listeners.tell(GuestEvent(uuid, happening, after))

    def _redefine(self, uuid: str, spec: GuestSpec) -> None:
        self._keep(replace(self._guest(uuid), spec=spec))


def _seen(guest: FakeGuest) -> GuestState:
    spec = guest.spec
    return GuestState(spec.uuid, spec.name, guest.power_state, spec.vcpus, spec.ram_mib)


def _machine_uptime_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])
