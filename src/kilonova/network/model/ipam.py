"""IP address management: pools, what is free in them, subnets' shape. Addresses in, addresses out; nothing is
stored.

Addresses are kept as integers inside pools, so that an IPv6 pool of 2**64 costs nothing. Whether an address
is taken is the store's to say; uniqueness is a constraint of its tables, so two requests that choose alike
cannot both win.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from kilonova.network import errors

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

SLAAC = "slaac"
STATEFUL = "dhcpv6-stateful"
STATELESS = "dhcpv6-stateless"
IPV6_MODES = (STATEFUL, STATELESS, SLAAC)
WINDOW = 100
"""A port's address is drawn from the lowest addresses that are free, this many: concurrent requests seldom
clash.
"""


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses ``first`` to ``last``, both included, as integers of ``version`` 4 or 6."""

    first: int
    last: int
    version: int

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{text_of(self.first, self.version)}-{text_of(self.last, self.version)}"

    @property
    def size(self) -> int:
        """How many addresses."""
        return self.last - self.first + 1

    def ends(self) -> tuple[str, str]:
        """First and last address as text."""
        return text_of(self.first, self.version), text_of(self.last, self.version)


def text_of(address: int, version: int) -> str:
    """The canonical text of an address."""
    return str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))


def key_of(address: str) -> str:
    """Text of fixed width that sorts as addresses do: what the tables keep beside the address."""
    return f"{int(ipaddress.ip_address(address)):032x}"


def parse_cidr(cidr: str) -> IpNetwork:
    """A CIDR without host bits; refuses loopback, multicast, link-local and other networks that no subnet can
    be.
    """
    try:
        net = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise errors.InvalidInput(reason=f"'{cidr}' is not a valid IP subnet") from None
    if (
        net.is_multicast
        or net.is_loopback
        or (net.version == 4 and net.network_address == net.network_address.__class__(0))
    ):
        raise errors.InvalidInput(reason=f"'{cidr}' cannot be used for a subnet")
    return net


def hosts_of(net: IpNetwork) -> Pool:
    """The addresses of a network that a host can have: all of /31, /32, /127, /128; else without the reserved
    ends.
    """
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.version == 4:
        return Pool(first, last, 4) if net.prefixlen >= 31 else Pool(first + 1, last - 1, 4)
    return Pool(first, last, 6) if net.prefixlen >= 127 else Pool(first + 1, last, 6)


def default_gateway(net: IpNetwork) -> str:
    """The first host address."""
    return text_of(hosts_of(net).first, net.version)


def check_gateway(gateway: str, net: IpNetwork) -> None:
    """A gateway within its subnet is not one of the reserved ends; one outside must be a host's address."""
    address = ipaddress.ip_address(gateway)
    if address.version != net.version:
        raise errors.InvalidInput(reason=f"gateway_ip '{gateway}' is not an IPv{net.version} address")
    if address in net:
        if int(address) not in hosts_of(net):
            raise errors.InvalidInput(reason=f"Gateway is not valid on subnet {net}")
    elif address.is_multicast or address.is_loopback or address.is_unspecified:
        raise errors.InvalidInput(reason=f"Gateway is not valid on subnet {net}")


def default_pools(net: IpNetwork, gateway: str | None) -> tuple[Pool, ...]:
    """Every host address but the gateway: one pool or, with a gateway in the middle, two."""
    hosts = hosts_of(net)
    at = int(ipaddress.ip_address(gateway)) if gateway is not None else None
    if at is None or at not in hosts:
        return (hosts,)
    parts = (Pool(hosts.first, at - 1, net.version), Pool(at + 1, hosts.last, net.version))
    return tuple(pool for pool in parts if pool.size > 0)


def parse_pools(pairs: Iterable[tuple[str, str]], net: IpNetwork) -> tuple[Pool, ...]:
    """Pools as a user gives them, sorted; refuses what is reversed, outside of the subnet or overlapping."""
    pools = sorted((_parse_pool(start, end, net) for start, end in pairs), key=lambda pool: pool.first)
    for one, other in itertools.pairwise(pools):
        if other.first <= one.last:
            raise errors.OverlappingAllocationPools(pool_1=one, pool_2=other, cidr=net)
    return tuple(pools)


def _parse_pool(start: str, end: str, net: IpNetwork) -> Pool:
    said = f"{start}-{end}"
    try:
        first, last = ipaddress.ip_address(start), ipaddress.ip_address(end)
    except ValueError:
        raise errors.InvalidAllocationPool(pool=said) from None
    if first.version != net.version or last.version != net.version or int(last) < int(first):
        raise errors.InvalidAllocationPool(pool=said)
    pool, hosts = Pool(int(first), int(last), net.version), hosts_of(net)
    if pool.first not in hosts or pool.last not in hosts:
        raise errors.OutOfBoundsAllocationPool(pool=said, cidr=net)
    return pool


