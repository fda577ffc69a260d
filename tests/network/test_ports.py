"""Ports: addresses, groups, bindings, what users and compute do with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.network.drivers.driver import Kind, PortSpec
from kilonova.network.service import owner_of_address
from tests.network.cloud import ADMIN, OTHER, SERVICE, Cloud, make_cloud

ELEVEN_PAIRS = [{"ip_address": f"10.1.0.{n}"} for n in range(11)]
ONE_PAIR = {"allowed_address_pairs": ELEVEN_PAIRS[:1]}
FOREIGN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def cloud() -> Cloud:
    return make_cloud()


def ips(port: Any) -> list[str]:
    return [one["ip_address"] for one in port["fixed_ips"]]


async def test_a_port_gets_an_address_a_mac_and_the_default_group(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], name="eth0")
    assert port["fixed_ips"][0]["subnet_id"] == subnet["id"]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["status"] == "DOWN"
    assert port["dns_assignment"][0]["fqdn"].endswith(".openstacklocal.")
    group = (await cloud.ok("GET", "security-groups"))["security_groups"][0]
    assert port["security_groups"] == [group["id"]]
    spec = cloud.driver.objects[Kind.PORT, port["id"]]
    assert isinstance(spec, PortSpec)
    assert [f.address for f in spec.fixed_ips] == ips(port)
    assert spec.security_groups == (group["id"],)


async def test_members_do_not_see_bindings(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    assert {name for name in port if name.startswith("binding:")} == {"binding:vnic_type"}
    seen = (await cloud.ok("GET", f"ports/{port['id']}", token=ADMIN))["port"]
    assert (seen["binding:vif_type"], seen["binding:host_id"], seen["binding:vif_details"]) == ("unbound", "", {})


async def test_compute_makes_a_port_for_a_server_in_one_request(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make(
        "port",
        token=SERVICE,
        network_id=network["id"],
        tenant_id="demo",
        device_id="server-1",
        device_owner="compute:nova",
        **{"binding:host_id": "one"},
    )
    assert (port["project_id"], port["binding:host_id"], port["binding:vif_type"]) == ("demo", "one", "ovs")
    assert port["binding:vif_details"]["port_filter"] is True
    assert (await cloud.ok("GET", f"ports/{port['id']}"))["port"]["device_id"] == "server-1"
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", f"ports/{port['id']}")
    await cloud.ok("DELETE", f"ports/{port['id']}", token=SERVICE)


async def test_a_host_that_cannot_carry_it_is_shown_as_binding_failed(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", token=ADMIN, network_id=network["id"], **{"binding:host_id": "nowhere"})
    assert port["binding:vif_type"] == "binding_failed"
    path, body = f"ports/{port['id']}", {"port": {"binding:host_id": "two"}}
    assert (await cloud.ok("PUT", path, body, token=ADMIN))["port"]["binding:vif_type"] == "ovs"
    body = {"port": {"binding:host_id": "", "device_id": "", "device_owner": ""}}
    assert (await cloud.ok("PUT", path, body, token=ADMIN))["port"]["binding:vif_type"] == "unbound"


async def test_a_port_that_comes_up_is_active_and_compute_hears_of_it(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    deliver = asyncio.create_task(cloud.parts.events.deliver())
    bind = {"port": {"device_id": "server-1", "device_owner": "compute:nova", "binding:host_id": "one"}}
    await cloud.ok("PUT", f"ports/{port['id']}", bind, token=SERVICE)
    await cloud.note_reports()
    await cloud.clock.advance(1)
    assert (await cloud.ok("GET", f"ports/{port['id']}"))["port"]["status"] == "ACTIVE"
    assert [(e.name, e.server_id, e.tag) for e in cloud.told] == [("network-vif-plugged", "server-1", port["id"])]
    await cloud.parts.events.note({port["id"]: True})
    await cloud.parts.events.note({port["id"]: False, "gone": True})
    await cloud.clock.advance(1)
    assert [e.name for e in cloud.told] == ["network-vif-plugged", "network-vif-unplugged"]
    deliver.cancel()


async def test_moving_a_port_for_live_migration(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", token=ADMIN, network_id=network["id"], **{"binding:host_id": "one"})
    path = f"ports/{port['id']}/bindings"
    made = (await cloud.ok("POST", path, {"binding": {"host": "two"}}, token=SERVICE))["binding"]
    assert (made["status"], made["vif_type"]) == ("INACTIVE", "ovs")
    twice = {"binding": {"host": "two"}}
    await cloud.refused(409, "PortBindingAlreadyExists", "POST", path, twice, token=SERVICE)
    await cloud.ok("PUT", f"{path}/two/activate", token=SERVICE)
    await cloud.refused(409, "PortBindingAlreadyActive", "PUT", f"{path}/two/activate", token=SERVICE)
    listed = (await cloud.ok("GET", path, token=SERVICE))["bindings"]
    assert {(b["host"], b["status"]) for b in listed} == {("one", "INACTIVE"), ("two", "ACTIVE")}
    await cloud.ok("DELETE", f"{path}/one", token=SERVICE)
    await cloud.refused(404, "PortBindingNotFound", "DELETE", f"{path}/one", token=SERVICE)
    seen = (await cloud.ok("GET", f"ports/{port['id']}", token=ADMIN))["port"]
    assert seen["binding:host_id"] == "two"
    spec = cloud.driver.objects[Kind.PORT, port["id"]]
    assert isinstance(spec, PortSpec)
    assert spec.host == "two"


async def test_addresses_asked_for_are_given_once(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    ask = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.200"}]}
    port = await cloud.make("port", **ask)
    assert ips(port) == ["10.0.0.200"]
    await cloud.refused(409, "IpAddressAlreadyAllocated", "POST", "ports", {"port": ask})
    for address, kind in (("10.7.0.1", "InvalidIpForNetwork"), ("10.0.0.255", "InvalidIpForSubnet")):
        body = {"port": {**ask, "fixed_ips": [{"ip_address": address}]}}
        await cloud.refused(400, kind, "POST", "ports", body)
    body = {"port": {**ask, "fixed_ips": [{"subnet_id": FOREIGN}]}}
    await cloud.refused(400, "InvalidInput", "POST", "ports", body)
    more = {"port": {"fixed_ips": [{"ip_address": "10.0.0.200"}, {"subnet_id": subnet["id"]}]}}
    changed = (await cloud.ok("PUT", f"ports/{port['id']}", more))["port"]
    assert ips(changed)[0] == "10.0.0.200"
    assert len(ips(changed)) == 2
    none = (await cloud.ok("PUT", f"ports/{port['id']}", {"port": {"fixed_ips": []}}))["port"]
    assert none["fixed_ips"] == []
    assert ips(await cloud.make("port", **ask)) == ["10.0.0.200"], "a freed address can be had again"


async def test_a_full_subnet_says_so_and_a_deleted_port_makes_room(cloud: Cloud) -> None:
    network, _ = await cloud.network("10.0.0.0/29")
    made = [await cloud.make("port", network_id=network["id"]) for _ in range(4)]
    body = {"port": {"network_id": network["id"]}}
    await cloud.refused(409, "IpAddressGenerationFailure", "POST", "ports", body)
    await cloud.ok("DELETE", f"ports/{made[1]['id']}")
    assert ips(await cloud.make("port", **body["port"])) == ips(made[1])


async def test_two_requests_at_once_never_get_the_same_address(cloud: Cloud) -> None:
    network, _ = await cloud.network("10.0.0.0/27")
    body = {"port": {"network_id": network["id"]}}
    replies = await asyncio.gather(*(cloud.ask("POST", "ports", body) for _ in range(40)))
    made = [ips(reply.json["port"])[0] for reply in replies if reply.status == 201]
    assert len(made) == len(set(made)) == 28
    assert {reply.status for reply in replies} == {201, 409}


async def test_ipv6_guests_make_their_own_address(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    before = await cloud.make("port", network_id=network["id"], mac_address="FA-16-3E-00-00-01")
    await cloud.make(
        "subnet", network_id=network["id"], cidr="fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac"
    )
    seen = (await cloud.ok("GET", f"ports/{before['id']}"))["port"]
    assert ips(seen)[1] == "fd00:1::f816:3eff:fe00:1"
    after = await cloud.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:02")
    assert ips(after)[1] == "fd00:1::f816:3eff:fe00:2"


async def test_the_same_mac_twice_on_a_network_is_refused(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    ask = {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"}
    await cloud.make("port", **ask)
    await cloud.refused(409, "MacAddressInUse", "POST", "ports", {"port": ask})
    other, _ = await cloud.network("10.5.0.0/24")
    port = await cloud.make("port", **{**ask, "network_id": other["id"]})
    new = (await cloud.ok("PUT", f"ports/{port['id']}", {"port": {"mac_address": None}}, token=ADMIN))["port"]
    assert new["mac_address"] != port["mac_address"]


@pytest.mark.parametrize(
    ("attributes", "status", "kind"),
    [
        ({"mac_address": "fa:16"}, 400, "InvalidInput"),
        ({"mac_address": "00:00:00:00:00:00"}, 400, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "10.0.0.999"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": "10.0.0.9"}, 400, "HTTPBadRequest"),
        ({"security_groups": [FOREIGN]}, 404, "SecurityGroupNotFound"),
        ({"security_groups": ["x"]}, 400, "InvalidInput"),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, 400, "InvalidInput"),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, 400, "HTTPBadRequest"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}] * 2}, 400, "DuplicateAddressPairInRequest"),
        ({"allowed_address_pairs": ELEVEN_PAIRS}, 400, "AllowedAddressPairExhausted"),
        ({**ONE_PAIR, "port_security_enabled": False}, 409, "AddressPairAndPortSecurityRequired"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu\n6,1.1.1.1", "opt_value": "1"}]}, 400, "InvalidInput"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1\ndhcp-script=/bin/sh"}]}, 400, "InvalidInput"),
        ({"dns_name": "bad_name!"}, 400, "InvalidInput"),
        ({"binding:vnic_type": "magic"}, 400, "InvalidInput"),
        ({"binding:host_id": "one"}, 403, "PolicyNotAuthorized"),
        ({"binding:profile": {"a": 1}}, 403, "PolicyNotAuthorized"),
        ({"network_id": FOREIGN}, 404, "NetworkNotFound"),
        ({"tenant_id": "rival"}, 400, "HTTPBadRequest"),
        ({"status": "ACTIVE"}, 400, "HTTPBadRequest"),
    ],
)  # fmt: skip
async def test_ports_that_cannot_be_are_refused_and_leave_nothing(
    cloud: Cloud, attributes: dict[str, Any], status: int, kind: str
) -> None:
    network, _ = await cloud.network()
    before = len((await cloud.ok("GET", "ports", token=ADMIN))["ports"])
    await cloud.refused(status, kind, "POST", "ports", {"port": {"network_id": network["id"], **attributes}})
    assert len((await cloud.ok("GET", "ports", token=ADMIN))["ports"]) == before


async def test_on_a_shared_network_others_may_not_choose_what_is_the_owners_to_give(cloud: Cloud) -> None:
    network, subnet = await cloud.network(token=ADMIN, shared=True)
    for attributes in (
        {"mac_address": "fa:16:3e:00:00:01"},
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
        {"port_security_enabled": False},
        {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]},
        {"device_owner": "network:router_interface"},
        {"device_owner": "network:dhcp"},
    ):
        body = {"port": {"network_id": network["id"], **attributes}}
        await cloud.refused(403, "PolicyNotAuthorized", "POST", "ports", body)
    port = await cloud.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}])
    change = {"port": {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"ports/{port['id']}", change)
    change = {"port": {"device_owner": "network:dhcp"}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"ports/{port['id']}", change)
    await cloud.refused(404, "PortNotFound", "GET", f"ports/{port['id']}", token=OTHER)
    assert [p["id"] for p in (await cloud.ok("GET", "ports"))["ports"]] == [port["id"]]


async def test_port_security_off_means_no_groups(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    path = f"ports/{port['id']}"
    off = {"port": {"port_security_enabled": False}}
    await cloud.refused(409, "PortSecurityPortHasSecurityGroup", "PUT", path, off)
    off["port"]["security_groups"] = []  # type: ignore[assignment]
    changed = (await cloud.ok("PUT", path, off))["port"]
    assert (changed["port_security_enabled"], changed["security_groups"]) == (False, [])
    free, _ = await cloud.network("10.3.0.0/24", port_security_enabled=False)
    assert (await cloud.make("port", network_id=free["id"]))["security_groups"] == []


async def test_extra_dhcp_options_are_added_and_taken_away(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    option = {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}
    port = await cloud.make("port", network_id=network["id"], extra_dhcp_opts=[option])
    assert port["extra_dhcp_opts"] == [{**option, "ip_version": 4}]
    body = {"port": {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}, {**option, "opt_value": None}]}}
    changed = (await cloud.ok("PUT", f"ports/{port['id']}", body))["port"]
    assert [o["opt_name"] for o in changed["extra_dhcp_opts"]] == ["mtu"]


async def test_names_are_given_to_the_driver(cloud: Cloud) -> None:
    network, _ = await cloud.network(dns_domain="lab.example.")
    port = await cloud.make("port", network_id=network["id"], dns_name="Web")
    assert port["dns_name"] == "web"
    assert port["dns_assignment"][0]["fqdn"] == "web.lab.example."
    spec = cloud.driver.objects[Kind.PORT, port["id"]]
    assert isinstance(spec, PortSpec)
    assert {record.name for record in spec.dns_records} == {"web", "web.lab.example"}


async def test_ports_by_every_kind_of_filter(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    group = await cloud.make("security_group", name="web")
    one = await cloud.make(
        "port",
        network_id=network["id"],
        name="one",
        security_groups=[group["id"]],
        fixed_ips=[{"ip_address": "10.0.0.9"}],
    )
    two = await cloud.make("port", network_id=network["id"], name="two", device_id="d")

    async def found(query: str) -> set[str]:
        return {p["name"] for p in (await cloud.ok("GET", f"ports?{query}"))["ports"] if p["name"]}

    assert await found(f"security_groups={group['id']}") == {"one"}
    assert await found("fixed_ips=ip_address%3D10.0.0.9") == {"one"}
    assert await found(f"fixed_ips=subnet_id%3D{subnet['id']}") == {"one", "two"}
    assert await found("fixed_ips=ip_address_substr%3D0.0.9") >= {"one"}
    assert await found("device_id=d") == {"two"}
    assert await found(f"mac_address={one['mac_address'].upper()}") == {"one"}
    assert await found(f"id={one['id']}&id={two['id']}") == {"one", "two"}
    assert await found("status=ACTIVE") == set()
    assert await found(f"network_id={network['id']}&name=two") == {"two"}
    await cloud.refused(400, "HTTPBadRequest", "GET", "ports?fixed_ips=nonsense")


async def test_a_list_of_ports_takes_the_same_statements_whatever_its_length(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    counts = []
    for _ in range(2):
        for _ in range(3):
            await cloud.make("port", network_id=network["id"])
        await cloud.ok("GET", "ports", token=ADMIN)
        before = cloud.parts.db.statements
        await cloud.ok("GET", "ports", token=ADMIN)
        counts.append(cloud.parts.db.statements - before)
    assert counts[0] == counts[1] <= 4


async def test_a_metadata_agent_finds_whose_address_it_is(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], device_id="server-1")
    owner = await owner_of_address(cloud.parts.db, network["id"], ips(port)[0])
    assert owner is not None
    assert (owner.port_id, owner.device_id, owner.project_id) == (port["id"], "server-1", "demo")
    assert await owner_of_address(cloud.parts.db, network["id"], "10.0.0.250") is None


async def test_quota_of_ports() -> None:
    cloud = make_cloud(quotas={"port": 1})
    network, _ = await cloud.network()
    await cloud.make("port", network_id=network["id"])
    await cloud.refused(409, "OverQuota", "POST", "ports", {"port": {"network_id": network["id"]}})
    await cloud.ok("PUT", "quotas/demo", {"quota": {"port": 2}}, token=ADMIN)
    await cloud.make("port", network_id=network["id"])
    details = (await cloud.ok("GET", "quotas/demo/details", token=ADMIN))["quota"]["port"]
    assert details == {"limit": 2, "used": 2, "reserved": 0}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", "quotas/demo", {"quota": {"port": 9}})
    await cloud.refused(403, "PolicyNotAuthorized", "GET", "quotas/demo", token=OTHER)
    await cloud.refused(400, "HTTPBadRequest", "PUT", "quotas/demo", {"quota": {"shoe": 9}}, token=ADMIN)
    await cloud.ok("DELETE", "quotas/demo", token=ADMIN)
    await cloud.refused(404, "TenantQuotaNotFound", "DELETE", "quotas/demo", token=ADMIN)
    assert (await cloud.ok("GET", "quotas/demo/default", token=ADMIN))["quota"]["port"] == 1
