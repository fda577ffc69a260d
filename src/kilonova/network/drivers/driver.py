"""The contract between the network service and whatever carries the packets.

The service tells a driver what is *wanted*, as frozen values that hold no database row and no request. A
driver makes it so, says how a port is bound to a host, and reports when ports come up. Two drivers exist:
`ovn` and, for clouds without a dataplane (`HYPERVISOR=fake`), `fake`.

How the API uses it::

    async with db.transaction() as tx: ...          # the wish is committed first
    await driver.apply([Put(port_spec)])            # then one call for each API change, after the commit

* One `apply` is one atomic transaction of the dataplane. It may be repeated: what is there already costs
  nothing.
* A spec is complete: the driver needs nothing but the specs it was given, in any order that respects *uses*
  (a port uses its network and its security groups; see each class). One `apply` may put a thing and what it
  uses.
* `revision` is the resource's revision_number. A Put that is older than what the driver has is skipped, so
  two changes that overtake one another end in the newer.
* When `apply` raises `Unreachable`, the wish stays committed; the sweep carries it out later. `BadSpec` is a
  bug or a value that validation let through: nothing was written.

How the sweep uses it::

    specs = read every object from the database
    for difference in await driver.differences(specs):
        spec = read that one object again            # or None when it is gone by now
        await driver.apply([repair_of(difference, spec)])

Reading again before the repair makes a difference that was only in flight harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable


class DriverError(Exception):
    """A driver could not do what it was asked; the text is for the operator."""


class Unreachable(DriverError):
    """The dataplane's database does not answer now. Trying again later may work."""


class BadSpec(DriverError):
    """A value that the dataplane would refuse, or worse, silently ignore. Nothing was written."""


class NotAble(DriverError):
    """This dataplane cannot do it here, and trying again does not help (no agent on that host, no such
    network).
    """


class Kind(StrEnum):
    """The kinds of objects a driver holds; (kind, id) names one."""

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    ROUTER = "router"
    FLOATING_IP = "floating_ip"
    SECURITY_GROUP = "security_group"


# --- what is wanted ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provider:
    """The wire a network is on. `network_type`: "geneve", "flat", "vlan" or "local"."""

    network_type: str
    physical_network: str | None = None
    segmentation_id: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network. Uses nothing. `mtu` in bytes, as shown to guests."""

    id: str
    name: str
    mtu: int
    provider: Provider = Provider("geneve")
    external: bool = False
    admin_state_up: bool = True
    revision: int = 0


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A static route: `destination` is a CIDR, `nexthop` an address."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    """A subnet; it matters to a dataplane for DHCP (IPv4, IPv6). Uses its network.

    `mtu` is its network's. `metadata_ip`: the address in this subnet of the network's metadata port
    (device_owner "network:distributed"); guests get a route to 169.254.169.254 through it. `external` is its
    network's: DHCP is then not offered with a metadata route. `ipv6_ra_mode`, `ipv6_address_mode`: "slaac",
    "dhcpv6-stateful", "dhcpv6-stateless" or None. `dns_domain`: ends up as DHCP domain name, without a final
    dot.

    When `enable_dhcp` turns, or the subnet is new, put the ports that hold an address of it in the same
    `apply`. When a network's mtu changes, put its subnets too.
    """

    id: str
    network_id: str
    cidr: str
    ip_version: int
    mtu: int
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    metadata_ip: str | None = None
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    dns_domain: str = ""
    external: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port; `cidr` is its subnet's."""

    subnet_id: str
    address: str
    cidr: str


