"""Routers and floating IPs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.network.drivers.driver import FloatingIpSpec, Kind, RouterSpec
from tests.network.cloud import ADMIN, OTHER, SERVICE, Cloud, make_cloud


@pytest.fixture
def cloud() -> Cloud:
    return make_cloud()


async def joined(cloud: Cloud) -> tuple[Any, Any, Any, Any]:
    """A network behind a router with a gateway outside: router, network, subnet, outside."""
    outside, _ = await cloud.outside()
    network, subnet = await cloud.network()
    router = await cloud.make("router", name="r", external_gateway_info={"network_id": outside["id"]})
    await cloud.ok("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    return router, network, subnet, outside


async def test_a_router_joins_a_subnet_with_the_outside(cloud: Cloud) -> None:
    router, network, subnet, outside = await joined(cloud)
    gateway = router["external_gateway_info"]
    assert (gateway["network_id"], gateway["enable_snat"]) == (outside["id"], True)
    assert gateway["external_fixed_ips"][0]["ip_address"].startswith("203.0.113.")
    assert "ha" not in router
    spec = cloud.driver.objects[Kind.ROUTER, router["id"]]
    assert isinstance(spec, RouterSpec)
    assert [leg.addresses[0].address for leg in spec.interfaces] == ["10.0.0.1"]
    assert spec.gateway is not None
    assert (spec.gateway.nexthops, spec.gateway.snat) == (("203.0.113.1",), True)
    ports = (await cloud.ok("GET", f"ports?device_id={router['id']}"))["ports"]
    assert {p["device_owner"] for p in ports} == {"network:router_interface"}, "the gateway port is nobody's"
    await cloud.refused(409, "ServicePortInUse", "DELETE", f"ports/{ports[0]['id']}")
    await cloud.refused(409, "RouterInUse", "DELETE", f"routers/{router['id']}")
    await cloud.refused(409, "SubnetInUse", "DELETE", f"subnets/{subnet['id']}")
    path = f"routers/{router['id']}/remove_router_interface"
    gone = await cloud.ok("PUT", path, {"subnet_id": subnet["id"]})
    assert (gone["port_id"], gone["network_id"]) == (ports[0]["id"], network["id"])
    await cloud.refused(404, "RouterInterfaceNotFoundForSubnet", "PUT", path, {"subnet_id": subnet["id"]})
    await cloud.refused(404, "RouterInterfaceNotFound", "PUT", path, {"port_id": ports[0]["id"]})
    await cloud.ok("DELETE", f"routers/{router['id']}")
    assert not cloud.carried(Kind.ROUTER)
    everything = (await cloud.ok("GET", "ports", token=ADMIN))["ports"]
    assert {p["device_owner"] for p in everything} == {"network:distributed"}


async def test_a_port_of_ones_own_becomes_a_leg(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.254"}])
    router = await cloud.make("router")
    path = f"routers/{router['id']}/add_router_interface"
    leg = await cloud.ok("PUT", path, {"port_id": port["id"]})
    assert leg["subnet_ids"] == [port["fixed_ips"][0]["subnet_id"]]
    await cloud.refused(409, "PortInUse", "PUT", path, {"port_id": port["id"]})
    await cloud.refused(400, "BadRequest", "PUT", path, {})
    both = {"port_id": port["id"], "subnet_id": leg["subnet_id"]}
    await cloud.refused(400, "BadRequest", "PUT", path, both)


async def test_subnets_that_overlap_do_not_meet(cloud: Cloud) -> None:
    _, one = await cloud.network("10.0.0.0/24")
    _, same = await cloud.network("10.0.0.0/25")
    _, bare = await cloud.network("10.2.0.0/24")
    await cloud.ok("PUT", f"subnets/{bare['id']}", {"subnet": {"gateway_ip": None}})
    router = await cloud.make("router")
    path = f"routers/{router['id']}/add_router_interface"
    await cloud.ok("PUT", path, {"subnet_id": one["id"]})
    for subnet in (one, same, bare):
        await cloud.refused(400, "BadRequest", "PUT", path, {"subnet_id": subnet["id"]})
    foreign = "11111111-2222-3333-4444-555555555555"
    await cloud.refused(404, "SubnetNotFound", "PUT", path, {"subnet_id": foreign})
    await cloud.refused(404, "RouterNotFound", "PUT", path, {"subnet_id": one["id"]}, token=OTHER)


async def test_the_gateway_can_change_and_go(cloud: Cloud) -> None:
    router, _, _, outside = await joined(cloud)
    path = f"routers/{router['id']}"
    info = {"network_id": outside["id"], "enable_snat": False}
    body = {"router": {"external_gateway_info": info}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", path, body)
    changed = (await cloud.ok("PUT", path, body, token=ADMIN))["router"]
    assert changed["external_gateway_info"]["enable_snat"] is False
    before = router["external_gateway_info"]["external_fixed_ips"]
    assert changed["external_gateway_info"]["external_fixed_ips"] == before, "the same network keeps the address"
    fixed = {**info, "external_fixed_ips": [{"ip_address": "203.0.113.77"}]}
    changed = (await cloud.ok("PUT", path, {"router": {"external_gateway_info": fixed}}, token=ADMIN))["router"]
    assert changed["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.77"
    for none in ({}, None):
        assert (await cloud.ok("PUT", path, {"router": {"external_gateway_info": none}}))["router"][
            "external_gateway_info"
        ] is None
    inner, _ = await cloud.network("10.4.0.0/24")
    body = {"router": {"external_gateway_info": {"network_id": inner["id"]}}}
    await cloud.refused(400, "BadRequest", "PUT", path, body)


async def test_extra_routes(cloud: Cloud) -> None:
    router, _, subnet, _ = await joined(cloud)
    path = f"routers/{router['id']}"
    route = {"destination": "172.16.0.0/24", "nexthop": "10.0.0.9"}
    await cloud.ok("PUT", path, {"router": {"routes": [route]}})
    leg = {"subnet_id": subnet["id"]}
    await cloud.refused(409, "RouterInterfaceInUseByRoute", "PUT", f"{path}/remove_router_interface", leg)
    for bad in ({**route, "nexthop": "10.9.9.9"}, {**route, "nexthop": "10.0.0.1"}, {**route, "nexthop": "fd00::1"}):
        await cloud.refused(400, "InvalidRoutes", "PUT", path, {"router": {"routes": [bad]}})
    more = {"destination": "172.17.0.0/24", "nexthop": "10.0.0.9"}
    seen = (await cloud.ok("PUT", f"{path}/add_extraroutes", {"router": {"routes": [more, route]}}))["router"]
    assert seen["routes"] == [route, more]
    seen = (await cloud.ok("PUT", f"{path}/remove_extraroutes", {"router": {"routes": [route]}}))["router"]
    assert seen["routes"] == [more]
    spec = cloud.driver.objects[Kind.ROUTER, router["id"]]
    assert isinstance(spec, RouterSpec)
    assert [r.destination for r in spec.routes] == ["172.17.0.0/24"]


async def test_a_floating_ip_leads_to_a_port_and_holds_what_it_needs(cloud: Cloud) -> None:
    router, network, subnet, outside = await joined(cloud)
    port = await cloud.make("port", network_id=network["id"])
    made = await cloud.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    assert (made["status"], made["router_id"]) == ("ACTIVE", router["id"])
    assert made["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"]
    assert made["port_details"]["mac_address"] == port["mac_address"]
    spec = cloud.driver.objects[Kind.FLOATING_IP, made["id"]]
    assert isinstance(spec, FloatingIpSpec)
    assert (spec.address, spec.port_id) == (made["floating_ip_address"], port["id"])
    leg = {"subnet_id": subnet["id"]}
    removal = f"routers/{router['id']}/remove_router_interface"
    await cloud.refused(409, "RouterInterfaceInUseByFloatingIP", "PUT", removal, leg)
    no_gateway = {"router": {"external_gateway_info": None}}
    kind = "RouterExternalGatewayInUseByFloatingIp"
    await cloud.refused(409, kind, "PUT", f"routers/{router['id']}", no_gateway)
    other = await cloud.make("floatingip", floating_network_id=outside["id"])
    path = f"floatingips/{other['id']}"
    body = {"floatingip": {"port_id": port["id"]}}
    await cloud.refused(409, "FloatingIPPortAlreadyAssociated", "PUT", path, body)
    await cloud.ok("DELETE", f"ports/{port['id']}")
    left = (await cloud.ok("GET", f"floatingips/{made['id']}"))["floatingip"]
    assert (left["port_id"], left["fixed_ip_address"], left["router_id"], left["status"]) == (None, None, None, "DOWN")
    for floating in (made, other):
        await cloud.refused(404, "FloatingIPNotFound", "DELETE", f"floatingips/{floating['id']}", token=OTHER)
        await cloud.ok("DELETE", f"floatingips/{floating['id']}")
    owners = {p["device_owner"] for p in (await cloud.ok("GET", "ports", token=ADMIN))["ports"]}
    assert "network:floatingip" not in owners


async def test_an_external_network_goes_with_the_floating_ips_that_lead_nowhere(cloud: Cloud) -> None:
    _, network, _, outside = await joined(cloud)
    port = await cloud.make("port", network_id=network["id"])
    await cloud.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    path = f"networks/{outside['id']}"
    await cloud.refused(409, "NetworkInUse", "DELETE", path, token=ADMIN)
    unused, _ = await cloud.network("198.51.100.0/24", token=ADMIN, **{"router:external": True})
    idle = await cloud.make("floatingip", floating_network_id=unused["id"])
    await cloud.ok("DELETE", f"networks/{unused['id']}", token=ADMIN)
    await cloud.refused(404, "FloatingIPNotFound", "GET", f"floatingips/{idle['id']}")


async def test_floating_ips_that_cannot_be(cloud: Cloud) -> None:
    outside, _ = await cloud.outside()
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    ask = {"floating_network_id": outside["id"]}
    kind = "ExternalGatewayForFloatingIPNotFound"
    await cloud.refused(404, kind, "POST", "floatingips", {"floatingip": {**ask, "port_id": port["id"]}})
    inner = {"floatingip": {"floating_network_id": network["id"]}}
    await cloud.refused(400, "BadRequest", "POST", "floatingips", inner)
    await cloud.refused(404, "NetworkNotFound", "POST", "floatingips", inner, token=OTHER)
    chosen = {"floatingip": {**ask, "floating_ip_address": "203.0.113.9"}}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "floatingips", chosen)
    assert (await cloud.ok("POST", "floatingips", chosen, token=ADMIN))["floatingip"][
        "floating_ip_address"
    ] == "203.0.113.9"
    await cloud.refused(409, "IpAddressAlreadyAllocated", "POST", "floatingips", chosen, token=ADMIN)
    lost = {"floatingip": {**ask, "fixed_ip_address": "10.0.0.9"}}
    await cloud.refused(400, "BadRequest", "POST", "floatingips", lost)
    theirs = {"floatingip": {**ask, "port_id": port["id"]}}
    await cloud.refused(404, "PortNotFound", "POST", "floatingips", theirs, token=OTHER)
    left = (await cloud.ok("GET", "ports?device_owner=network:floatingip", token=ADMIN))["ports"]
    assert len(left) == 1, "what was refused left no port behind"


async def test_a_floating_ip_loses_a_port_that_loses_its_address(cloud: Cloud) -> None:
    _, network, _, outside = await joined(cloud)
    port = await cloud.make("port", network_id=network["id"])
    made = await cloud.make("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    await cloud.ok("PUT", f"ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}})
    assert (await cloud.ok("GET", f"floatingips/{made['id']}"))["floatingip"]["port_id"] is None


async def test_compute_hears_of_what_others_do_to_its_ports(cloud: Cloud) -> None:
    _, network, _, outside = await joined(cloud)
    owner = {"device_id": "server-1", "device_owner": "compute:nova"}
    port = await cloud.make("port", token=ADMIN, network_id=network["id"], **owner)
    deliver = asyncio.create_task(cloud.parts.events.deliver())
    floating = await cloud.make("floatingip", token=ADMIN, floating_network_id=outside["id"], port_id=port["id"])
    await cloud.ok("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": None}}, token=ADMIN)
    await cloud.ok("PUT", f"ports/{port['id']}", {"port": {"name": "by compute itself"}}, token=SERVICE)
    await cloud.ok("DELETE", f"ports/{port['id']}", token=ADMIN)
    await cloud.clock.advance(1)
    deliver.cancel()
    assert [(e.name, e.server_id, e.tag) for e in cloud.told] == [
        ("network-changed", "server-1", port["id"]),
        ("network-changed", "server-1", port["id"]),
        ("network-vif-deleted", "server-1", port["id"]),
    ]


async def test_an_external_network_is_joined_by_gateways_only(cloud: Cloud) -> None:
    outside, subnet = await cloud.outside()
    router = await cloud.make("router")
    path = f"routers/{router['id']}/add_router_interface"
    await cloud.refused(404, "SubnetNotFound", "PUT", path, {"subnet_id": subnet["id"]})
    body = {"port": {"network_id": outside["id"]}}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "ports", body)
    assert (await cloud.ok("GET", "ports?device_owner=network:router_interface", token=ADMIN))["ports"] == []
