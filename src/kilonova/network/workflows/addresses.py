"""Choosing the addresses of a port: those asked for, else one of each family, and those that IPv6 guests make."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row
from kilonova.network import errors
from kilonova.network.model import ipam, macs
from kilonova.network.model.ports import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE
from kilonova.network.store import ports, subnets
from kilonova.network.store.ports import Address
from kilonova.network.workflows.change import Change

MAC_ATTEMPTS = 16


async def choose_mac(change: Change, network_id: str) -> str:
    """A MAC address that no port of the network has."""
    for _ in range(MAC_ATTEMPTS):
        mac = macs.make(change.settings.base_mac, change.chance)
        if not await ports.macs_taken(change.tx, network_id, mac):
            return mac
    raise errors.NetworkMacAddressGenerationFailure(network_id=network_id)


async def choose_addresses(
    change: Change,
    *,
    network_id: str,
    device_owner: str,
    mac: str,
    asked: Sequence[Mapping[str, Any]] | None,
    own: Sequence[Address] = (),
) -> list[Address]:
    """The addresses for a port. ``asked`` None: one of each family that the network's subnets offer.

    Each of ``asked`` has a subnet_id, an ip_address or both; addresses among ``own`` (what the port has) are kept.
    Nothing is written; another request may be faster, which shows when the addresses are kept.
    """
    all_subnets = [s for s in await subnets.of_network(change.tx, network_id) if serves(s, device_owner)]
    chosen: list[Address] = []
    if asked is None:
        chosen = await _automatic(change, network_id, all_subnets, device_owner, mac, own)
    else:
        by_id = {s.id: s for s in all_subnets}
        for one in asked:
            chosen.append(await _asked(change, network_id, by_id, one, mac, device_owner, [*own], chosen))
        if not any("subnet_id" in one or "ip_address" in one for one in asked) and asked:
            raise errors.InvalidInput(reason="IP allocation requires subnet_id or ip_address")
        if chosen and not _is_network_owned(device_owner):
            chosen += _self_made(all_subnets, mac, chosen)
    _refuse_repeats(chosen)
    return chosen


def serves(subnet: Row[Any], device_owner: str) -> bool:
    """Whether a subnet that is kept for some kinds of devices is for this one."""
    return not subnet.service_types or any(device_owner.startswith(kind) for kind in subnet.service_types)


def _is_network_owned(device_owner: str) -> bool:
    return device_owner in (ROUTER_GATEWAY, ROUTER_INTERFACE, FLOATING_IP)


def _is_self_made(subnet: Row[Any]) -> bool:
    return bool(subnet.ip_version == 6) and ipam.is_slaac(subnet.ipv6_address_mode, subnet.ipv6_ra_mode)


async def _automatic(
    change: Change,
    network_id: str,
    all_subnets: Sequence[Row[Any]],
    device_owner: str,
    mac: str,
    own: Sequence[Address],
) -> list[Address]:
    chosen: list[Address] = []
    failed = False
    for version in (4, 6):
        candidates = [s for s in all_subnets if s.ip_version == version and not _is_self_made(s)]
        if _is_network_owned(device_owner) and version == 6 and not candidates:
            candidates = [s for s in all_subnets if s.ip_version == 6]
        for subnet in candidates:
            address = await draw(change, subnet)
            if address is not None:
                chosen.append(Address(subnet.id, address))
                break
        failed = failed or (bool(candidates) and not any(a.subnet_id in {s.id for s in candidates} for a in chosen))
    if failed:
        raise errors.IpAddressGenerationFailure(network_id=network_id)
    if not _is_network_owned(device_owner):
        chosen += _self_made(all_subnets, mac, chosen)
    return chosen


def _self_made(all_subnets: Sequence[Row[Any]], mac: str, chosen: Sequence[Address]) -> list[Address]:
    have = {address.subnet_id for address in chosen}
    return [
        Address(s.id, ipam.eui64(ipam.parse_cidr(s.cidr), mac))
        for s in all_subnets
        if _is_self_made(s) and s.id not in have
    ]


async def _asked(
    change: Change,
    network_id: str,
    by_id: Mapping[str, Row[Any]],
    one: Mapping[str, Any],
    mac: str,
    device_owner: str,
    own: Sequence[Address],
    chosen: Sequence[Address],
) -> Address:
    subnet_id, ip = one.get("subnet_id"), one.get("ip_address")
    if subnet_id is None and ip is None:
        raise errors.InvalidInput(reason="IP allocation requires subnet_id or ip_address")
    subnet = _subnet_for(network_id, by_id, subnet_id, ip)
    if ip is not None:
        return await _exactly(change, subnet, ip, mac, device_owner, own)
    kept = next((a for a in own if a.subnet_id == subnet.id and a not in chosen), None)
    if kept is not None:
        return kept
    if _is_self_made(subnet) and not _is_network_owned(device_owner):
        return Address(subnet.id, ipam.eui64(ipam.parse_cidr(subnet.cidr), mac))
    address = await draw(change, subnet, beside={a.ip for a in chosen})
    if address is None:
        raise errors.IpAddressGenerationFailure(network_id=network_id)
    return Address(subnet.id, address)


def _subnet_for(network_id: str, by_id: Mapping[str, Row[Any]], subnet_id: str | None, ip: str | None) -> Row[Any]:
    if subnet_id is not None:
        subnet = by_id.get(subnet_id)
        if subnet is None:
            raise errors.InvalidInput(
                reason=f"Failed to create port on network {network_id}, because fixed_ips included invalid "
                f"subnet {subnet_id}"
            )
        return subnet
    address = ipaddress.ip_address(str(ip))
    for subnet in by_id.values():
        if address.version == subnet.ip_version and address in ipaddress.ip_network(subnet.cidr):
            return subnet
    raise errors.InvalidIpForNetwork(ip=ip)


async def _exactly(
    change: Change, subnet: Row[Any], ip: str, mac: str, device_owner: str, own: Sequence[Address]
) -> Address:
    address, net = ipaddress.ip_address(ip), ipam.parse_cidr(subnet.cidr)
    if address.version != net.version or address not in net or int(address) not in ipam.hosts_of(net):
        raise errors.InvalidIpForSubnet(ip=ip)
    found = Address(subnet.id, str(address))
    if found in own:
        return found
    if _is_self_made(subnet) and not _is_network_owned(device_owner) and found.ip != ipam.eui64(net, mac):
        raise errors.InvalidInput(
            reason=f"IPv6 address {ip} can not be directly assigned to a port on subnet {subnet.id} since the "
            "subnet is configured for automatic addresses"
        )
    if await ports.holder(change.tx, subnet.id, found.ip) is not None:
        raise errors.IpAddressAlreadyAllocated(ip=found.ip, subnet_id=subnet.id)
    return found


async def draw(
    change: Change, subnet: Row[Any], beside: set[str] | frozenset[str] = frozenset(), *, among: int = ipam.WINDOW
) -> str | None:
    """A free address of the subnet's pools, by chance one of the lowest ``among``; None when there is none."""
    pools = [
        ipam.Pool(int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last)), subnet.ip_version)
        for first, last in subnet.allocation_pools
    ]
    also = {int(ipaddress.ip_address(ip)) for ip in beside}
    for window in ipam.windows(pools):
        taken = await ports.taken(change.tx, subnet.id, window)
        address = ipam.choose(window, taken | also, change.chance, among)
        if address is not None:
            return address
    return None


def _refuse_repeats(chosen: Sequence[Address]) -> None:
    if len(set(chosen)) != len(chosen):
        raise errors.InvalidInput(reason=f"Duplicate IP address in the port's fixed_ips: {chosen[0].ip}")
