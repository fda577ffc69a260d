"""Servers: the user's virtual machines as the cloud knows them, and what is remembered of how they were
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha224

from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.states import PowerState, status_of


@dataclass(frozen=True, slots=True)
class FixedIp:
    """One address of a virtual card, with the floating addresses that lead to it."""

    address: str
    subnet_id: str = ""
    floating: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True)
class Vif:
    """One virtual network card, as the network service told us: the cached copy that lists of servers are
    made of.

    `made_by_us`: we made the port for this server, so we delete it with the server.
    """

    port_id: str
    network_id: str
    network_name: str
    mac: str
    fixed_ips: tuple[FixedIp, ...] = ()
    made_by_us: bool = True
    tag: str | None = None
    vnic_type: str = "normal"
    active: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a server is in ERROR. `message` is for its owner, `details` (may be empty) for the operator."""

    code: int
    message: str
    details: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RequestedNetwork:
    """One card asked for at create: a network or a port, perhaps with an address; `tag` names it to the
    guest.
    """

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One disk asked for at create. Only the root disk from an image and blank local disks are built so far."""

    source: str
    destination: str
    boot_index: int | None = None
    source_id: str | None = None
    size_gib: int | None = None
    device_type: str | None = None
    disk_bus: str | None = None
    guest_format: str | None = None
    delete_on_termination: bool = True
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What was asked for at create and is needed again at every later choice of a host.

    `zone` is the availability zone that the user pinned (None: anywhere). `forced_host`/`forced_node` skip
    the scheduler's filters (zone:host:node); `asked_host`/`asked_node` do not (microversion 2.74).
    """

    zone: str | None = None
    forced_host: str | None = None
    forced_node: str | None = None
    asked_host: str | None = None
    asked_node: str | None = None
    hints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group_id: str | None = None
    trusted_certificates: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ImageSnapshot:
    """What a server remembers of its image. An empty `image_id` means it boots from a volume."""

    image_id: str
    name: str = ""
    disk_format: str = ""
    container_format: str = ""
    size_bytes: int = 0
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    checksum: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """A server. `number` gives the name that its guest has on the host; `generation` guards every update."""

    id: str
    number: int
    generation: int
    project_id: str
    user_id: str
    name: str
    description: str | None
    hostname: str
    vm_state: str
    task_state: str | None
    power_state: int
    flavor: FlavorSnapshot
    image: ImageSnapshot
    spec: ServerSpec
    vifs: tuple[Vif, ...]
    metadata: dict[str, str]
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    host: str | None = None
    node: str | None = None
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    deleted_at: datetime | None = None
    progress: int = 0
    fault: Fault | None = None
    locked_by: str | None = None
    locked_reason: str | None = None
    zone: str | None = None
    reservation_id: str = ""
    launch_index: int = 0
    key_name: str | None = None
    key_type: str | None = None
    public_key: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    access_ipv4: str | None = None
    access_ipv6: str | None = None
    disk_config: str = "MANUAL"
    root_device: str = "/dev/vda"
    security_groups: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """The word that the owner sees."""
        return status_of(self.vm_state, self.task_state)

    @property
    def guest_name(self) -> str:
        """The name of its guest on the host."""
        return guest_name(self.number)

    @property
    def is_running(self) -> bool:
        return self.power_state == PowerState.RUNNING


def guest_name(number: int, template: str = "instance-%08x") -> str:
    """The guest's name on the host, by upstream's default template."""
    return template % number


def hide_host(project_id: str, host: str | None) -> str:
    """The opaque name by which a user can tell that two of their servers share a host; empty when unplaced."""
    return sha224((project_id + host).encode()).hexdigest() if host else ""
