"""Networks: made on a free segment, shared, deleted with what belongs to them alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.db import Duplicate, Row
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.drivers.driver import Kind
from kilonova.network.store import networks, ports, routers, sharing, standard, subnets, tables
from kilonova.network.workflows.change import Change
from kilonova.network.workflows.routers import delete_floating_ip

NO_ID = -1
FLAT, VLAN, LOCAL = "flat", "vlan", "local"


async def create_network(change: Change, ask: Mapping[str, Any]) -> str:
    """Make a network; its id. ``ask``: the columns, and shared, external, and the provider's three."""
    await change.check_quota(ask["project_id"], "network")
    segment = await _choose_segment(change, ask)
    network_id = new_uuid()
    largest = change.physical_mtu if segment[0] in (FLAT, VLAN) else change.overlay_mtu
    mtu = ask["mtu"] or largest
    check_mtu(mtu, largest)
    if ask["is_default"] and not ask["external"]:
        raise errors.HTTPBadRequest(reason="is_default is for external networks only")
    values = {
        "id": network_id,
        "project_id": ask["project_id"],
        "name": ask["name"],
        "description": ask["description"],
        "tags": ask["tags"],
        "admin_state_up": ask["admin_state_up"],
        "status": "ACTIVE",
        "mtu": mtu,
        "port_security_enabled": ask["port_security_enabled"],
        "dns_domain": ask["dns_domain"],
        "is_default": ask["is_default"],
        "network_type": segment[0],
        "physical_network": segment[1],
        "segmentation_id": segment[2],
        "availability_zone_hints": [],
    }
    if ask["is_default"]:
        await _refuse_second_default(change, network_id)
    try:
        await standard.add(change.tx, tables.networks, values, change.now)
    except Duplicate:
        raise _segment_in_use(segment) if ask["network_type"] else standard.Clash() from None
    if ask["shared"]:
        await _give(change, network_id, sharing.SHARED, ask["project_id"])
    if ask["external"]:
        await _give(change, network_id, sharing.EXTERNAL, ask["project_id"])
    change.touch(Kind.NETWORK, network_id)
    return network_id


def check_mtu(mtu: int, largest: int) -> None:
    """An MTU that IPv4 can live with and the network below can carry."""
    if not 68 <= mtu <= largest:
        raise errors.InvalidInput(reason=f"Requested MTU {mtu} is not within 68 and the maximum, {largest}")


async def _choose_segment(change: Change, ask: Mapping[str, Any]) -> tuple[str, str, int]:
    kind, physical, number = ask["network_type"], ask["physical_network"], ask["segmentation_id"]
    if kind is None and (physical is not None or number is not None):
        raise errors.InvalidInput(reason="network_type required")
    if kind is None:
        return await _tenant_segment(change)
    if kind not in change.network_types:
        raise errors.InvalidInput(reason=f"network_type value '{kind}' not supported")
    if kind in (FLAT, VLAN):
        if not physical:
            raise errors.InvalidInput(reason=f"physical_network required for {kind} provider network")
        if physical not in change.physical_networks:
            raise errors.InvalidInput(reason=f"physical_network '{physical}' unknown for {kind} provider network")
        if kind == FLAT:
            if number is not None:
                raise errors.InvalidInput(reason="segmentation_id specified for flat provider network")
            return FLAT, physical, NO_ID
        if number is None:
            return VLAN, physical, await _free(change, VLAN, physical, 1, 4094)
        if not 1 <= number <= 4094:
            raise errors.InvalidInput(reason="segmentation_id out of range (1 through 4094)")
        return VLAN, physical, number
    if physical:
        raise errors.InvalidInput(reason=f"physical_network specified for {kind} provider network")
    if kind == LOCAL:
        if number is not None:
            raise errors.InvalidInput(reason="segmentation_id specified for local provider network")
        return LOCAL, "", await _free(change, LOCAL, "", 1, 2**24 - 1)
    if number is not None and not 1 <= number < 2**24:
        raise errors.InvalidInput(reason="segmentation_id out of range (1 through 16777215)")
    return (kind, "", number) if number is not None else await _tunnel(change, kind)


async def _tenant_segment(change: Change) -> tuple[str, str, int]:
    for kind in change.settings.tenant_network_types:
        if kind == VLAN:
            for vlans in change.settings.vlan_ranges:
                number = await _free_or_none(change, VLAN, vlans.physical_network, vlans.first, vlans.last)
                if number is not None:
                    return VLAN, vlans.physical_network, number
        elif kind == LOCAL:
            return LOCAL, "", await _free(change, LOCAL, "", 1, 2**24 - 1)
        elif kind in change.network_types:
            try:
                return await _tunnel(change, kind)
            except errors.NoNetworkAvailable:
                continue
    raise errors.NoNetworkAvailable()


async def _tunnel(change: Change, kind: str) -> tuple[str, str, int]:
    for first, last in change.settings.tunnel_ids:
        number = await _free_or_none(change, kind, "", first, last)
        if number is not None:
            return kind, "", number
    raise errors.NoNetworkAvailable()


async def _free(change: Change, kind: str, physical: str, first: int, last: int) -> int:
    number = await _free_or_none(change, kind, physical, first, last)
    if number is None:
        raise errors.NoNetworkAvailable()
    return number


