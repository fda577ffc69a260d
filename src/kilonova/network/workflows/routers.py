"""Routers: legs in tenant networks, the gateway in an external one, extra routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.drivers.driver import Kind
from kilonova.network.model import ports as port_rules
from kilonova.network.model import routers as rules
from kilonova.network.model.ports import ROUTER_GATEWAY, ROUTER_INTERFACE
from kilonova.network.store import networks, ports, routers, standard, subnets, tables
from kilonova.network.workflows.change import Change
from kilonova.network.workflows.ports import create_port, delete_port, tell_of_target


def service_port(network_id: str, **values: Any) -> dict[str, Any]:
    """What to ask for a port of the network itself: no groups, nothing to plug."""
    return {
        "network_id": network_id,
        "project_id": "",
        "name": "",
        "description": "",
        "tags": (),
        "admin_state_up": True,
        "mac_address": None,
        "fixed_ips": None,
        "device_id": "",
        "device_owner": "",
        "port_security_enabled": False,
        "security_groups": [],
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "dns_name": "",
        "dns_domain": "",
        "propagate_uplink_status": True,
        "host": "",
        "vnic_type": "normal",
        "profile": {},
        **values,
    }


async def create_router(change: Change, ask: Mapping[str, Any]) -> str:
    """Make a router; its id. ``gateway``: None, or network_id, enable_snat, external_fixed_ips as far as said."""
    await change.check_quota(ask["project_id"], "router")
    router_id = new_uuid()
    values = {
        "id": router_id,
        **{k: ask[k] for k in ("project_id", "name", "description", "tags", "admin_state_up")},
        "status": "ACTIVE",
        "enable_snat": True,
        "gateway_port_id": None,
        "gateway_network_id": None,
        "routes": [],
        "availability_zone_hints": [],
    }
    await standard.add(change.tx, tables.routers, values, change.now)
    change.touch(Kind.ROUTER, router_id)
    if ask["gateway"]:
        row = await _find(change, router_id)
        await set_gateway(change, row, ask["gateway"], count=False)
    return router_id


async def _find(change: Change, router_id: str) -> Row[Any]:
    row = await standard.find(change.tx, tables.routers, router_id)
    if row is None:
        raise errors.RouterNotFound(id=router_id)
    return row


async def update_router(change: Change, row: Row[Any], ask: Mapping[str, Any]) -> None:
    """Change a router; ``ask`` holds only what changes (``gateway``: {} or None takes it away)."""
    await standard.find(change.tx, tables.routers, row.id)
    values = {k: v for k, v in ask.items() if k in tables.routers.c and k != "routes"}
    if "gateway" in ask:
        await set_gateway(change, row, ask["gateway"] or {}, count=False)
    if "routes" in ask:
        values["routes"] = await _checked_routes(
            change, row.id, [(r["destination"], r["nexthop"]) for r in ask["routes"]]
        )
    await standard.change(change.tx, tables.routers, row.id, values, change.now)
    change.touch(Kind.ROUTER, row.id)


async def _checked_routes(change: Change, router_id: str, routes: Sequence[rules.Route]) -> list[list[str]]:
    if len(routes) > change.settings.max_routes:
        raise errors.InvalidRoutes(routes=len(routes), reason=f"at most {change.settings.max_routes} are allowed")
    canonical = rules.canonical_routes(routes)
    row = await _find(change, router_id)
    legs = (await routers.legs(change.tx, [router_id])).get(router_id, [])
    gateway = await routers.gateway_addresses(change.tx, [row.gateway_port_id] if row.gateway_port_id else [])
    all_legs = [*legs, *(leg for group in gateway.values() for leg in group)]
    rules.check_routes(canonical, [leg.cidr for leg in all_legs], [leg.ip_address for leg in all_legs])
    return [list(route) for route in canonical]


async def change_routes(change: Change, row: Row[Any], routes: Sequence[rules.Route], *, add: bool) -> None:
    """Add or remove some extra routes, leaving the others."""
    current = await _find(change, row.id)
    there = [(d, h) for d, h in current.routes]
    said = rules.canonical_routes(routes)
    after = [*there, *(r for r in said if r not in there)] if add else [r for r in there if r not in said]
    checked = await _checked_routes(change, row.id, after) if add else [list(r) for r in after]
    await standard.change(change.tx, tables.routers, row.id, {"routes": checked}, change.now)
    change.touch(Kind.ROUTER, row.id)


# --- the gateway ------------------------------------------------------------------------------------------------


async def set_gateway(change: Change, row: Row[Any], ask: Mapping[str, Any], *, count: bool = True) -> None:
    """Give the router this gateway, or none. A gateway in the same network keeps its port and addresses."""
    network_id = ask.get("network_id")
    if network_id is None:
        await _drop_gateway(change, row)
        return
    network = await networks.facts(change.tx, network_id, change.context.project_id)
    if network is None:
        raise errors.NetworkNotFound(id=network_id)
    if not network.external:
        raise errors.BadRequest(resource="router", reason=f"Network {network_id} is not an external network")
    asked_ips = ask.get("external_fixed_ips")
    values: dict[str, Any] = {}
    if ask.get("enable_snat") is not None:
        values["enable_snat"] = ask["enable_snat"]
    elif row.gateway_network_id != network_id:
        values["enable_snat"] = True
    if row.gateway_network_id == network_id and not _differs(
        asked_ips, await _gateway_ips(change, row.gateway_port_id)
    ):
        if values:
            await standard.change(change.tx, tables.routers, row.id, values, change.now)
        change.touch(Kind.ROUTER, row.id)
        return
    if row.gateway_port_id is not None:
        if row.gateway_network_id != network_id:
            await _refuse_needed_gateway(change, row)
        await _unplug_gateway(change, row)
    await _check_gateway_overlap(change, row, network_id)
    port_id = await create_port(
        change,
        network,
        service_port(network_id, device_id=row.id, device_owner=ROUTER_GATEWAY, fixed_ips=asked_ips or None),
    )
    values |= {"gateway_port_id": port_id, "gateway_network_id": network_id}
    await standard.change(change.tx, tables.routers, row.id, values, change.now)
    change.touch(Kind.ROUTER, row.id)
    for floating in await routers.floating_ips_of_router(change.tx, row.id):
        change.touch(Kind.FLOATING_IP, floating.id)


async def _gateway_ips(change: Change, port_id: str | None) -> list[Row[Any]]:
    if port_id is None:
        return []
    return (await ports.addresses(change.tx, [port_id])).get(port_id, [])


def _differs(asked: Sequence[Mapping[str, Any]] | None, there: Sequence[Row[Any]]) -> bool:
    if asked is None:
        return False
    have = [(a.subnet_id, a.ip_address) for a in there]
    if len(asked) != len(have):
        return True
    return not all(
        any(one.get("subnet_id") in (None, subnet) and one.get("ip_address") in (None, ip) for subnet, ip in have)
        for one in asked
    )


async def _check_gateway_overlap(change: Change, row: Row[Any], network_id: str) -> None:
    legs = (await routers.legs(change.tx, [row.id])).get(row.id, [])
    for subnet in await subnets.of_network(change.tx, network_id):
        rules.check_no_overlap(row.id, subnet.cidr, subnet.id, [(leg.subnet_id, leg.cidr) for leg in legs])


async def _refuse_needed_gateway(change: Change, row: Row[Any]) -> None:
    if await routers.floating_ips_of_router(change.tx, row.id):
        raise errors.RouterExternalGatewayInUseByFloatingIp(router_id=row.id, network_id=row.gateway_network_id)


async def _drop_gateway(change: Change, row: Row[Any]) -> None:
    if row.gateway_port_id is None:
        return
    await _refuse_needed_gateway(change, row)
    await _unplug_gateway(change, row)


async def _unplug_gateway(change: Change, row: Row[Any]) -> None:
    none = {"gateway_port_id": None, "gateway_network_id": None}
    await standard.change(change.tx, tables.routers, row.id, none, change.now)
    port = await ports.find(change.tx, row.gateway_port_id)
    if port is not None:
        await delete_port(change, port, by_user=False)
    change.touch(Kind.ROUTER, row.id)


# --- legs -------------------------------------------------------------------------------------------------------


async def add_subnet(change: Change, row: Row[Any], subnet: Row[Any]) -> str:
    """Give the router the gateway address of a subnet; the port's id. IPv6 subnets of one network share a port."""
    await standard.find(change.tx, tables.routers, row.id)
    if not subnet.gateway_ip:
        raise errors.BadRequest(resource="router", reason="Subnet for router interface must have a gateway IP")
    await _check_new_leg(change, row, [subnet])
    network = await networks.facts(change.tx, subnet.network_id, change.context.project_id)
    if network is None:
        raise errors.NetworkNotFound(id=subnet.network_id)
    address = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
    port_id = await create_port(
        change,
        network,
        service_port(
            subnet.network_id,
            project_id=row.project_id,
            device_id=row.id,
            device_owner=ROUTER_INTERFACE,
            fixed_ips=[address],
        ),
    )
    await _note_leg(change, row, port_id)
    return port_id


