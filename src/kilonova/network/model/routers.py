"""Routers: which subnets may meet, and which routes can be reached. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from kilonova.network import errors

Route = tuple[str, str]
"""Destination (a CIDR) and next hop (an address)."""


def check_no_overlap(router_id: str, cidr: str, subnet_id: str, legs: Iterable[tuple[str, str]]) -> None:
    """A router has no two legs whose subnets share an address. ``legs``: pairs of subnet id and CIDR it has
    already.
    """
    net = ipaddress.ip_network(cidr)
    for leg_subnet, leg_cidr in legs:
        if leg_subnet == subnet_id:
            raise errors.BadRequest(resource="router", reason=f"Router already has a port on subnet {subnet_id}")
        other = ipaddress.ip_network(leg_cidr)
        if other.version == net.version and other.overlaps(net):
            raise errors.BadRequest(
                resource="router",
                reason=f"Cidr {cidr} of subnet {subnet_id} overlaps with cidr {leg_cidr} of subnet {leg_subnet}",
            )


def canonical_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Routes with destinations and next hops in canonical text, without repeats, in the order given."""
    seen: dict[Route, None] = {}
    for destination, nexthop in routes:
        try:
            net, hop = ipaddress.ip_network(destination, strict=False), ipaddress.ip_address(nexthop)
        except ValueError as error:
            raise errors.InvalidRoutes(routes=f"{destination} via {nexthop}", reason=str(error)) from None
        if net.version != hop.version:
            raise errors.InvalidRoutes(
                routes=f"{destination} via {nexthop}", reason="destination and nexthop are of different IP versions"
            )
        seen[str(net), str(hop)] = None
    return tuple(seen)


def check_routes(routes: Sequence[Route], cidrs: Iterable[str], own_addresses: Iterable[str]) -> None:
    """Every next hop is on a network of the router, and is not the router itself."""
    nets = [ipaddress.ip_network(cidr) for cidr in cidrs]
    own = {ipaddress.ip_address(address) for address in own_addresses}
    for destination, nexthop in routes:
        hop = ipaddress.ip_address(nexthop)
        if not any(hop.version == net.version and hop in net for net in nets):
            raise errors.InvalidRoutes(
                routes=f"{destination} via {nexthop}", reason="the nexthop is not connected with router"
            )
        if hop in own:
            raise errors.InvalidRoutes(routes=f"{destination} via {nexthop}", reason="the nexthop is used by router")


def routes_through(routes: Iterable[Route], cidr: str) -> list[Route]:
    """The routes whose next hop lies in ``cidr``: they hold the leg there in place."""
    net = ipaddress.ip_network(cidr)
    found = []
    for destination, nexthop in routes:
        hop = ipaddress.ip_address(nexthop)
        if hop.version == net.version and hop in net:
            found.append((destination, nexthop))
    return found
