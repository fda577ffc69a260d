"""Every call between the processes of compute: API, conductor, scheduler and the agents. One page, all typed.

All calls may arrive twice. Those that change a guest carry a *ticket*, the pair (operation id, fence): an
agent remembers the highest one it saw for each server and refuses a lower one, so that a conductor that was
thought dead cannot bring back a guest that another has removed since.

No secret of the cloud crosses here, and no token: ``image_ticket`` is the image service's leave to download one
image within the hour.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.operations import InjectedFile
from kilonova.compute.model.servers import BlockDevice, ImageSnapshot
from kilonova.kernel.bus import Call, Note

CONDUCTOR, SCHEDULER, HOSTS = "conductor", "scheduler", "hosts"

Ticket = tuple[int, int]


def agent_topic(host: str) -> str:
    """Where the agent of a host is called."""
    return f"agent.{host}"


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all that crosses: frozen; a field with its default does not cross."""


class Done(Struct, frozen=True):
    """The answer of calls that have nothing to say but that it is so."""


# --- what a guest is made from
# --------------------------------------------------------------------------------------


class SubnetFacts(Struct, frozen=True):
    """What a guest is told of one subnet. ``routes``: pairs of destination and next hop."""

    id: str
    cidr: str
    gateway_ip: str | None = None
    has_dhcp: bool = True
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


class Address(Struct, frozen=True):
    address: str
    subnet: SubnetFacts


class Nic(Struct, frozen=True):
    """One card: its port, and how the host plugs it (``binding:vif_details``)."""

    port_id: str
    network_id: str
    mac: str
    mtu: int = 1500
    vnet_hdr: bool = True
    bridge: str = "br-int"
    vif_type: str = "ovs"
    vnic_type: str = "normal"
    tag: str | None = None
    addresses: tuple[Address, ...] = ()


class Persona(Struct, frozen=True):
    """What the guest is told about itself, by config drive or metadata service."""

    name: str
    hostname: str
    project_id: str
    zone: str
    launch_index: int = 0
    reservation_id: str = ""
    metadata: dict[str, str] = {}
    key_name: str | None = None
    key_type: str | None = None
    public_key: str | None = None
    user_data: str | None = None
    files: tuple[InjectedFile, ...] = ()
    admin_password: str | None = None
    dns_domain: str = ""


class GuestOrder(Struct, frozen=True):
    """A guest as the cloud wants it: enough for an agent to make its GuestSpec, now and at any later time."""

    server_id: str
    number: int
    guest_name: str
    title: str
    flavor: FlavorSnapshot
    image: ImageSnapshot
    persona: Persona
    nics: tuple[Nic, ...] = ()
    block_devices: tuple[BlockDevice, ...] = ()
    config_drive: bool = False
    root_device: str = "/dev/vda"


# --- conductor and API to agents
# ------------------------------------------------------------------------------------


class Spawn(Struct, frozen=True):
    order: GuestOrder
    ticket: Ticket
    image_ticket: str = ""


class GuestReport(Struct, frozen=True):
    """A guest as its host sees it. ``power_state`` is model.states.PowerState; 0 when there is no such
    guest.
    """

    server_id: str
    power_state: int = 0
    exists: bool = True


class OnGuest(Struct, frozen=True):
    """Something to be done to a guest that is there. ``order`` comes with what may have to define it anew."""

    server_id: str
    ticket: Ticket
    order: GuestOrder | None = None
    timeout_s: float = 60.0


class Power(Struct, frozen=True):
    """``what`` names a row of model.states.ROWS."""

    guest: OnGuest
    what: Literal["start", "stop", "reboot_soft", "reboot_hard", "pause", "unpause", "suspend", "resume"]


class ChangeNic(Struct, frozen=True):
    server_id: str
    ticket: Ticket
    nic: Nic


class AskGuest(Struct, frozen=True):
    server_id: str


class ReadConsole(Struct, frozen=True):
    """``last_lines`` None: all that is kept."""

    server_id: str
    last_lines: int | None = None


class ConsoleText(Struct, frozen=True):
    text: str


class OpenConsole(Struct, frozen=True):
    server_id: str
    kind: Literal["vnc", "serial"]


class ConsoleEndpoint(Struct, frozen=True):
    """Where the host offers the console: the path of a unix socket there."""

    host: str
    path: str


class Picture(Struct, frozen=True):
    media_type: str
    data: bytes


class Guests(Struct, frozen=True):
    guests: tuple[GuestReport, ...]


class Diagnostics(Struct, frozen=True):
    power_state: int
    uptime_s: float = 0.0
    cpu_time_s: float = 0.0
    vcpus: int = 0
    ram_mib: int = 0
    hypervisor: str = ""
    driver: str = ""
    macs: tuple[str, ...] = ()
    disks: int = 0


SPAWN = Call("agent.spawn", Spawn, GuestReport, deadline_s=900)
DESTROY = Call("agent.destroy", OnGuest, Done, deadline_s=120)
POWER = Call("agent.power", Power, GuestReport, deadline_s=300)
ATTACH_NIC = Call("agent.attach_nic", ChangeNic, Done, deadline_s=60)
DETACH_NIC = Call("agent.detach_nic", ChangeNic, Done, deadline_s=60)
GUEST_STATE = Call("agent.guest_state", AskGuest, GuestReport, deadline_s=30)
LIST_GUESTS = Call("agent.list_guests", Done, Guests, deadline_s=60)
CONSOLE_LOG = Call("agent.console_log", ReadConsole, ConsoleText, deadline_s=30)
CONSOLE_ENDPOINT = Call("agent.console_endpoint", OpenConsole, ConsoleEndpoint, deadline_s=30)
SCREENSHOT = Call("agent.screenshot", AskGuest, Picture, deadline_s=30)
DIAGNOSTICS = Call("agent.diagnostics", AskGuest, Diagnostics, deadline_s=30)


