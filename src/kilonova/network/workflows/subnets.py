"""Subnets, subnet pools, and the metadata port that a network's first DHCP subnet brings."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.drivers.driver import Kind
from kilonova.network.model import ipam
from kilonova.network.model.ports import METADATA, UNBOUND
from kilonova.network.store import ports, routers, sharing, standard, subnets, tables
from kilonova.network.store.ports import ACTIVE, Address
from kilonova.network.workflows import addresses
from kilonova.network.workflows.change import Change


async def create_subnet(change: Change, network: Row[Any], ask: Mapping[str, Any]) -> str:
    """Make a subnet in ``network`` (with ``external``); its id."""
    await change.check_quota(ask["project_id"], "subnet")
    subnet_id = new_uuid()
    await standard.find(change.tx, tables.networks, network.id)  # one subnet at a time: none may overlap another
    there = await subnets.of_network(change.tx, network.id)
    net = await _choose_cidr(change, network, ask, there)
    ipam.check_no_overlap(net, [(s.id, s.cidr) for s in there])
    ipam.check_ipv6_modes(net.version, ask["ipv6_ra_mode"], ask["ipv6_address_mode"], ask["enable_dhcp"])
    if net.version == 6 and ipam.is_slaac(ask["ipv6_address_mode"], ask["ipv6_ra_mode"]) and net.prefixlen != 64:
        raise errors.InvalidInput(reason=f"Invalid CIDR {net} for IPv6 address mode: a /64 prefix is needed")
    gateway = _gateway(ask, net)
    pools = _pools(ask["allocation_pools"], net, gateway)
    check_servers(change, ask["dns_nameservers"])
    routes = host_routes(change, ask["host_routes"], net.version)
    values = {
        "id": subnet_id,
        "network_id": network.id,
        "ip_version": net.version,
        "cidr": str(net),
        "gateway_ip": gateway,
        "allocation_pools": [list(pool.ends()) for pool in pools],
        "host_routes": routes,
        "dns_nameservers": list(ask["dns_nameservers"]),
    }
    kept: tuple[str, ...] = (
        "project_id",
        "name",
        "description",
        "tags",
        "enable_dhcp",
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "service_types",
        "dns_publish_fixed_ip",
        "subnetpool_id",
    )
    values |= {name: ask[name] for name in kept}
    await standard.add(change.tx, tables.subnets, values, change.now)
    change.touch(Kind.SUBNET, subnet_id)
    await _spread_self_made(change, network.id, subnet_id, net, ask)
    await tend_metadata_port(change, network)
    return subnet_id


async def _choose_cidr(
    change: Change, network: Row[Any], ask: Mapping[str, Any], there: Sequence[Row[Any]]
) -> ipam.IpNetwork:
    version, cidr, pool_id = ask["ip_version"], ask["cidr"], ask["subnetpool_id"]
    if pool_id is not None:
        return await _from_pool(change, ask, there)
    if cidr is None:
        raise errors.BadRequest(resource="subnets", reason="a subnetpool must be specified in the absence of a cidr")
    net = ipam.parse_cidr(cidr)
    if version is not None and net.version != version:
        raise errors.InvalidInput(reason=f"IP version of cidr '{cidr}' does not match ip_version '{version}'")
    return net


async def _from_pool(change: Change, ask: Mapping[str, Any], there: Sequence[Row[Any]]) -> ipam.IpNetwork:
    pool = await standard.find(change.tx, tables.subnetpools, ask["subnetpool_id"])
    if pool is None:
        raise errors.SubnetPoolNotFound(id=ask["subnetpool_id"])
    if ask["ip_version"] is not None and ask["ip_version"] != pool.ip_version:
        raise errors.BadRequest(resource="subnets", reason="the subnet's IP version is not the subnet pool's")
    for other in there:
        if other.ip_version == pool.ip_version and other.subnetpool_id != pool.id:
            raise errors.BadRequest(
                resource="subnets",
                reason="subnets hosted on the same network must be allocated from the same subnet pool",
            )
    taken = [s.cidr for s in await subnets.of_pool(change.tx, pool.id)]
    if ask["cidr"] is not None:
        net = ipam.parse_cidr(ask["cidr"])
        inside = any(_within(net, ipaddress.ip_network(p)) for p in pool.prefixes)
        if not inside or any(net.overlaps(ipaddress.ip_network(c)) for c in taken):
            raise errors.SubnetAllocationError(
                reason="Cannot allocate requested subnet from the available set of prefixes"
            )
        _check_prefixlen(net.prefixlen, pool)
    else:
        prefixlen = ask["prefixlen"] if ask["prefixlen"] is not None else pool.default_prefixlen
        _check_prefixlen(prefixlen, pool)
        found = ipam.carve(pool.prefixes, taken, prefixlen)
        if found is None:
            raise errors.SubnetAllocationError(reason=f"Insufficient prefix space to allocate subnet size /{prefixlen}")
        net = found
    if (
        pool.default_quota is not None
        and _units(net, pool)
        + sum(
            _units(ipaddress.ip_network(s.cidr), pool)
            for s in await subnets.of_pool(change.tx, pool.id)
            if s.project_id == ask["project_id"]
        )
        > pool.default_quota
    ):
        raise errors.OverQuota(resources=["prefix"])
    return net


def _within(net: ipam.IpNetwork, prefix: ipam.IpNetwork) -> bool:
    return net.version == prefix.version and net.prefixlen >= prefix.prefixlen and net.overlaps(prefix)


def _units(net: ipam.IpNetwork, pool: Row[Any]) -> int:
    """What a subnet costs of its pool's quota: addresses in IPv4, /64s in IPv6."""
    return int(net.num_addresses) if pool.ip_version == 4 else max(1, net.num_addresses >> 64)