@dataclass(frozen=True, slots=True)
class AddressPair:
    """What a port may send from besides its own addresses. `mac` None: the port's own. `address` may be a
    CIDR.
    """

    address: str
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """An extra DHCP option of one port, by upstream's name ("bootfile-name", "mtu", or a number)."""

    name: str
    value: str
    ip_version: int = 4


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A name that guests of the port's network can look up: fully qualified, without a final dot."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port of a network. Uses its network, its subnets (for DHCP) and its security groups.

    `device_owner` decides the kind of port, with upstream's words: "network:router_interface" and
    "network:router_gateway" (the router's own half is in `RouterSpec`), "network:distributed" (metadata),
    "network:floatingip" (nothing to carry: holds the address only), anything else a guest's.
    `dhcp_subnets`: the specs of its addresses' subnets; needed only when it has `dhcp_options` (such a port
    gets DHCP answers of its own, so put it again when one of these subnets changes).
    `host`: binding host, "" while unbound. `binding_profile`: strings only.
    `dns_records`: usually `hostname` and `hostname.domain`, each with all fixed addresses.
    """

    id: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...] = ()
    name: str = ""
    project_id: str = ""
    device_id: str = ""
    device_owner: str = ""
    host: str = ""
    vnic_type: str = "normal"
    admin_state_up: bool = True
    port_security: bool = True
    security_groups: tuple[str, ...] = ()
    address_pairs: tuple[AddressPair, ...] = ()
    dhcp_options: tuple[DhcpOption, ...] = ()
    dhcp_subnets: tuple[SubnetSpec, ...] = ()
    dns_records: tuple[DnsRecord, ...] = ()
    binding_profile: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class RouterAddress:
    """An address a router has in a subnet: "10.0.0.1" in "10.0.0.0/24". The modes are the subnet's (IPv6
    only).
    """

    address: str
    cidr: str
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    dns_nameservers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterInterface:
    """A router's leg in a tenant network; `port_id` is the port with owner "network:router_interface"."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[RouterAddress, ...]
    mtu: int


@dataclass(frozen=True, slots=True)
class RouterGateway:
    """A router's leg in an external network; `port_id` is the port with owner "network:router_gateway".

    `nexthops`: the gateway_ip of each subnet of `addresses` that has one, in the same order of families; they
    become the default routes. `snat`: tenants' IPv4 addresses leave as the first IPv4 address of `addresses`.
    """

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[RouterAddress, ...]
    mtu: int
    nexthops: tuple[str, ...] = ()
    snat: bool = True


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """A router with all its legs. Uses the networks and the ports of its legs: put those first or together.

    Detaching an interface: put the router without it and delete the port, in one `apply`.
    """

    id: str
    name: str
    interfaces: tuple[RouterInterface, ...] = ()
    gateway: RouterGateway | None = None
    routes: tuple[HostRoute, ...] = ()
    admin_state_up: bool = True
    revision: int = 0


@dataclass(frozen=True, slots=True)
class FloatingIpSpec:
    """A floating IP. Uses its router. Not associated: leave router_id, port_id and fixed_ip None; then
    nothing is kept.

    `mac` is that of the floating IP's own port (owner "network:floatingip").
    """

    id: str
    address: str
    network_id: str
    mac: str
    router_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One security group rule: what it matches is allowed.

    `direction` "ingress" or "egress"; `ethertype` "IPv4" or "IPv6"; `protocol` None (any), a name ("tcp") or
    a number in decimal ("132"). For ICMP, port_min is the type and port_max the code. `remote_group_id`,
    `remote_ip_prefix` and `remote_addresses` (the members of an address group) exclude one another.
    """

    id: str
    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_addresses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SecurityGroupSpec:
    """A security group with all its rules. Uses the groups its rules name as remote (they may be in the same
    apply).
    """

    id: str
    name: str
    rules: tuple[RuleSpec, ...] = ()
    stateful: bool = True
    revision: int = 0


Spec = NetworkSpec | SubnetSpec | PortSpec | RouterSpec | FloatingIpSpec | SecurityGroupSpec

KIND_OF: Mapping[type[Spec], Kind] = {
    NetworkSpec: Kind.NETWORK,
    SubnetSpec: Kind.SUBNET,
    PortSpec: Kind.PORT,
    RouterSpec: Kind.ROUTER,
    FloatingIpSpec: Kind.FLOATING_IP,
    SecurityGroupSpec: Kind.SECURITY_GROUP,
}


def kind_of(spec: Spec) -> Kind:
    return KIND_OF[type(spec)]


# --- what may be asked of a driver ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Put:
    """Make it as in the spec, new or changed."""

    spec: Spec


@dataclass(frozen=True, slots=True)
class Delete:
    """Let nothing of it remain. Deleting what is not there is no error.

    Deleting a network takes its ports with it, a router its legs, routes and NAT.
    """

    kind: Kind
    id: str


Change = Put | Delete


@dataclass(frozen=True, slots=True)
class Binding:
    """How a port is plugged on its host: what goes to `binding:vif_type` and `binding:vif_details`."""

    vif_type: str
    vif_details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PortEvent:
    """A port carries traffic (up), or no longer does. `host` where known."""

    port_id: str
    up: bool
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something wanted that is missing or changed, or something there that nobody wants ("stray")."""

    kind: Kind
    id: str
    how: str  # "missing" | "changed" | "stray"
    detail: str = ""


