"""Networks and subnets, as users ask for them."""

from __future__ import annotations

import pytest

from kilonova.network.drivers.driver import Kind, NetworkSpec, SubnetSpec
from tests.network.cloud import ADMIN, MEMBER, OTHER, READER, SERVICE, Cloud, make_cloud


@pytest.fixture
def cloud() -> Cloud:
    return make_cloud()


async def test_a_network_has_upstreams_shape_and_users_do_not_see_its_segment(cloud: Cloud) -> None:
    made = await cloud.make("network", name="blue")
    assert made["tenant_id"] == made["project_id"] == "demo"
    assert (made["status"], made["mtu"], made["revision_number"], made["tags"]) == ("ACTIVE", 1442, 1, [])
    assert made["created_at"] == "2026-01-01T00:00:00Z"
    assert "provider:network_type" not in made
    seen = (await cloud.ok("GET", f"networks/{made['id']}", token=ADMIN))["network"]
    assert seen["provider:network_type"] == "geneve"
    assert 1 <= seen["provider:segmentation_id"] <= 65535


async def test_the_driver_is_told_after_the_commit(cloud: Cloud) -> None:
    network, subnet = await cloud.network(name="blue")
    spec = cloud.driver.objects[Kind.NETWORK, network["id"]]
    assert isinstance(spec, NetworkSpec)
    assert (spec.name, spec.mtu) == ("blue", 1442)
    there = cloud.driver.objects[Kind.SUBNET, subnet["id"]]
    assert isinstance(there, SubnetSpec)
    assert there.metadata_ip == "10.0.0.2", "the metadata port has the lowest address of each DHCP subnet"
    await cloud.ok("DELETE", f"networks/{network['id']}")
    assert not cloud.driver.objects