def _check_prefixlen(prefixlen: int, pool: Row[Any]) -> None:
    if prefixlen < pool.min_prefixlen:
        raise errors.BadRequest(resource="subnets", reason=f"prefix length {prefixlen} is below the pool's minimum")
    if prefixlen > pool.max_prefixlen:
        raise errors.BadRequest(resource="subnets", reason=f"prefix length {prefixlen} is above the pool's maximum")


def _gateway(ask: Mapping[str, Any], net: ipam.IpNetwork) -> str | None:
    if ask["gateway_ip"] is None:
        return None
    if ask["gateway_ip"] == "":  # not said
        return ipam.default_gateway(net)
    gateway = str(ipaddress.ip_address(ask["gateway_ip"]))
    ipam.check_gateway(gateway, net)
    return gateway


def _pools(
    asked: Sequence[Mapping[str, str]] | None, net: ipam.IpNetwork, gateway: str | None
) -> tuple[ipam.Pool, ...]:
    if asked is None:
        return ipam.default_pools(net, gateway)
    pools = ipam.parse_pools([(pool["start"], pool["end"]) for pool in asked], net)
    ipam.check_gateway_outside_pools(gateway, pools)
    return pools


def check_servers(change: Change, servers: Sequence[str]) -> None:
    """Not more name servers than allowed, and none twice."""
    if len(servers) > change.settings.max_dns_nameservers:
        raise errors.BadRequest(resource="subnets", reason="too many dns_nameservers")
    if len(set(servers)) != len(servers):
        raise errors.InvalidInput(reason="a name server is listed twice")


def host_routes(change: Change, routes: Sequence[Mapping[str, str]], version: int) -> list[list[str]]:
    """Host routes in canonical text."""
    if len(routes) > change.settings.max_host_routes:
        raise errors.BadRequest(resource="subnets", reason="too many host_routes")
    found = []
    for route in routes:
        try:
            net = ipaddress.ip_network(route["destination"], strict=False)
            hop = ipaddress.ip_address(route["nexthop"])
        except ValueError as error:
            raise errors.InvalidInput(reason=str(error)) from None
        if net.version != version or hop.version != version:
            raise errors.InvalidInput(reason=f"host route {net} via {hop} is not of IP version {version}")
        found.append([str(net), str(hop)])
    return found


async def _spread_self_made(
    change: Change, network_id: str, subnet_id: str, net: ipam.IpNetwork, ask: Mapping[str, Any]
) -> None:
    """Ports that are there already make themselves an address in a new SLAAC subnet."""
    if net.version != 6 or not ipam.is_slaac(ask["ipv6_address_mode"], ask["ipv6_ra_mode"]):
        return
    rows = await ports.find_all(change.tx, await ports.of_network(change.tx, network_id))
    have = await ports.addresses(change.tx, list(rows))
    for row in rows.values():
        if row.device_owner.startswith("network:") or not have.get(row.id):
            continue
        own = [Address(a.subnet_id, a.ip_address) for a in have[row.id]]
        made = Address(subnet_id, ipam.eui64(net, row.mac_address))
        await ports.keep_addresses(change.tx, row.id, network_id, [*own, made])
        await standard.change(change.tx, tables.ports, row.id, {}, change.now)
        change.touch(Kind.PORT, row.id)


