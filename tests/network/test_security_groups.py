"""Security groups and their rules."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.network.drivers.driver import Kind, SecurityGroupSpec
from tests.network.cloud import ADMIN, OTHER, READER, Cloud, make_cloud

HTTP = {"port_range_min": 80, "port_range_max": 80}


@pytest.fixture
def cloud() -> Cloud:
    return make_cloud()


async def groups(cloud: Cloud, token: str = "member:demo") -> list[Any]:
    found: list[Any] = (await cloud.ok("GET", "security-groups", token=token))["security_groups"]
    return found


async def test_every_project_has_a_default_group_as_soon_as_it_looks(cloud: Cloud) -> None:
    for token in (READER, "member:demo", OTHER):
        (group,) = await groups(cloud, token)
        assert group["name"] == "default"
        rules = {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in group["security_group_rules"]}
        assert rules == {
            ("ingress", "IPv4", group["id"]),
            ("ingress", "IPv6", group["id"]),
            ("egress", "IPv4", None),
            ("egress", "IPv6", None),
        }
    assert len(cloud.carried(Kind.SECURITY_GROUP)) == 2


async def test_the_default_group_stays(cloud: Cloud) -> None:
    (group,) = await groups(cloud)
    path = f"security-groups/{group['id']}"
    await cloud.refused(409, "SecurityGroupCannotRemoveDefault", "DELETE", path)
    rename = {"security_group": {"name": "other"}}
    await cloud.refused(409, "SecurityGroupCannotUpdateDefault", "PUT", path, rename)
    body = {"security_group": {"name": "default"}}
    await cloud.refused(409, "SecurityGroupDefaultAlreadyExists", "POST", "security-groups", body)
    await cloud.ok("DELETE", path, token=ADMIN)
    assert (await groups(cloud))[0]["id"] != group["id"]


async def test_a_group_in_use_stays(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    group = await cloud.make("security_group", name="web")
    port = await cloud.make("port", network_id=network["id"], security_groups=[group["id"]])
    await cloud.refused(409, "SecurityGroupInUse", "DELETE", f"security-groups/{group['id']}")
    await cloud.ok("PUT", f"ports/{port['id']}", {"port": {"security_groups": []}})
    await cloud.ok("DELETE", f"security-groups/{group['id']}")


async def test_rules_reach_the_driver_with_their_group(cloud: Cloud) -> None:
    group = await cloud.make("security_group", name="web")
    rule = await cloud.make(
        "security_group_rule",
        security_group_id=group["id"],
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=81,
        remote_ip_prefix="10.0.0.0/8",
    )
    assert (rule["ethertype"], rule["protocol"], rule["description"]) == ("IPv4", "tcp", "")
    spec = cloud.driver.objects[Kind.SECURITY_GROUP, group["id"]]
    assert isinstance(spec, SecurityGroupSpec)
    assert (80, 81) in {(r.port_min, r.port_max) for r in spec.rules}
    await cloud.ok("DELETE", f"security-group-rules/{rule['id']}")
    spec = cloud.driver.objects[Kind.SECURITY_GROUP, group["id"]]
    assert isinstance(spec, SecurityGroupSpec)
    assert len(spec.rules) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({**HTTP, "protocol": "tcp"}, {**HTTP, "protocol": "6"}),
        ({"protocol": "TCP"}, {"protocol": 6}),
        ({}, {"remote_ip_prefix": "0.0.0.0/0"}),
        ({}, {"protocol": "any"}),
        ({"remote_ip_prefix": "10.1.2.3/8"}, {"remote_ip_prefix": "10.0.0.0/8"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
    ],
)  # fmt: skip
async def test_a_rule_that_allows_the_same_is_there_already(
    cloud: Cloud, first: dict[str, Any], second: dict[str, Any]
) -> None:
    group = await cloud.make("security_group", name="web")
    ask = {"security_group_id": group["id"], "direction": "ingress"}
    made = await cloud.make("security_group_rule", **ask, **first)
    body = {"security_group_rule": {**ask, **second}}
    error = await cloud.refused(409, "SecurityGroupRuleExists", "POST", "security-group-rules", body)
    assert made["id"] in error["message"]


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"protocol": "tcp", "port_range_min": 81, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 80}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "udp", "port_range_min": 1, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
        ({"port_range_min": 1, "port_range_max": 2}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 1}, "SecurityGroupMissingIcmpType"),
        ({"protocol": "vrrp", "port_range_min": 1, "port_range_max": 2}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "nonsense"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "256"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "-1"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "fd00::/8"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "nonsense"}, "InvalidInput"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "SELF"}, "SecurityGroupMultipleRemoteEntites"),
        ({"ethertype": "IPX"}, "SecurityGroupRuleInvalidEtherType"),
        ({"direction": "sideways"}, "HTTPBadRequest"),
        ({"port_range_min": "x"}, "InvalidInput"),
    ],
)
async def test_rules_that_cannot_be_are_refused(cloud: Cloud, rule: dict[str, Any], kind: str) -> None:
    group = await cloud.make("security_group", name="web")
    ask = {"security_group_id": group["id"], "direction": "ingress", **rule}
    if ask.get("remote_group_id"):
        ask["remote_group_id"] = group["id"]
    await cloud.refused(400, kind, "POST", "security-group-rules", {"security_group_rule": ask})
    left = (await cloud.ok("GET", f"security-groups/{group['id']}"))["security_group"]["security_group_rules"]
    assert len(left) == 2


async def test_others_groups_are_out_of_reach(cloud: Cloud) -> None:
    group = await cloud.make("security_group", name="web")
    path = f"security-groups/{group['id']}"
    await cloud.refused(404, "SecurityGroupNotFound", "GET", path, token=OTHER)
    ask = {"security_group_id": group["id"], "direction": "ingress"}
    body = {"security_group_rule": ask}
    await cloud.refused(404, "SecurityGroupNotFound", "POST", "security-group-rules", body, token=OTHER)
    own = await cloud.make("security_group", token=OTHER, name="own")
    for there in (group["id"], "nonsense"):
        remote = {"security_group_rule": {**ask, "security_group_id": own["id"], "remote_group_id": there}}
        await cloud.refused(404, "SecurityGroupNotFound", "POST", "security-group-rules", remote, token=OTHER)
    rule = (await cloud.ok("GET", path))["security_group"]["security_group_rules"][0]
    await cloud.refused(404, "SecurityGroupRuleNotFound", "DELETE", f"security-group-rules/{rule['id']}", token=OTHER)
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "security-group-rules", body, token=READER)


async def test_deleting_a_group_takes_the_rules_that_name_it(cloud: Cloud) -> None:
    web = await cloud.make("security_group", name="web")
    db = await cloud.make("security_group", name="db")
    await cloud.make("security_group_rule", security_group_id=db["id"], direction="ingress", remote_group_id=web["id"])
    await cloud.ok("DELETE", f"security-groups/{web['id']}")
    left = (await cloud.ok("GET", f"security-groups/{db['id']}"))["security_group"]["security_group_rules"]
    assert all(rule["remote_group_id"] is None for rule in left)
    spec = cloud.driver.objects[Kind.SECURITY_GROUP, db["id"]]
    assert isinstance(spec, SecurityGroupSpec)
    assert len(spec.rules) == 2


async def test_rules_in_bulk_are_all_or_nothing_and_have_a_quota() -> None:
    cloud = make_cloud(quotas={"security_group_rule": 8})
    group = await cloud.make("security_group", name="web")
    ask = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}

    def rules(*ports: int) -> dict[str, Any]:
        return {"security_group_rules": [{**ask, "port_range_min": p, "port_range_max": p} for p in ports]}

    await cloud.refused(409, "SecurityGroupRuleExists", "POST", "security-group-rules", rules(80, 80))
    await cloud.refused(409, "OverQuota", "POST", "security-group-rules", rules(1, 2, 3))
    path = f"security-groups/{group['id']}"
    assert len((await cloud.ok("GET", path))["security_group"]["security_group_rules"]) == 2
    assert len((await cloud.ok("POST", "security-group-rules", rules(1, 2)))["security_group_rules"]) == 2
    listed = await cloud.ok("GET", f"security-group-rules?security_group_id={group['id']}&protocol=tcp")
    assert len(listed["security_group_rules"]) == 2
    default = (await cloud.ok("GET", "security-group-rules?belongs_to_default_sg=true"))["security_group_rules"]
    assert len(default) == 4
