"""The contract between an agent and a hypervisor, and the plain values that cross it.

A driver knows guests, files and devices; it knows no project, no token, no database, no other service.
Every method is async and idempotent: it looks at the world first, so doing it twice is doing it once. A
method does what it says, or raises one of the three errors below; `Capabilities` says beforehand what
the driver is able to do, and the conformance suite (tests/compute/drivers) compares the two.

Guests outlive the agent. A driver that starts finds them again by uuid; nothing that matters is kept in
our memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Literal, Protocol


class DriverError(Exception):
    """Base of what a driver raises; the text is for the operator and for the server's fault."""


class NotAble(DriverError):
    """This hypervisor cannot do it here; trying again does not help, another host might."""


class Transient(DriverError):
    """It could not be done now (the hypervisor does not answer, a device is busy); the same call may
    work later.
    """


class Broken(DriverError):
    """It failed, and will fail again until something is repaired: a missing file, a refused definition."""


class NoSuchGuest(Broken):
    """The hypervisor has no guest of this uuid."""

    def __init__(self, uuid: str):
        super().__init__(f"The hypervisor has no guest {uuid}.")


class WrongState(Broken):
    """The guest is not in a state in which this can be done (for example pausing one that is off)."""


# --- what is wanted ---

DiskFormat = Literal["raw", "qcow2"]
DiskBus = Literal["virtio", "scsi", "ide", "sata", "usb"]
NicModel = Literal["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3", "ne2k_pci"]


@dataclass(frozen=True, slots=True)
class BackingImage:
    """A file that a disk starts from; it is never written. `format` is known, never guessed from the
    content.
    """

    path: str
    format: DiskFormat


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk of a guest. `spawn` makes the file when it does not exist: from `backing` (copy on write
    or a full copy, as the host is configured), or empty; grown to `size_bytes` (0: as large as its
    backing image).

    `boot_order` 1 boots first; None does not boot. `serial` is what the guest sees in /dev/disk/by-id,
    20 characters. `owned` False: the file belongs to someone else (a volume): it must exist, and
    destroy leaves it.
    """

    path: str
    format: DiskFormat
    size_bytes: int = 0
    backing: BackingImage | None = None
    bus: DiskBus = "virtio"
    device: Literal["disk", "cdrom"] = "disk"
    boot_order: int | None = None
    serial: str | None = None
    read_only: bool = False
    owned: bool = True


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network interface: the tap that the driver makes, plugs into `bridge` and gives to the guest.

    `vnet_hdr` False: the dataplane cannot take unfinished checksums; the guest must not be offered
    offloads. It comes from the port's binding, as do `bridge` and `mtu` (bytes).
    """

    port_id: str
    mac: str
    tap: str
    mtu: int = 1500
    model: NicModel = "virtio"
    vnet_hdr: bool = True
    bridge: str = "br-int"


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """All a driver needs to know to run a guest; complete, so a guest can be made again from it at any
    time.

    `name` is unique on the host and short (`instance-00000001`). `title` and `labels` are shown to an
    operator who looks at the hypervisor and mean nothing to the driver. The first disk is the system
    disk unless `boot_order` says otherwise. `config_drive` is a file that exists: `iso` is shown as a
    CD-ROM, `vfat` as a disk. With `kernel` the guest boots it directly, with `ramdisk` and
    `kernel_args`. `machine` None: what the host is configured for.
    """

    uuid: str
    name: str
    vcpus: int
    ram_mib: int
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    title: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    config_drive: str | None = None
    config_drive_format: Literal["iso", "vfat"] = "iso"
    firmware: Literal["bios", "uefi"] = "bios"
    secure_boot: bool = False
    machine: str | None = None
    kernel: str | None = None
    ramdisk: str | None = None
    kernel_args: str = ""
    rng: bool = True
    agent_channel: bool = True
    video: Literal["virtio", "vga", "cirrus", "qxl", "none"] = "virtio"


# --- what is there ---


