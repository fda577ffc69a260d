"""A network for a project that has none."""

from __future__ import annotations

import asyncio

from tests.network.cloud import ADMIN, OTHER, make_cloud

PATH = "auto-allocated-topology/demo"


async def test_a_project_gets_one_network_however_often_it_asks() -> None:
    cloud = make_cloud()
    outside, _ = await cloud.outside()
    await cloud.refused(409, "AutoAllocationFailure", "GET", PATH)
    await cloud.ok("PUT", f"networks/{outside['id']}", {"network": {"is_default": True}}, token=ADMIN)
    await cloud.refused(409, "AutoAllocationFailure", "GET", f"{PATH}?fields=dry-run")
    pool = {"prefixes": ["10.64.0.0/16"], "default_prefixlen": 26, "is_default": True, "shared": True}
    await cloud.make("subnetpool", token=ADMIN, **pool)
    assert (await cloud.ok("GET", f"{PATH}?fields=dry-run"))["auto_allocated_topology"]["id"] == "dry-run=pass"
    replies = await asyncio.gather(*(cloud.ok("GET", PATH) for _ in range(4)))
    (network_id,) = {reply["auto_allocated_topology"]["id"] for reply in replies}
    (router,) = (await cloud.ok("GET", "routers"))["routers"]
    assert router["external_gateway_info"]["network_id"] == outside["id"]
    port = await cloud.make("port", network_id=network_id)
    assert port["fixed_ips"][0]["ip_address"].startswith("10.64.0.")
    await cloud.refused(409, "NetworkInUse", "DELETE", PATH)
    assert len((await cloud.ok("GET", "routers"))["routers"]) == 1, "what was refused is still whole"
    await cloud.refused(403, "PolicyNotAuthorized", "GET", PATH, token=OTHER)
    await cloud.ok("DELETE", f"ports/{port['id']}")
    await cloud.ok("DELETE", PATH)
    assert (await cloud.ok("GET", "routers"))["routers"] == []
    await cloud.refused(404, "AutoAllocatedTopologyNotFound", "DELETE", PATH)
