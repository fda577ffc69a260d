"""A network for a project that has none: behind a router to the default external network, out of the default pools."""

from __future__ import annotations

from typing import Any

from kilonova.network import errors
from kilonova.network.store import auto_topologies, networks, routers, standard, subnets, tables
from kilonova.network.workflows import networks as network_work
from kilonova.network.workflows import routers as router_work
from kilonova.network.workflows import subnets as subnet_work
from kilonova.network.workflows.change import Change

_NAMELESS = {"description": "", "tags": ()}


async def check(change: Change) -> tuple[str, list[Any]]:
    """The default external network and the default pools. Raises AutoAllocationFailure, naming what is missing."""
    external = await networks.default_external(change.tx)
    if external is None:
        raise errors.AutoAllocationFailure(reason="No default router:external network")
    pools = list(await auto_topologies.default_pools(change.tx))
    if not pools:
        raise errors.AutoAllocationFailure(reason="No default subnetpools defined")
    return external, pools


async def ensure(change: Change, project_id: str) -> str:
    """The id of the project's network, made now unless it is there."""
    found = await auto_topologies.find(change.tx, project_id)
    if found is not None:
        if await standard.find(change.tx, tables.networks, found.network_id) is not None:
            return str(found.network_id)
        await auto_topologies.forget(change.tx, project_id)
    external, pools = await check(change)
    network_id = await network_work.create_network(
        change,
        {
            **_NAMELESS, "project_id": project_id, "name": "auto_allocated_network", "admin_state_up": True, "mtu": 0,
            "port_security_enabled": True, "dns_domain": "", "is_default": False, "shared": False, "external": False,
            "network_type": None, "physical_network": None, "segmentation_id": None,
        },
    )  # fmt: skip
    gateway = {"network_id": external}
    router = {**_NAMELESS, "project_id": project_id, "name": "auto_allocated_router", "admin_state_up": True}
    router_id = await router_work.create_router(change, {**router, "gateway": gateway})
    for pool in pools:
        await _add_subnet(change, project_id, network_id, router_id, pool)
    await auto_topologies.keep(change.tx, project_id, network_id, router_id)
    return network_id


async def _add_subnet(change: Change, project_id: str, network_id: str, router_id: str, pool: Any) -> None:
    network = await networks.facts(change.tx, network_id, project_id)
    assert network is not None
    mode = "slaac" if pool.ip_version == 6 else None
    subnet_id = await subnet_work.create_subnet(
        change,
        network,
        {
            **_NAMELESS, "project_id": project_id, "name": f"auto_allocated_subnet_v{pool.ip_version}", "cidr": None,
            "ip_version": pool.ip_version, "subnetpool_id": pool.id, "prefixlen": None, "gateway_ip": "",
            "enable_dhcp": True, "ipv6_ra_mode": mode, "ipv6_address_mode": mode, "allocation_pools": None,
            "dns_nameservers": (), "host_routes": (), "service_types": [], "dns_publish_fixed_ip": False,
        },
    )  # fmt: skip
    router = await standard.find(change.tx, tables.routers, router_id)
    subnet = await standard.find(change.tx, tables.subnets, subnet_id)
    assert router is not None
    assert subnet is not None
    await router_work.add_subnet(change, router, subnet)


async def delete(change: Change, project_id: str) -> None:
    """Delete what was made for a project. Raises NetworkInUse while servers are on it."""
    found = await auto_topologies.find(change.tx, project_id)
    if found is None:
        raise errors.AutoAllocatedTopologyNotFound(id=project_id)
    router = await standard.find(change.tx, tables.routers, found.router_id)
    if router is not None:
        for leg in (await routers.legs(change.tx, [router.id])).get(router.id, []):
            await router_work.remove_leg(change, router, port_id=None, subnet_id=leg.subnet_id)
        await router_work.delete_router(change, router)
    network = await networks.facts(change.tx, found.network_id, project_id)
    if network is not None:
        if await networks.ports_in_use(change.tx, network.id):
            raise errors.NetworkInUse(id=network.id)
        for subnet in await subnets.of_network(change.tx, network.id):
            await subnet_work.delete_subnet(change, network, subnet)
        await network_work.delete_network(change, network)
    await auto_topologies.forget(change.tx, project_id)