async def _free_or_none(change: Change, kind: str, physical: str, first: int, last: int) -> int | None:
    """A free id by chance, looking at a few first: two requests at once then seldom choose the same."""
    for _ in range(3):
        number = change.chance.randint(first, last) if last >= first else first
        if last >= first and not await networks.taken_segments(change.tx, kind, physical, number, number):
            return number
    taken = await networks.taken_segments(change.tx, kind, physical, first, last)
    return next((number for number in range(first, last + 1) if number not in taken), None)


def _segment_in_use(segment: tuple[str, str, int]) -> Exception:
    kind, physical, number = segment
    if kind == FLAT:
        return errors.FlatNetworkInUse(physical_network=physical)
    if kind == VLAN:
        return errors.VlanIdInUse(segmentation_id=number, physical_network=physical)
    return errors.TunnelIdInUse(segmentation_id=number)


async def _give(change: Change, network_id: str, action: str, project_id: str) -> None:
    await sharing.give(
        change.tx,
        object_type="network",
        object_id=network_id,
        action=action,
        target=sharing.EVERYBODY,
        project_id=project_id,
    )


async def _refuse_second_default(change: Change, network_id: str) -> None:
    there = await networks.default_external(change.tx)
    if there is not None and there != network_id:
        raise errors.DefaultExternalNetworkExists(id=there)


async def update_network(change: Change, row: Row[Any], ask: Mapping[str, Any]) -> None:
    """Change a network; ``row`` as the reader sees it, ``ask`` only what changes."""
    values = {k: v for k, v in ask.items() if k in tables.networks.c}
    for name in ("network_type", "physical_network", "segmentation_id"):
        if name in values and (values.pop(name) or None) != _provider(row)[name]:
            raise errors.InvalidInput(reason="Plugin does not support updating provider attributes")
    if "mtu" in values:
        largest = change.physical_mtu if row.network_type in (FLAT, VLAN) else change.overlay_mtu
        values["mtu"] = values["mtu"] or largest
        check_mtu(values["mtu"], largest)
    if "shared" in ask:
        await _reshare(change, row, ask["shared"])
    if "external" in ask:
        await _reexpose(change, row, ask["external"])
    if values.get("is_default"):
        if not ask.get("external", row.external):
            raise errors.HTTPBadRequest(reason="is_default is for external networks only")
        await _refuse_second_default(change, row.id)
    await standard.change(change.tx, tables.networks, row.id, values, change.now)
    change.touch(Kind.NETWORK, row.id)
    if {"mtu", "dns_domain", "external"} & ask.keys():
        change.touch(Kind.SUBNET, *[subnet.id for subnet in await subnets.of_network(change.tx, row.id)])
        change.touch(Kind.PORT, *await ports.of_network(change.tx, row.id))
        change.touch(Kind.ROUTER, *await routers.routers_on_network(change.tx, row.id))


def _provider(row: Row[Any]) -> dict[str, Any]:
    return {
        "network_type": row.network_type,
        "physical_network": row.physical_network or None,
        "segmentation_id": None if row.segmentation_id == NO_ID else row.segmentation_id,
    }


async def _reshare(change: Change, row: Row[Any], shared: bool) -> None:
    given = [p for p in await sharing.of_object(change.tx, row.id) if p.action == sharing.SHARED]
    is_shared = any(p.target_project == sharing.EVERYBODY for p in given)
    if shared and not is_shared:
        await _give(change, row.id, sharing.SHARED, row.project_id)
    if not shared and is_shared:
        keep = [p.target_project for p in given if p.target_project != sharing.EVERYBODY]
        if await networks.other_users(change.tx, row.id, row.project_id, keep):
            raise errors.InvalidSharedSetting(id=row.id)
        await sharing.take(change.tx, row.id, sharing.SHARED, sharing.EVERYBODY)


async def _reexpose(change: Change, row: Row[Any], external: bool) -> None:
    given = [p for p in await sharing.of_object(change.tx, row.id) if p.action == sharing.EXTERNAL]
    if external and not given:
        await _give(change, row.id, sharing.EXTERNAL, row.project_id)
    if not external and given:
        if await networks.has_gateway_ports(change.tx, row.id):
            raise errors.ExternalNetworkInUse(id=row.id)
        await sharing.take(change.tx, row.id, sharing.EXTERNAL)


async def delete_network(change: Change, row: Row[Any]) -> None:
    """Delete a network with its subnets, automatic ports and idle floating IPs.

    Raises NetworkInUse while anything else is on it.
    """
    await standard.find(change.tx, tables.networks, row.id)
    for floating in await routers.idle_floating_ips(change.tx, row.id):
        await delete_floating_ip(change, floating)
    if await networks.ports_in_use(change.tx, row.id):
        raise errors.NetworkInUse(id=row.id)
    for port_id in await networks.automatic_ports(change.tx, row.id):
        await ports.drop(change.tx, port_id)
        change.touch(Kind.PORT, port_id)
    for subnet in await subnets.of_network(change.tx, row.id):
        await standard.drop(change.tx, tables.subnets, subnet.id)
        change.touch(Kind.SUBNET, subnet.id)
    await sharing.take(change.tx, row.id)
    await standard.drop(change.tx, tables.networks, row.id)
    change.touch(Kind.NETWORK, row.id)