def check_gateway_outside_pools(gateway: str | None, pools: Iterable[Pool]) -> None:
    """A gateway's address must never be handed out."""
    if gateway is None:
        return
    address = ipaddress.ip_address(gateway)
    for pool in pools:
        if pool.version == address.version and int(address) in pool:
            raise errors.GatewayConflictWithAllocationPools(ip=gateway, pool=pool)


def windows(pools: Sequence[Pool], width: int = WINDOW) -> Iterator[Pool]:
    """The pools cut into growing windows, lowest first: the store reads what is taken of one window at a
    time.
    """
    for pool in pools:
        first = pool.first
        step = width
        while first <= pool.last:
            last = min(first + step - 1, pool.last)
            yield Pool(first, last, pool.version)
            first, step = last + 1, min(step * 4, 65536)


def choose(window: Pool, taken: Container[int], chance: random.Random, width: int = WINDOW) -> str | None:
    """One free address of the window by chance among its lowest ``width`` free ones; None when all are
    taken.
    """
    free: list[int] = []
    for address in range(window.first, window.last + 1):
        if address not in taken:
            free.append(address)
            if len(free) == width:
                break
    return text_of(chance.choice(free), window.version) if free else None


def is_slaac(ipv6_address_mode: str | None, ipv6_ra_mode: str | None) -> bool:
    """Whether guests make their own address from the prefix, so that the port's address follows from its
    MAC.
    """
    return ipv6_address_mode in (SLAAC, STATELESS)


def eui64(net: IpNetwork, mac: str) -> str:
    """The address a guest with ``mac`` makes for itself in an IPv6 ``net`` (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", "").replace("-", ""))
    interface = bytes((octets[0] ^ 0x02, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return text_of(int(net.network_address) | int.from_bytes(interface, "big"), 6)


def check_ipv6_modes(ip_version: int, ra_mode: str | None, address_mode: str | None, enable_dhcp: bool) -> None:
    """The modes exist for IPv6 with DHCP on, and must agree when both are given."""
    if ip_version == 4:
        if ra_mode or address_mode:
            raise errors.InvalidInput(reason="ipv6_ra_mode or ipv6_address_mode cannot be set with IPv4")
        return
    if (ra_mode or address_mode) and not enable_dhcp:
        raise errors.InvalidInput(
            reason="ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"
        )
    if ra_mode and address_mode and ra_mode != address_mode:
        raise errors.InvalidInput(
            reason=f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid"
        )


def check_no_overlap(net: IpNetwork, others: Iterable[tuple[str, str]]) -> None:
    """``others``: pairs of subnet id and CIDR of the same network, none of which may share an address with
    ``net``.
    """
    for subnet_id, cidr in others:
        other = ipaddress.ip_network(cidr)
        if other.version == net.version and other.overlaps(net):
            raise errors.InvalidInput(
                reason=f"Requested subnet with cidr: {net} overlaps with another subnet {subnet_id} ({other})"
            )


def carve(prefixes: Iterable[str], taken: Iterable[str], prefixlen: int) -> IpNetwork | None:
    """The lowest free prefix of ``prefixlen`` in a subnet pool's ``prefixes``, beside the ``taken`` CIDRs; or
    None.
    """
    used = sorted((ipaddress.ip_network(cidr) for cidr in taken), key=lambda net: int(net.network_address))
    for prefix in sorted((ipaddress.ip_network(p) for p in prefixes), key=lambda net: int(net.network_address)):
        if prefix.prefixlen > prefixlen:
            continue
        found = _first_gap(prefix, used, prefixlen)
        if found is not None:
            return found
    return None


def _first_gap(prefix: IpNetwork, used: Sequence[IpNetwork], prefixlen: int) -> IpNetwork | None:
    size = 1 << (prefix.max_prefixlen - prefixlen)
    at, end = int(prefix.network_address), int(prefix.broadcast_address)
    for net in used:
        if net.version != prefix.version or int(net.broadcast_address) < at or int(net.network_address) > end:
            continue
        if int(net.network_address) >= at + size:
            break
        at = (int(net.broadcast_address) // size + 1) * size
    if at + size - 1 > end:
        return None
    return ipaddress.ip_network((at, prefixlen)) if prefix.version == 4 else ipaddress.IPv6Network((at, prefixlen))