async def test_other_projects_do_not_see_it_and_find_nothing_to_change(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    for path, kind in ((f"networks/{network['id']}", "NetworkNotFound"), (f"subnets/{subnet['id']}", "SubnetNotFound")):
        noun = path.split("s/")[0]
        await cloud.refused(404, kind, "GET", path, token=OTHER)
        await cloud.refused(404, kind, "PUT", path, {noun: {"name": "mine"}}, token=OTHER)
        await cloud.refused(404, kind, "DELETE", path, token=OTHER)
        await cloud.refused(404, kind, "PUT", f"{path}/tags/x", token=OTHER)
    assert (await cloud.ok("GET", "networks", token=OTHER))["networks"] == []
    body = {"subnet": {"network_id": network["id"], "cidr": "10.9.0.0/24"}}
    await cloud.refused(404, "NetworkNotFound", "POST", "subnets", body, token=OTHER)


async def test_a_reader_reads_and_a_caller_without_roles_sees_nothing(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    assert (await cloud.ok("GET", f"networks/{network['id']}", token=READER))["network"]["id"] == network["id"]
    path = f"networks/{network['id']}"
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", path, {"network": {"name": "x"}}, token=READER)
    await cloud.refused(404, "NetworkNotFound", "GET", path, token="nobody:demo")
    assert (await cloud.ok("GET", "networks", token="nobody:demo"))["networks"] == []


@pytest.mark.parametrize(
    "attributes",
    [{"shared": True}, {"router:external": True}, {"provider:network_type": "geneve"}, {"is_default": True}],
)
async def test_what_only_admins_may_set_is_refused_to_members(cloud: Cloud, attributes: dict[str, object]) -> None:
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "networks", {"network": attributes})
    assert (await cloud.ok("GET", "networks", token=ADMIN))["networks"] == []


async def test_a_segment_belongs_to_one_network(cloud: Cloud) -> None:
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    vlan = {**flat, "provider:network_type": "vlan", "provider:segmentation_id": 100}
    tunnel = {"provider:network_type": "geneve", "provider:segmentation_id": 7}
    for segment, kind in ((flat, "FlatNetworkInUse"), (vlan, "VlanIdInUse"), (tunnel, "TunnelIdInUse")):
        await cloud.make("network", token=ADMIN, **segment)
        await cloud.refused(409, kind, "POST", "networks", {"network": segment}, token=ADMIN)


@pytest.mark.parametrize(
    "segment",
    [
        {"provider:network_type": "vxlan"},
        {"provider:network_type": "flat"},
        {"provider:network_type": "flat", "provider:physical_network": "nowhere"},
        {"provider:network_type": "flat", "provider:physical_network": "public", "provider:segmentation_id": 3},
        {"provider:network_type": "vlan", "provider:physical_network": "public", "provider:segmentation_id": 4095},
        {"provider:network_type": "geneve", "provider:segmentation_id": 0},
        {"provider:network_type": "geneve", "provider:physical_network": "public"},
        {"provider:segmentation_id": 5},
    ],
)
async def test_segments_that_cannot_be_are_refused(cloud: Cloud, segment: dict[str, object]) -> None:
    await cloud.refused(400, "InvalidInput", "POST", "networks", {"network": segment}, token=ADMIN)


async def test_a_shared_network_is_seen_by_all_and_cannot_be_unshared_while_others_use_it(cloud: Cloud) -> None:
    network, _ = await cloud.network(token=ADMIN, shared=True)
    assert (await cloud.ok("GET", f"networks/{network['id']}", token=OTHER))["network"]["shared"] is True
    assert [n["id"] for n in (await cloud.ok("GET", "networks?shared=true", token=OTHER))["networks"]] == [
        network["id"]
    ]
    assert (await cloud.ok("GET", "networks?shared=false", token=OTHER))["networks"] == []
    port = await cloud.make("port", token=OTHER, network_id=network["id"])
    path, unshare = f"networks/{network['id']}", {"network": {"shared": False}}
    await cloud.refused(409, "InvalidSharedSetting", "PUT", path, unshare, token=ADMIN)
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", path, token=OTHER)
    await cloud.ok("DELETE", f"ports/{port['id']}", token=OTHER)
    await cloud.ok("PUT", path, unshare, token=ADMIN)
    await cloud.refused(404, "NetworkNotFound", "GET", path, token=OTHER)


async def test_sharing_with_one_project(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    policy = await cloud.make(
        "rbac_policy",
        object_type="network",
        object_id=network["id"],
        action="access_as_shared",
        target_tenant="rival",
    )
    assert policy["target_tenant"] == policy["target_project"] == "rival"
    assert (await cloud.ok("GET", f"networks/{network['id']}", token=OTHER))["network"]["shared"] is True
    assert (await cloud.ok("GET", f"networks/{network['id']}"))["network"]["shared"] is False
    await cloud.refused(404, "NetworkNotFound", "GET", f"networks/{network['id']}", token="member:third")
    port = await cloud.make("port", token=OTHER, network_id=network["id"])
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{policy['id']}")
    await cloud.ok("DELETE", f"ports/{port['id']}", token=OTHER)
    await cloud.ok("DELETE", f"rbac-policies/{policy['id']}")
    everybody = {**{k: policy[k] for k in ("object_type", "object_id", "action")}, "target_tenant": "*"}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "rbac-policies", {"rbac_policy": everybody})


async def test_a_bulk_of_networks_is_all_or_nothing() -> None:
    cloud = make_cloud(quotas={"network": 2})
    names = [{"name": str(n)} for n in range(3)]
    error = await cloud.refused(409, "OverQuota", "POST", "networks", {"networks": names})
    assert "network" in error["message"]
    assert (await cloud.ok("GET", "networks"))["networks"] == []
    assert not cloud.driver.objects
    made = (await cloud.ok("POST", "networks", {"networks": names[:2]}))["networks"]
    assert [n["name"] for n in made] == ["0", "1"]


async def test_filters_fields_sorting_and_pages(cloud: Cloud) -> None:
    for name in "dbca":
        await cloud.make("network", name=name, tags=["even"] if name in "db" else [])

    async def names(query: str) -> list[str]:
        return [n["name"] for n in (await cloud.ok("GET", f"networks?{query}"))["networks"]]

    assert await names("sort_key=name") == list("abcd")
    assert await names("sort_key=name&sort_dir=desc") == list("dcba")
    assert sorted(await names("name=a&name=b")) == ["a", "b"]
    assert sorted(await names("tags=even")) == ["b", "d"]
    assert sorted(await names("not-tags=even")) == ["a", "c"]
    assert await names("admin_state_up=false") == []
    assert await names("mtu=x") == []
    only = (await cloud.ok("GET", "networks?fields=id&fields=name&name=a"))["networks"][0]
    assert set(only) == {"id", "name"}
    page = await cloud.ok("GET", "networks?sort_key=name&limit=3")
    assert [n["name"] for n in page["networks"]] == list("abc")
    link = next(one["href"] for one in page["networks_links"] if one["rel"] == "next")
    rest = await cloud.ok("GET", link.split("/v2.0/")[1])
    assert [n["name"] for n in rest["networks"]] == ["d"]
    back = next(one["href"] for one in rest["networks_links"] if one["rel"] == "previous")
    assert [n["name"] for n in (await cloud.ok("GET", back.split("/v2.0/")[1]))["networks"]] == list("abc")
    for bad in ("colour=red", "sort_key=colour", "limit=-1", "sort_key=name&sort_dir=up"):
        await cloud.refused(400, "HTTPBadRequest", "GET", f"networks?{bad}")
    await cloud.refused(404, "NetworkNotFound", "GET", "networks?marker=00000000-0000-0000-0000-000000000000")


async def test_a_change_can_expect_a_revision(cloud: Cloud) -> None:
    network = await cloud.make("network")
    path, body = f"networks/{network['id']}", {"network": {"name": "new"}}
    stale = {"If-Match": "revision_number=9"}
    await cloud.refused(412, "RevisionNumberConstraintFailed", "PUT", path, body, headers=stale)
    reply = await cloud.ask("PUT", path, body, headers={"If-Match": "revision_number=1"})
    assert (reply.status, reply.json["network"]["revision_number"]) == (200, 2)
    await cloud.refused(412, "RevisionNumberConstraintFailed", "DELETE", path, headers=stale)


async def test_tags_one_by_one_and_all_at_once(cloud: Cloud) -> None:
    network = await cloud.make("network")
    path = f"networks/{network['id']}/tags"
    assert (await cloud.ask("PUT", f"{path}/red")).status == 201
    assert (await cloud.ask("GET", f"{path}/red")).status == 204
    await cloud.refused(404, "TagNotFound", "GET", f"{path}/blue")
    assert (await cloud.ok("PUT", path, {"tags": ["b", "a"]}))["tags"] == ["a", "b"]
    await cloud.ok("DELETE", f"{path}/a")
    assert (await cloud.ok("GET", path))["tags"] == ["b"]
    assert (await cloud.ask("DELETE", path)).status == 204
    assert (await cloud.ok("GET", path))["tags"] == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"network": []},
        {"network": {"name": 7}},
        {"network": {"name": "n" * 256}},
        {"network": {"name": "a\x00b"}},
        {"network": {"colour": "red"}},
        {"network": {"admin_state_up": "perhaps"}},
        {"network": {"mtu": 10**30}},
        {"network": {"mtu": 10}},
        {"network": {"id": "00000000-0000-0000-0000-000000000000"}},
        {"network": {}, "networks": []},
        {"networks": []},
        {"network": {"tags": [""]}},
        {"network": {"dns_domain": "-bad-"}},
        {"network": {"tenant_id": "rival"}},
    ],
)
async def test_bad_bodies_are_refused_and_change_nothing(cloud: Cloud, body: object) -> None:
    reply = await cloud.ask("POST", "networks", body)
    assert reply.status == 400, reply.json
    assert set(reply.json["NeutronError"]) == {"type", "message", "detail"}
    assert (await cloud.ok("GET", "networks", token=ADMIN))["networks"] == []


