"""The whole way: the network service's API, its database, the OVN driver, OVN, and a guest on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kilonova.kernel.clock import SystemClock
from kilonova.kernel.testing import TestClient, fake_identity, memory_database
from kilonova.network.app import build
from kilonova.network.config import Settings
from kilonova.network.drivers.driver import Delete, FixedIp, Kind
from kilonova.network.store import tables
from tests.network.ovn import make
from tests.network.ovn.guests import Guest, fetch_from, ping_from
from tests.network.ovn.test_dataplane import World, place, world_in

__all__ = ["place"]

pytestmark = pytest.mark.real


class Api:
    """Each call must succeed; gives the one thing in the answer."""

    def __init__(self, client: TestClient):
        self._client = client

    async def post(self, kind: str, **body: Any) -> dict[str, Any]:
        answer = await self._client.post(f"/v2.0/{kind}s", json={kind.replace("-", "_"): body})
        assert answer.status == 201, answer.json
        return dict(next(iter(answer.json.values())))

    async def put(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self._client.put(f"/v2.0/{path}", json=body)
        assert answer.status == 200, answer.json
        return dict(answer.json)

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self._client.get(f"/v2.0/{path}")
        assert answer.status == 200, answer.json
        return dict(next(iter(answer.json.values())))

    async def delete(self, path: str) -> None:
        answer = await self._client.delete(f"/v2.0/{path}")
        assert answer.status == 204, answer.json


@pytest.fixture
async def joined(place: Any) -> AsyncIterator[tuple[World, Api]]:
    from kilonova.network.agent.config import EngineSettings
    from kilonova.network.agent.engine import Engine

    try:
        async with world_in(*place) as world:
            db = memory_database(tables.metadata)
            service = build(Settings(), db, SystemClock(), driver=world.driver, authenticate=fake_identity())
            tasks = [asyncio.create_task(loop()) for loop in service.background]  # type: ignore[arg-type]
            yield world, Api(TestClient(service.app))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await db.close()
    finally:
        await Engine(EngineSettings(place[0], "host-1", netns=place[1])).teardown()


async def until_active(api: Api, port_id: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while (port := await api.get(f"ports/{port_id}"))["status"] != "ACTIVE":
            await asyncio.sleep(0.02)
    return port


async def test_what_the_api_says_is_what_a_guest_gets(joined: tuple[World, Api]) -> None:
    world, api = joined
    net = await api.post("network", name="private")
    sub = await api.post("subnet", network_id=net["id"], cidr="10.7.0.0/24", ip_version=4)
    ext = await api.post("network", name="public", **{
        "router:external": True, "provider:network_type": "flat", "provider:physical_network": "public"})  # fmt: skip
    await api.post("subnet", network_id=ext["id"], cidr="172.24.4.0/24", ip_version=4, enable_dhcp=False)
    router = await api.post("router", name="r", external_gateway_info={"network_id": ext["id"]})
    await api.put(f"routers/{router['id']}/add_router_interface", subnet_id=sub["id"])
    group = await api.post("security-group", name="web")
    allow = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"}
    await api.post("security-group-rule", **allow, protocol="tcp", port_range_min=22, port_range_max=22)
    await api.post("security-group-rule", **allow, protocol="icmp")
    port = await api.post("port", network_id=net["id"], security_groups=[group["id"]], device_id="server-1",
                          device_owner="compute:nova", **{"binding:host_id": "host-1"})  # fmt: skip
    assert port["binding:vif_type"] == "ovs"
    assert port["binding:vif_details"]["vnet_hdr"] is True

    address = port["fixed_ips"][0]["ip_address"]
    spec = make.port(port["id"], net["id"], ip=None, mac=port["mac_address"],
                     fixed_ips=(FixedIp(sub["id"], address, "10.7.0.0/24"),))  # fmt: skip
    guest = Guest(world.engine, spec)
    world.guests.append(guest)
    await guest.plug()
    await until_active(api, port["id"])
    lease = await guest.dhcp()
    assert lease.address == address
    assert lease.mtu == net["mtu"]
    await guest.listen(22)

    fip = await api.post("floatingip", floating_network_id=ext["id"], port_id=port["id"])
    assert await ping_from(world.outside, fip["floating_ip_address"], 5)
    assert await fetch_from(world.outside, fip["floating_ip_address"], 22, b"", 5) == b"hello"
    reply = None
    for _ in range(20):
        reply = reply or await guest.fetch("169.254.169.254", 80, b"GET /x HTTP/1.0\r\n\r\n", timeout_s=1)
    assert reply is not None
    assert reply.endswith(b"/x of server-1")

    await world.driver.apply([Delete(Kind.PORT, port["id"])])  # somebody else's accident
    await api.put(f"ports/{port['id']}", port={"name": "again"})
    assert await ping_from(world.outside, fip["floating_ip_address"], 5)

    await api.delete(f"floatingips/{fip['id']}")
    await api.delete(f"ports/{port['id']}")
    await api.put(f"routers/{router['id']}/remove_router_interface", subnet_id=sub["id"])
    for path in (f"routers/{router['id']}", f"networks/{net['id']}", f"networks/{ext['id']}"):
        await api.delete(path)
    left = {(one.kind, one.id) for one in await world.driver.differences([])}
    assert {kind for kind, _ in left} <= {Kind.SECURITY_GROUP}