async def add_port(change: Change, row: Row[Any], port: Row[Any]) -> list[str]:
    """Make a port that is there a leg of the router; the ids of its subnets."""
    await standard.find(change.tx, tables.routers, row.id)
    if port.device_id:
        raise errors.PortInUse(port_id=port.id, network_id=port.network_id, device_id=port.device_id)
    addresses = (await ports.addresses(change.tx, [port.id])).get(port.id, [])
    if not addresses:
        raise errors.BadRequest(resource="router", reason="Router port must have at least one fixed IP")
    found = await standard.find_all(change.tx, tables.subnets, [a.subnet_id for a in addresses])
    legs = [found[a.subnet_id] for a in addresses]
    if sum(leg.ip_version == 4 for leg in legs) > 1:
        raise errors.BadRequest(resource="router", reason="Cannot have multiple IPv4 subnets on router port")
    await _check_new_leg(change, row, legs)
    values = {"device_id": row.id, "device_owner": ROUTER_INTERFACE, "port_security_enabled": False}
    await ports.keep_groups(change.tx, port.id, ())
    await standard.change(change.tx, tables.ports, port.id, {**values, "allowed_address_pairs": []}, change.now)
    change.touch(Kind.PORT, port.id)
    await _note_leg(change, row, port.id)
    return [leg.id for leg in legs]