# --- subnets --------------------------------------------------------------------------------------------------


async def test_a_subnet_gets_a_gateway_and_the_rest_as_pool(cloud: Cloud) -> None:
    network, subnet = await cloud.network("192.0.2.0/28")
    assert subnet["gateway_ip"] == "192.0.2.1"
    assert subnet["allocation_pools"] == [{"start": "192.0.2.2", "end": "192.0.2.14"}]
    assert (await cloud.ok("GET", f"networks/{network['id']}"))["network"]["subnets"] == [subnet["id"]]
    none = await cloud.make("subnet", network_id=network["id"], cidr="198.51.100.0/29", gateway_ip=None)
    assert none["gateway_ip"] is None
    assert none["allocation_pools"] == [{"start": "198.51.100.1", "end": "198.51.100.6"}]


@pytest.mark.parametrize(
    ("attributes", "status", "kind"),
    [
        ({"cidr": "10.0.0.128/25"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/8"}, 400, "InvalidInput"),
        ({"cidr": "10.1.0.0/99"}, 400, "InvalidInput"),
        ({"cidr": "nonsense"}, 400, "InvalidInput"),
        ({}, 400, "BadRequest"),
        ({"cidr": "10.1.0.0/24", "ip_version": 6}, 400, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.255"}, 400, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "gateway_ip": "x"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.1.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/80", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}, 400, "InvalidInput"),
        (
            {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.5"}]},
            400,
            "InvalidAllocationPool",
        ),
        (
            {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.5", "end": "10.1.1.5"}]},
            400,
            "OutOfBoundsAllocationPool",
        ),
        (
            {
                "cidr": "10.1.0.0/24",
                "gateway_ip": "10.1.0.7",
                "allocation_pools": [{"start": "10.1.0.5", "end": "10.1.0.9"}],
            },
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            {
                "cidr": "10.1.0.0/24",
                "allocation_pools": [
                    {"start": "10.1.0.5", "end": "10.1.0.9"},
                    {"start": "10.1.0.9", "end": "10.1.0.12"},
                ],
            },
            409,
            "OverlappingAllocationPools",
        ),
        ({"cidr": "10.1.0.0/24", "dns_nameservers": ["1.1.1.1"] * 2}, 400, "InvalidInput"),
        (
            {"cidr": "10.1.0.0/24", "host_routes": [{"destination": "fd00::/64", "nexthop": "10.1.0.1"}]},
            400,
            "InvalidInput",
        ),
    ],
)
async def test_subnets_that_cannot_be_are_refused(
    cloud: Cloud, attributes: dict[str, object], status: int, kind: str
) -> None:
    network, _ = await cloud.network()
    body = {"subnet": {"network_id": network["id"], **attributes}}
    await cloud.refused(status, kind, "POST", "subnets", body)
    assert len((await cloud.ok("GET", "subnets"))["subnets"]) == 1


async def test_a_subnet_in_use_stays_and_a_router_keeps_its_gateway(cloud: Cloud) -> None:
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    await cloud.refused(409, "SubnetInUse", "DELETE", f"subnets/{subnet['id']}")
    await cloud.refused(409, "NetworkInUse", "DELETE", f"networks/{network['id']}")
    router = await cloud.make("router")
    await cloud.ok("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    change = {"subnet": {"gateway_ip": None}}
    await cloud.refused(409, "GatewayIpInUse", "PUT", f"subnets/{subnet['id']}", change)
    await cloud.ok("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    await cloud.ok("DELETE", f"ports/{port['id']}")
    await cloud.ok("DELETE", f"subnets/{subnet['id']}")


async def test_turning_dhcp_off_takes_the_metadata_port_off_the_subnet(cloud: Cloud) -> None:
    _, subnet = await cloud.network()
    await cloud.ok("PUT", f"subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}})
    spec = cloud.driver.objects[Kind.SUBNET, subnet["id"]]
    assert isinstance(spec, SubnetSpec)
    assert (spec.enable_dhcp, spec.metadata_ip) == (False, None)
    await cloud.ok("PUT", f"subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True, "dns_nameservers": ["9.9.9.9"]}})
    spec = cloud.driver.objects[Kind.SUBNET, subnet["id"]]
    assert isinstance(spec, SubnetSpec)
    assert spec.metadata_ip is not None
    assert spec.dns_nameservers == ("9.9.9.9",)


async def test_subnets_come_out_of_a_pool_until_it_is_used_up(cloud: Cloud) -> None:
    pool = await cloud.make("subnetpool", name="p", prefixes=["10.8.0.0/23"], default_prefixlen=24)
    cidrs = []
    for _ in range(2):
        network = await cloud.make("network")
        made = await cloud.make("subnet", network_id=network["id"], subnetpool_id=pool["id"], ip_version=4)
        cidrs.append(made["cidr"])
    assert cidrs == ["10.8.0.0/24", "10.8.1.0/24"]
    network = await cloud.make("network")
    body = {"subnet": {"network_id": network["id"], "subnetpool_id": pool["id"]}}
    await cloud.refused(409, "SubnetAllocationError", "POST", "subnets", body)
    await cloud.refused(404, "SubnetPoolNotFound", "GET", f"subnetpools/{pool['id']}", token=OTHER)
    await cloud.refused(400, "SubnetPoolDeleteError", "DELETE", f"subnetpools/{pool['id']}")


async def test_availability_counts_addresses(cloud: Cloud) -> None:
    network, _ = await cloud.network("10.0.0.0/29")
    await cloud.make("port", network_id=network["id"])
    path = f"network-ip-availabilities/{network['id']}"
    seen = (await cloud.ok("GET", path, token=ADMIN))["network_ip_availability"]
    assert (seen["total_ips"], seen["used_ips"]) == (5, 2)
    await cloud.refused(403, "PolicyNotAuthorized", "GET", path, token=MEMBER)
    assert (await cloud.ok("GET", "network-ip-availabilities", token=SERVICE))["network_ip_availabilities"]