async def tend_metadata_port(change: Change, network: Row[Any]) -> None:
    """The network's metadata port has an address in each IPv4 subnet with DHCP; there is none on external networks."""
    if network.external:
        return
    wanted = [s for s in await subnets.of_network(change.tx, network.id) if s.ip_version == 4 and s.enable_dhcp]
    port = await ports.metadata_port(change.tx, network.id)
    if port is None and not wanted:
        return
    own: list[Address] = []
    if port is None:
        port_id = await _make_metadata_port(change, network)
    else:
        port_id = port.id
        have = (await ports.addresses(change.tx, [port_id])).get(port_id, [])
        own = [Address(a.subnet_id, a.ip_address) for a in have]
    after = []
    for subnet in wanted:
        kept = next((a for a in own if a.subnet_id == subnet.id), None)
        address = kept.ip if kept else await addresses.draw(change, subnet, among=1)
        if address is not None:
            after.append(Address(subnet.id, address))
    if after == own and port is not None:
        return
    await ports.keep_addresses(change.tx, port_id, network.id, after)
    if port is not None:
        await standard.change(change.tx, tables.ports, port_id, {}, change.now)
    change.touch(Kind.PORT, port_id)
    change.touch(Kind.SUBNET, *[a.subnet_id for a in set(after) ^ set(own)])


async def _make_metadata_port(change: Change, network: Row[Any]) -> str:
    port_id = new_uuid()
    values = {
        "id": port_id,
        "network_id": network.id,
        "project_id": "",
        "mac_address": await addresses.choose_mac(change, network.id),
        "admin_state_up": True,
        "status": "DOWN",
        "device_id": f"ovnmeta-{network.id}",
        "device_owner": METADATA,
        "port_security_enabled": False,
        "dns_name": "",
        "dns_domain": "",
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "propagate_uplink_status": True,
    }
    await standard.add(change.tx, tables.ports, values, change.now)
    unbound = {"status": ACTIVE, "vnic_type": "normal", "profile": {}, "vif_type": UNBOUND, "vif_details": {}}
    await ports.add_binding(change.tx, port_id, "", unbound)
    return port_id


async def update_subnet(change: Change, network: Row[Any], row: Row[Any], ask: Mapping[str, Any]) -> None:
    """Change a subnet; ``ask`` holds only what changes."""
    net = ipam.parse_cidr(row.cidr)
    values = {k: v for k, v in ask.items() if k in tables.subnets.c}
    gateway = row.gateway_ip
    if "gateway_ip" in values:
        gateway = None if values["gateway_ip"] is None else str(ipaddress.ip_address(values["gateway_ip"]))
        if gateway is not None:
            ipam.check_gateway(gateway, net)
        if gateway != row.gateway_ip:
            await _refuse_gateway_in_use(change, row)
        values["gateway_ip"] = gateway
    pairs = [(p["start"], p["end"]) for p in values["allocation_pools"]] if "allocation_pools" in values else None
    pools = ipam.parse_pools(pairs if pairs is not None else row.allocation_pools, net)
    if pairs is not None or "gateway_ip" in values:
        ipam.check_gateway_outside_pools(gateway, pools)
    if pairs is not None:
        values["allocation_pools"] = [list(pool.ends()) for pool in pools]
    if "dns_nameservers" in values:
        check_servers(change, values["dns_nameservers"])
    if "host_routes" in values:
        values["host_routes"] = host_routes(change, values["host_routes"], row.ip_version)
    enable_dhcp = values.get("enable_dhcp", row.enable_dhcp)
    if not enable_dhcp and (row.ipv6_ra_mode or row.ipv6_address_mode):
        ipam.check_ipv6_modes(6, row.ipv6_ra_mode, row.ipv6_address_mode, enable_dhcp)
    await standard.change(change.tx, tables.subnets, row.id, values, change.now)
    change.touch(Kind.SUBNET, row.id)
    if enable_dhcp != row.enable_dhcp:
        await tend_metadata_port(change, network)
        change.touch(Kind.PORT, *await ports.with_subnet(change.tx, row.id))
    if {"gateway_ip", "dns_nameservers"} & values.keys():
        change.touch(Kind.ROUTER, *await routers.routers_on_network(change.tx, row.network_id))


async def _refuse_gateway_in_use(change: Change, row: Row[Any]) -> None:
    if row.gateway_ip is None:
        return
    for user in await subnets.users(change.tx, row.id):
        if user.ip_address == row.gateway_ip and user.device_owner == "network:router_interface":
            raise errors.GatewayIpInUse(ip=row.gateway_ip, port_id=user.id)


