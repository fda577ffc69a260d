"""What every driver checks before it writes: a value that a dataplane would drop in silence must not get that
far.

A bad DHCP option value, for instance, makes OVN leave out the whole answer with one line in a log. The API
has checked the user's words already; this is the last gate, and what it refuses is a fault of ours.
"""

from __future__ import annotations

import ipaddress
import re

from kilonova.network.drivers.driver import (
    BadSpec,
    FloatingIpSpec,
    HostRoute,
    NetworkSpec,
    PortSpec,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    RuleSpec,
    SecurityGroupSpec,
    Spec,
    SubnetSpec,
)

MAC = re.compile(r"(?i)[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
DNS_NAME = re.compile(r"(?i)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\Z")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
IPV6_MODES = (None, "slaac", "dhcpv6-stateful", "dhcpv6-stateless")
NETWORK_TYPES = ("geneve", "flat", "vlan", "local")
PROTOCOL_NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17,
    "udplite": 136, "vrrp": 112,
}  # fmt: skip


def check(spec: Spec) -> None:
    """Raise BadSpec, naming the object and the value, when any value of the spec cannot be carried."""
    try:
        _identify(spec.id)
        match spec:
            case NetworkSpec():
                _check_network(spec)
            case SubnetSpec():
                _check_subnet(spec)
            case PortSpec():
                _check_port(spec)
            case RouterSpec():
                _check_router(spec)
            case FloatingIpSpec():
                _check_floating_ip(spec)
            case SecurityGroupSpec():
                for rule in spec.rules:
                    _check_rule(rule)
    except ValueError as error:
        raise BadSpec(f"{type(spec).__name__} {spec.id}: {error}") from error


def protocol_number(protocol: str | None) -> int | None:
    """The IP protocol number of a rule's protocol; None means any. Raises ValueError for an unknown name."""
    if protocol is None or protocol in ("any", ""):
        return None
    if protocol.isdecimal():
        number = int(protocol)
        if number > 255:
            raise ValueError(f"protocol {protocol} is above 255")
        return number
    try:
        return PROTOCOL_NUMBERS[protocol.lower()]
    except KeyError:
        raise ValueError(f"protocol {protocol!r} is not known") from None


def _identify(value: str) -> None:
    if not ID.match(value):
        raise ValueError(f"{value!r} is no id")


def _check_network(spec: NetworkSpec) -> None:
    kind = spec.provider.network_type
    if kind not in NETWORK_TYPES:
        raise ValueError(f"network type {kind!r} is not one of {', '.join(NETWORK_TYPES)}")
    if kind in ("flat", "vlan") and not spec.provider.physical_network:
        raise ValueError(f"a {kind} network needs a physical network")
    if kind == "vlan" and not 1 <= (spec.provider.segmentation_id or 0) <= 4094:
        raise ValueError(f"VLAN {spec.provider.segmentation_id} is not in 1..4094")
    _check_mtu(spec.mtu)


def _check_mtu(mtu: int) -> None:
    if not 68 <= mtu <= 65535:
        raise ValueError(f"mtu {mtu} is not in 68..65535")


def _check_subnet(spec: SubnetSpec) -> None:
    net = ipaddress.ip_network(spec.cidr)
    if net.version != spec.ip_version:
        raise ValueError(f"{spec.cidr} is not IPv{spec.ip_version}")
    _check_mtu(spec.mtu)
    for address in (spec.gateway_ip, spec.metadata_ip, *spec.dns_nameservers):
        if address is not None:
            ipaddress.ip_address(address)
    for route in spec.host_routes:
        _check_route(route)
    if spec.ipv6_ra_mode not in IPV6_MODES or spec.ipv6_address_mode not in IPV6_MODES:
        raise ValueError(f"IPv6 modes {spec.ipv6_ra_mode!r}, {spec.ipv6_address_mode!r} are not known")
    if spec.dns_domain and not DNS_NAME.match(spec.dns_domain):
        raise ValueError(f"domain {spec.dns_domain!r} is no DNS name")


def _check_route(route: HostRoute) -> None:
    ipaddress.ip_network(route.destination)
    ipaddress.ip_address(route.nexthop)


def _check_mac(mac: str) -> None:
    if not MAC.match(mac):
        raise ValueError(f"{mac!r} is no MAC address")


def _check_port(spec: PortSpec) -> None:
    _identify(spec.network_id)
    _check_mac(spec.mac)
    for fixed in spec.fixed_ips:
        if ipaddress.ip_address(fixed.address) not in ipaddress.ip_network(fixed.cidr):
            raise ValueError(f"{fixed.address} is not in {fixed.cidr}")
    for pair in spec.address_pairs:
        ipaddress.ip_network(pair.address, strict=False)
        if pair.mac is not None:
            _check_mac(pair.mac)
    for record in spec.dns_records:
        if not DNS_NAME.match(record.name):
            raise ValueError(f"{record.name!r} is no DNS name")
        for address in record.addresses:
            ipaddress.ip_address(address)
    for group in spec.security_groups:
        _identify(group)
    if not re.match(r"[\x20-\x7e]{0,255}\Z", spec.host):
        raise ValueError(f"host {spec.host!r} is no host name")


def _check_leg(leg: RouterInterface | RouterGateway) -> None:
    _identify(leg.port_id)
    _check_mac(leg.mac)
    _check_mtu(leg.mtu)
    if not leg.addresses:
        raise ValueError(f"the leg {leg.port_id} has no address")
    for own in leg.addresses:
        if ipaddress.ip_address(own.address) not in ipaddress.ip_network(own.cidr):
            raise ValueError(f"{own.address} is not in {own.cidr}")


def _check_router(spec: RouterSpec) -> None:
    for leg in spec.interfaces:
        _check_leg(leg)
    if spec.gateway is not None:
        _check_leg(spec.gateway)
        for nexthop in spec.gateway.nexthops:
            ipaddress.ip_address(nexthop)
    for route in spec.routes:
        _check_route(route)


def _check_floating_ip(spec: FloatingIpSpec) -> None:
    ipaddress.IPv4Address(spec.address)
    _check_mac(spec.mac)
    if spec.fixed_ip is not None:
        ipaddress.IPv4Address(spec.fixed_ip)
    if len({spec.router_id is None, spec.port_id is None, spec.fixed_ip is None}) != 1:
        raise ValueError("router, port and fixed address belong together")


def _check_rule(rule: RuleSpec) -> None:
    if rule.direction not in ("ingress", "egress"):
        raise ValueError(f"direction {rule.direction!r} is not ingress or egress")
    if rule.ethertype not in ("IPv4", "IPv6"):
        raise ValueError(f"ethertype {rule.ethertype!r} is not IPv4 or IPv6")
    protocol_number(rule.protocol)
    for port in (rule.port_min, rule.port_max):
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"port {port} is not in 0..65535")
    version = 4 if rule.ethertype == "IPv4" else 6
    for prefix in (rule.remote_ip_prefix, *(rule.remote_addresses or ())):
        if prefix is not None:
            net = ipaddress.ip_network(prefix, strict=False)
            if prefix == rule.remote_ip_prefix and net.version != version:
                raise ValueError(f"{prefix} is not {rule.ethertype}")
    if rule.remote_group_id is not None:
        _identify(rule.remote_group_id)