# --- agents to conductor
# --------------------------------------------------------------------------------------------


class HostReport(Struct, frozen=True):
    """A host as its agent last saw it: sizes in all, not what is free. ``id`` is also its resource
    provider's.

    ``traits`` are os-traits names; ``servers`` the ids of the guests that are there; ``serial`` grows by one
    with each report of one life of the agent.
    """

    host: str
    id: str
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    vcpus: int
    ram_mib: int
    disk_gib: int
    ram_used_mib: int = 0
    disk_used_gib: int = 0
    host_ip: str = ""
    cpu_info: dict[str, Any] = {}
    supported: tuple[tuple[str, str, str], ...] = ()
    traits: tuple[str, ...] = ()
    uptime_s: float = 0.0
    servers: tuple[str, ...] = ()
    busy: int = 0
    cpu_allocation_ratio: float = 4.0
    ram_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    reserved_ram_mib: int = 512
    reserved_disk_gib: int = 0
    reserved_vcpus: int = 0
    started_at: str = ""
    serial: int = 0


class Wanted(Struct, frozen=True):
    """A guest that belongs on the host, and whether it is to run."""

    server_id: str
    is_to_run: bool
    order: GuestOrder


class Registered(Struct, frozen=True):
    """The conductor's answer: the guests that belong there, and those (by proof of deletion) that do not."""

    wanted: tuple[Wanted, ...] = ()
    gone: tuple[str, ...] = ()


class PowerChanged(Struct, frozen=True):
    """A guest did something by itself (or was told by someone else)."""

    host: str
    server_id: str
    power_state: int


class ServiceAlive(Struct, frozen=True):
    """A process without a database of its own lives; ``binary`` is upstream's name for it."""

    binary: str
    host: str
    topic: str


REGISTER = Call("conductor.register", HostReport, Registered, deadline_s=60)
POWER_CHANGED = Call("conductor.power_changed", PowerChanged, Done, deadline_s=30)
HEARTBEAT = Note("hosts.heartbeat", HostReport)
ALIVE = Note("services.alive", ServiceAlive)
ROLL_CALL = "services.roll_call"
"""Wake-up topic: a conductor begins to listen; whoever lives says so at once."""


# --- conductor to scheduler
# -----------------------------------------------------------------------------------------


class GroupFacts(Struct, frozen=True):
    """The server group of the server to be placed; ``hosts``: where its other members are, and how many."""

    id: str
    policy: str
    max_server_per_host: int | None = None
    hosts: dict[str, int] = {}


class PlacementAsk(Struct, frozen=True):
    """What a host must offer: one request for a choice. ``excluded``: hosts that failed for this server
    before, with the reason. ``same_hosts``, ``different_hosts``: where the servers of these scheduler hints
    are.
    """

    server_id: str
    project_id: str
    flavor: FlavorSnapshot
    image: ImageSnapshot
    zone: str | None = None
    forced_host: str | None = None
    forced_node: str | None = None
    asked_host: str | None = None
    asked_node: str | None = None
    group: GroupFacts | None = None
    hints: dict[str, tuple[str, ...]] = {}
    same_hosts: tuple[str, ...] | None = None
    different_hosts: tuple[str, ...] | None = None
    excluded: dict[str, str] = {}
    alternates: int = 2


class Candidate(Struct, frozen=True):
    """A host that can take the server, and what is to be claimed there (resource class to amount, by
    provider).
    """

    host: str
    node: str
    provider_id: str
    zone: str
    claim: dict[str, dict[str, int]]
    weight: float = 0.0


SILENT = "do not report"
"""The reason for refusing a host whose agent is not heard of; it may pass by itself."""


class Refusals(Struct, frozen=True):
    """One reason, how many hosts it refused, the nearest miss in words, and (for admins) the hosts."""

    reason: str
    count: int
    nearest: str = ""
    hosts: tuple[str, ...] = ()


class Choice(Struct, frozen=True):
    """Candidates in order, best first; none when no host will do, and then ``refusals`` says why."""

    candidates: tuple[Candidate, ...] = ()
    refusals: tuple[Refusals, ...] = ()
    hosts_seen: int = 0


class AggregateFacts(Struct, frozen=True):
    number: int
    id: str
    name: str
    metadata: dict[str, str]
    hosts: tuple[str, ...]


class ServiceFacts(Struct, frozen=True):
    """An agent's service record, as far as the scheduler minds it."""

    host: str
    disabled: bool = False
    forced_down: bool = False
    reason: str | None = None


class HostUse(Struct, frozen=True):
    """What the servers of a host take, counted in the database; ``projects``: servers by project."""

    host: str
    servers: int = 0
    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0
    busy: int = 0
    projects: dict[str, int] = {}


class CloudFacts(Struct, frozen=True):
    """What the scheduler cannot learn from the agents' own reports."""

    services: tuple[ServiceFacts, ...] = ()
    aggregates: tuple[AggregateFacts, ...] = ()
    uses: tuple[HostUse, ...] = ()
    reports: tuple[HostReport, ...] = ()


SELECT_DESTINATIONS = Call("scheduler.select_destinations", PlacementAsk, Choice, deadline_s=60)
CLOUD_FACTS = Call("conductor.cloud_facts", Done, CloudFacts, deadline_s=30)
FACTS_CHANGED = "scheduler.facts"
"""Wake-up topic: aggregates, zones or service records changed; the scheduler asks for CLOUD_FACTS again."""