async def delete_subnet(change: Change, network: Row[Any], row: Row[Any]) -> None:
    """Delete a subnet. Raises SubnetInUse while a port has an address of it that it did not make itself."""
    await standard.find(change.tx, tables.subnets, row.id)
    slaac = row.ip_version == 6 and ipam.is_slaac(row.ipv6_address_mode, row.ipv6_ra_mode)
    user = await subnets.first_user(change.tx, row.id, slaac=slaac)
    if user is not None:
        raise errors.SubnetInUse(
            id=row.id, reason=f"One or more ports have an IP allocation from this subnet, for example {user.id}."
        )
    for port_id in await ports.drop_subnet_addresses(change.tx, row.id):
        await standard.change(change.tx, tables.ports, port_id, {}, change.now)
        change.touch(Kind.PORT, port_id)
    await standard.drop(change.tx, tables.subnets, row.id)
    change.touch(Kind.SUBNET, row.id)
    await tend_metadata_port(change, network)


# --- pools ------------------------------------------------------------------------------------------------------


def check_pool(prefixes: Sequence[str], ask: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a subnet pool: one IP version, prefixes merged, prefix lengths within bounds."""
    nets = [ipam.parse_cidr(prefix) for prefix in prefixes]
    if not nets:
        raise errors.BadRequest(resource="subnetpool", reason="empty subnet pool prefix list")
    versions = {net.version for net in nets}
    if len(versions) != 1:
        raise errors.BadRequest(resource="subnetpool", reason="cannot mix IPv4 and IPv6 prefixes in a subnet pool")
    version = versions.pop()
    low = ask.get("min_prefixlen")
    low = low if low is not None else (8 if version == 4 else 64)
    high = ask.get("max_prefixlen")
    high = high if high is not None else (32 if version == 4 else 128)
    default = ask.get("default_prefixlen")
    default = default if default is not None else low
    if not low <= default <= high <= (32 if version == 4 else 128):
        raise errors.BadRequest(
            resource="subnetpool", reason=f"illegal prefix bounds: min {low}, default {default}, max {high}"
        )
    merged = ipaddress.collapse_addresses(nets)  # type: ignore[type-var]
    return {
        "ip_version": version,
        "prefixes": [str(net) for net in merged],
        "min_prefixlen": low,
        "max_prefixlen": high,
        "default_prefixlen": default,
    }


async def create_pool(change: Change, ask: Mapping[str, Any]) -> str:
    """Make a subnet pool; its id."""
    await change.check_quota(ask["project_id"], "subnetpool")
    pool_id = new_uuid()
    values = {
        "id": pool_id,
        **{k: ask[k] for k in ("project_id", "name", "description", "tags", "default_quota", "is_default")},
        **check_pool(ask["prefixes"], ask),
    }
    await standard.add(change.tx, tables.subnetpools, values, change.now)
    if ask["shared"]:
        await sharing.give(
            change.tx,
            object_type="subnetpool",
            object_id=pool_id,
            action=sharing.SHARED,
            target=sharing.EVERYBODY,
            project_id=ask["project_id"],
        )
    return pool_id


async def update_pool(change: Change, row: Row[Any], ask: Mapping[str, Any]) -> None:
    """Change a subnet pool; prefixes can be added, not taken away."""
    values = {k: v for k, v in ask.items() if k in tables.subnetpools.c}
    if {"prefixes", "min_prefixlen", "max_prefixlen", "default_prefixlen"} & values.keys():
        bounds = {k: getattr(row, k) for k in ("min_prefixlen", "max_prefixlen", "default_prefixlen")}
        values |= check_pool(values.get("prefixes", row.prefixes), {**bounds, **values})
        if values["ip_version"] != row.ip_version:
            raise errors.BadRequest(resource="subnetpool", reason="the IP version cannot change")
        new = [ipaddress.ip_network(p) for p in values["prefixes"]]
        for prefix in row.prefixes:
            if not any(_within(ipaddress.ip_network(prefix), net) for net in new):
                raise errors.BadRequest(
                    resource="subnetpool", reason="existing prefixes must be a subset of the new prefixes"
                )
    await standard.change(change.tx, tables.subnetpools, row.id, values, change.now)


async def delete_pool(change: Change, row: Row[Any]) -> None:
    """Delete a subnet pool that no subnet is from."""
    if await subnets.of_pool(change.tx, row.id):
        raise errors.SubnetPoolInUse(id=row.id)
    await sharing.take(change.tx, row.id)
    await standard.drop(change.tx, tables.subnetpools, row.id)