async def _check_new_leg(change: Change, row: Row[Any], new: Sequence[Row[Any]]) -> None:
    legs = (await routers.legs(change.tx, [row.id])).get(row.id, [])
    outside = await routers.gateway_addresses(change.tx, [row.gateway_port_id] if row.gateway_port_id else [])
    there = [(leg.subnet_id, leg.cidr) for leg in [*legs, *(a for group in outside.values() for a in group)]]
    for subnet in new:
        rules.check_no_overlap(row.id, subnet.cidr, subnet.id, there)


async def _note_leg(change: Change, row: Row[Any], port_id: str) -> None:
    await routers.add_interface(change.tx, row.id, port_id)
    await standard.change(change.tx, tables.routers, row.id, {}, change.now)
    change.touch(Kind.ROUTER, row.id)


async def remove_leg(
    change: Change, row: Row[Any], *, port_id: str | None, subnet_id: str | None
) -> tuple[str, list[str], str]:
    """Take a leg away by its port or its subnet; port id, subnet ids, network id of what was removed."""
    current = await _find(change, row.id)
    legs = (await routers.legs(change.tx, [row.id])).get(row.id, [])
    mine = [
        leg
        for leg in legs
        if (port_id is None or leg.port_id == port_id) and (subnet_id is None or leg.subnet_id == subnet_id)
    ]
    if not mine:
        if port_id is not None:
            raise errors.RouterInterfaceNotFound(router_id=row.id, port_id=port_id)
        raise errors.RouterInterfaceNotFoundForSubnet(router_id=row.id, subnet_id=subnet_id)
    leg_port = mine[0].port_id
    leaving = [leg for leg in legs if leg.port_id == leg_port]
    await _refuse_needed_legs(change, current, leaving)
    await routers.drop_interface(change.tx, leg_port)
    port = await ports.find(change.tx, leg_port)
    if port is not None:
        await delete_port(change, port, by_user=False)
    await standard.change(change.tx, tables.routers, row.id, {}, change.now)
    change.touch(Kind.ROUTER, row.id)
    return leg_port, [leg.subnet_id for leg in leaving], leaving[0].network_id