class PowerState(IntEnum):
    """What the hypervisor says of a guest. The numbers are those that the cloud shows, so they may be compared."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


@dataclass(frozen=True, slots=True)
class GuestState:
    """A guest as the hypervisor sees it now. `cpu_time_s` is what it has used since its start."""

    uuid: str
    name: str
    power_state: PowerState
    vcpus: int = 0
    ram_mib: int = 0
    cpu_time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HostInventory:
    """What the machine has in all (not what is free), and what kind of hypervisor it is.

    `hypervisor_version` is major * 1,000,000 + minor * 1,000 + micro. `supported` rows are
    (architecture, hypervisor, mode), for example ("x86_64", "qemu", "hvm"). `disk_*` are those of the
    file system that holds the guests' disks. `cpu_info` is JSON-able: arch, model, vendor, topology
    (cells, sockets, cores, threads), features. `traits` are names of os-traits. `uptime_s` is the
    machine's.
    """

    hostname: str
    hypervisor_type: str
    hypervisor_version: int
    vcpus: int
    ram_mib: int
    ram_used_mib: int
    disk_gib: int
    disk_used_gib: int
    cpu_info: dict[str, object]
    supported: tuple[tuple[str, str, str], ...]
    traits: frozenset[str]
    uptime_s: float


class Happening(StrEnum):
    """What a guest did, by itself or because it was told to."""

    STARTED = "started"
    STOPPED = "stopped"
    CRASHED = "crashed"
    PAUSED = "paused"
    RESUMED = "resumed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """Something happened to a guest. A hint: events can be lost, so a sweep asks `list_guests` as well."""

    uuid: str
    happening: Happening
    power_state: PowerState


Listener = Callable[[GuestEvent], None]
"""Called in the agent's event loop; must return at once."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the driver is able to do here. A False flag means: the method raises NotAble."""

    real: bool
    """Guests execute code."""
    pause: bool = False
    suspend: bool = False
    attach_nic: bool = False
    attach_disk: bool = False
    vnc: bool = False
    serial: bool = False
    screenshot: bool = False
    uefi: bool = False
    secure_boot: bool = False
    accelerated: bool = False
    """Guests run on the processor itself (KVM), not in emulation."""


class Driver(Protocol):
    """A hypervisor. Methods name guests by uuid; the ones that may have to (re)make it take its whole
    spec.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self) -> None:
        """Reach the hypervisor (starting its daemon when it is ours) and find the guests again. Raises
        Transient.
        """

    async def close(self) -> None:
        """Let go of the hypervisor. Guests run on."""

    def subscribe(self, listener: Listener) -> None:
        """Be told when guests start, stop, crash ... from now on."""

    def guest_dir(self, uuid: str) -> Path:
        """Where the files of a guest are to be put (disks, config drive). `destroy` removes it with all
        in it.
        """

    async def inventory(self) -> HostInventory: ...

    async def list_guests(self) -> tuple[GuestState, ...]:
        """All guests of this cloud on this host, running or not."""

    async def guest_state(self, uuid: str) -> GuestState | None:
        """One guest; None when there is none."""

    async def spawn(self, spec: GuestSpec) -> None:
        """Make the disks that are missing, plug the interfaces, define and start. A running guest is
        left alone.
        """

    async def start(self, spec: GuestSpec) -> None:
        """Start a guest that is off, defining it anew from the spec. A running guest is left alone."""

    async def shutdown(self, uuid: str, *, timeout_s: float) -> bool:
        """Ask the guest to power off and wait; after `timeout_s` power it off. True: it went by itself."""

    async def power_off(self, uuid: str) -> None:
        """Pull the plug. The guest stays defined and its disks stay."""

    async def reboot_soft(self, spec: GuestSpec, *, timeout_s: float) -> bool:
        """Ask the guest to power off, then start it. False: it did not react in time and runs on
        untouched.
        """

    async def reboot_hard(self, spec: GuestSpec) -> None:
        """Off, defined anew from the spec (which repairs what was lost), on. Also for guests that are
        off.
        """

    async def pause(self, uuid: str) -> None:
        """Stop its processors; it stays in memory."""

    async def unpause(self, uuid: str) -> None: ...

    async def suspend(self, uuid: str) -> None:
        """Write its memory to disk and free it."""

    async def resume(self, spec: GuestSpec) -> None:
        """Bring a suspended guest back to where it was."""

    async def destroy(self, uuid: str, *, keep_files: bool = False) -> None:
        """Leave nothing: guest, definition, firmware variables, saved memory, interfaces, and its
        directory (unless `keep_files`). No such guest is no error: what is left of it is removed.
        """

    async def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        """Plug and add an interface, for now and for later starts."""

    async def detach_nic(self, uuid: str, nic: NicSpec) -> None:
        """Remove and unplug; waits until the guest has let go. Raises Transient when it does not."""

    async def attach_disk(self, uuid: str, disk: DiskSpec) -> None: ...

    async def detach_disk(self, uuid: str, disk: DiskSpec) -> None: ...

    async def console_log(self, uuid: str, *, last_bytes: int) -> bytes:
        """The end of what the guest wrote to its serial console, over all its starts. Empty when it
        wrote nothing.
        """

    async def console_endpoint(self, uuid: str, kind: Literal["vnc", "serial"]) -> Path:
        """The unix socket of a running guest's screen or serial console."""

    async def screenshot(self, uuid: str) -> tuple[str, bytes]:
        """(media type, picture) of a running guest's screen."""


@dataclass(slots=True)
class Listeners:
    """The subscribers of a driver: for drivers to keep."""

    _all: list[Listener] = field(default_factory=list)

    def add(self, listener: Listener) -> None:
        self._all.append(listener)

    def tell(self, event: GuestEvent) -> None:
        for listener in self._all:
            listener(event)