REPAIR_ORDER = (Kind.SECURITY_GROUP, Kind.NETWORK, Kind.SUBNET, Kind.PORT, Kind.ROUTER, Kind.FLOATING_IP)


def in_order(differences: Iterable[Difference]) -> list[Difference]:
    """So that what is used is repaired before what uses it, and strays go last, using ones first."""

    def place(one: Difference) -> tuple[bool, int, str]:
        rank = REPAIR_ORDER.index(one.kind)
        return (one.how == "stray", -rank if one.how == "stray" else rank, one.id)

    return sorted(differences, key=place)


def repair_of(difference: Difference, spec: Spec | None) -> Change:
    """The change that mends a difference, given the spec as it is *now* in the database (None: gone)."""
    return Delete(difference.kind, difference.id) if spec is None else Put(spec)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a driver can carry; the API does not advertise the rest."""

    network_types: tuple[str, ...] = ("geneve", "flat", "vlan", "local")
    physical_networks: tuple[str, ...] = ()
    tenant_mtu: int = 1442  # the largest mtu of a new tenant network
    provider_mtu: int = 1500  # the largest mtu of a flat or vlan network


@dataclass(frozen=True, slots=True)
class HostAgent:
    """A host that can carry ports, for the agents list. `alive`: answers now. `gateway`: routers may leave
    through it.
    """

    host: str
    chassis: str
    alive: bool
    gateway: bool
    physical_networks: tuple[str, ...] = ()


PortListener = Callable[[PortEvent], None]


@runtime_checkable
class NetworkDriver(Protocol):
    """What the network service needs from a dataplane."""

    @property
    def abilities(self) -> Abilities: ...

    async def start(self) -> None:
        """Connect. Returns at once when the other side is not there yet: `apply` raises Unreachable until it
        is.
        """
        ...

    async def stop(self) -> None:
        """Disconnect. What is carried goes on."""
        ...

    async def apply(self, changes: Sequence[Change]) -> None:
        """Carry out all changes, in one transaction. Returns when written; carried soon after (see
        `on_port_event`).

        Raises Unreachable or BadSpec."""
        ...

    async def bind_port(self, port: PortSpec, host: str) -> Binding:
        """How this port is plugged on that host. Writes nothing: put the port with `host` set afterwards.

        Raises NotAble when the host cannot carry it (shown as vif_type binding_failed)."""
        ...

    def on_port_event(self, listener: PortListener) -> None:
        """Have `listener` called, in the event loop, for each port that comes up or goes down.

        After every (re)connection it is called for all ports that are up and for those that went down
        meanwhile, so it must be idempotent. It must not block; start a task for longer work."""
        ...

    async def ports_up(self) -> Mapping[str, bool]:
        """Every guest port the dataplane knows -> carries traffic now."""
        ...

    async def differences(self, wanted: Iterable[Spec]) -> Sequence[Difference]:
        """Compare everything wanted with everything there, in the order of repair. Changes nothing."""
        ...

    async def agents(self) -> Sequence[HostAgent]:
        """The hosts that have registered with the dataplane."""
        ...