async def _refuse_needed_legs(change: Change, row: Row[Any], leaving: Sequence[Row[Any]]) -> None:
    floating = await routers.floating_ips_of_router(change.tx, row.id)
    targets = await ports.addresses(change.tx, [f.port_id for f in floating if f.port_id])
    used = {(f.port_id, f.fixed_ip_address) for f in floating}
    through = {a.subnet_id for group in targets.values() for a in group if (a.port_id, a.ip_address) in used}
    for leg in leaving:
        if leg.subnet_id in through:
            raise errors.RouterInterfaceInUseByFloatingIP(router_id=row.id, subnet_id=leg.subnet_id)
        if rules.routes_through([(d, h) for d, h in row.routes], leg.cidr):
            raise errors.RouterInterfaceInUseByRoute(router_id=row.id, subnet_id=leg.subnet_id)


async def delete_router(change: Change, row: Row[Any]) -> None:
    """Delete a router that has no legs; its gateway goes with it unless floating IPs need it."""
    current = await _find(change, row.id)
    if (await routers.legs(change.tx, [row.id])).get(row.id):
        raise errors.RouterInUse(id=row.id, reason="has ports")
    if await routers.floating_ips_of_router(change.tx, row.id):
        raise errors.RouterInUse(id=row.id, reason="has floating IPs")
    if current.gateway_port_id is not None:
        await _unplug_gateway(change, current)
    await standard.drop(change.tx, tables.routers, row.id)
    change.touch(Kind.ROUTER, row.id)


# --- floating IPs -----------------------------------------------------------------------------------------------


async def create_floating_ip(change: Change, ask: Mapping[str, Any], target: Row[Any] | None) -> str:
    """Take an address of an external network, for ``target`` (a port) or for later; the floating IP's id."""
    await change.check_quota(ask["project_id"], "floatingip")
    network_id = ask["floating_network_id"]
    network = await networks.facts(change.tx, network_id, change.context.project_id)
    if network is None:
        raise errors.NetworkNotFound(id=network_id)
    if not network.external:
        raise errors.BadRequest(resource="floatingip", reason=f"Network {network_id} is not a valid external network")
    there = await subnets.of_network(change.tx, network_id)
    if not any(s.ip_version == 4 for s in there):
        raise errors.BadRequest(resource="floatingip", reason=f"Network {network_id} does not contain any IPv4 subnet")
    floating_id = new_uuid()
    port_id = await create_port(
        change,
        network,
        service_port(
            network_id,
            device_id=floating_id,
            device_owner=port_rules.FLOATING_IP,
            fixed_ips=_floating_address(ask, there),
        ),
    )
    owned = (await ports.addresses(change.tx, [port_id]))[port_id]
    address = next((a.ip_address for a in owned if ":" not in a.ip_address), None)
    if address is None:
        raise errors.IpAddressGenerationFailure(network_id=network_id)
    values = {
        "id": floating_id,
        "project_id": ask["project_id"],
        "description": ask["description"],
        "tags": ask["tags"],
        "floating_network_id": network_id,
        "floating_port_id": port_id,
        "floating_ip_address": address,
        "status": "DOWN",
        "dns_name": ask["dns_name"],
        "dns_domain": ask["dns_domain"],
    }
    if target is not None:
        values |= await _association(change, floating_id, address, network_id, target, ask["fixed_ip_address"])
    await standard.add(change.tx, tables.floatingips, values, change.now)
    change.touch(Kind.FLOATING_IP, floating_id)
    await tell_of_target(change, values.get("port_id"))
    return floating_id


def _floating_address(ask: Mapping[str, Any], there: Sequence[Row[Any]]) -> list[dict[str, Any]] | None:
    address, subnet_id = ask["floating_ip_address"], ask["subnet_id"]
    if address is not None and subnet_id is not None:
        return [{"subnet_id": subnet_id, "ip_address": address}]
    if address is not None:
        return [{"ip_address": address}]
    if subnet_id is not None:
        return [{"subnet_id": subnet_id}]
    return None


async def update_floating_ip(change: Change, row: Row[Any], ask: Mapping[str, Any], target: Row[Any] | None) -> None:
    """Change a floating IP; with ``port_id`` in ``ask`` it leads to ``target`` or nowhere."""
    values = {k: v for k, v in ask.items() if k in ("description", "tags", "dns_name", "dns_domain")}
    if "port_id" in ask or "fixed_ip_address" in ask:
        if target is not None:
            values |= await _association(
                change,
                row.id,
                row.floating_ip_address,
                row.floating_network_id,
                target,
                ask.get("fixed_ip_address"),
            )
        elif "port_id" in ask:
            values |= {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
    await standard.change(change.tx, tables.floatingips, row.id, values, change.now)
    change.touch(Kind.FLOATING_IP, row.id)
    for port_id in {row.port_id, values.get("port_id")} if "port_id" in values else ():
        await tell_of_target(change, port_id)


async def _association(
    change: Change, floating_id: str, address: str, network_id: str, target: Row[Any], fixed_ip: str | None
) -> dict[str, Any]:
    fixed = await _fixed_address(change, target, fixed_ip)
    joining = await routers.routers_joining(change.tx, network_id, fixed.subnet_id)
    if not joining:
        raise errors.ExternalGatewayForFloatingIPNotFound(
            network_id=network_id, subnet_id=fixed.subnet_id, port_id=target.id
        )
    router = next((r for r in joining if r.ip_address == r.gateway_ip), joining[0])
    other = await routers.floating_ip_at(change.tx, network_id, target.id, fixed.ip_address)
    if other is not None and other.id != floating_id:
        raise errors.FloatingIPPortAlreadyAssociated(
            ip=address, port_id=target.id, fixed_ip=fixed.ip_address, network_id=network_id
        )
    return {
        "port_id": target.id,
        "fixed_ip_address": fixed.ip_address,
        "router_id": router.id,
        "status": "ACTIVE",
    }


async def _fixed_address(change: Change, target: Row[Any], fixed_ip: str | None) -> Row[Any]:
    addresses = (await ports.addresses(change.tx, [target.id])).get(target.id, [])
    four = [a for a in addresses if ":" not in a.ip_address]
    if fixed_ip is not None:
        for one in four:
            if one.ip_address == fixed_ip:
                return one
        raise errors.BadRequest(resource="floatingip", reason=f"Port {target.id} does not have fixed ip {fixed_ip}")
    if not four:
        raise errors.BadRequest(
            resource="floatingip", reason=f"Cannot add floating IP to port {target.id} that has no fixed IPv4 addresses"
        )
    if len(four) > 1:
        raise errors.BadRequest(
            resource="floatingip",
            reason=f"Port {target.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address",
        )
    return four[0]


async def delete_floating_ip(change: Change, row: Row[Any]) -> None:
    """Give the address back."""
    await standard.drop(change.tx, tables.floatingips, row.id)
    port = await ports.find(change.tx, row.floating_port_id)
    if port is not None:
        await delete_port(change, port, by_user=False)
    change.touch(Kind.FLOATING_IP, row.id)
    await tell_of_target(change, row.port_id)
