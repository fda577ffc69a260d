"""Stories of what compute did for other services once, and does up to microversion 2.35 by asking them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kilonova.clients.network import FloatingIp, SecurityGroup
from tests.compute.make import IMAGE, NETWORK, NOWHERE, Cloud, image, port

M: dict[str, Any] = {"token": "member"}


async def test_networks_are_ids_and_names(cloud: Cloud) -> None:
    (listed,) = (await cloud.api.get("/v2.1/os-networks", **M)).json["networks"]
    assert (listed["id"], listed["label"], listed["cidr"]) == (NETWORK, "private", None)
    assert "project_id" not in listed
    seen = (await cloud.api.get(f"/v2.1/os-networks/{NETWORK}")).json["network"]
    assert seen["project_id"] is None
    assert (await cloud.api.get(f"/v2.1/os-networks/{NOWHERE}", **M)).status == 404
    assert (await cloud.api.get("/v2.1/os-networks", **M, version="2.36")).status == 404
    assert (await cloud.api.post("/v2.1/os-networks", json={})).status == 410
    (own,) = (await cloud.api.get("/v2.1/os-tenant-networks", **M)).json["networks"]
    assert own == {"id": NETWORK, "label": "private", "cidr": "None"}
    assert (await cloud.api.get(f"/v2.1/os-tenant-networks/{NETWORK}", **M)).json["network"] == own


async def test_a_floating_address_comes_from_a_pool_and_leads_to_a_server(cloud: Cloud) -> None:
    cloud.network.known["ext"] = replace(cloud.network.known[NETWORK], id="ext", name="public", is_external=True)
    path = "/v2.1/os-floating-ips"
    assert (await cloud.api.get("/v2.1/os-floating-ip-pools", **M)).json == {"floating_ip_pools": [{"name": "public"}]}
    assert (await cloud.api.post(path, json={"pool": "nowhere"}, **M)).status == 404
    made = (await cloud.api.post(path, json={"pool": "public"}, **M)).json["floating_ip"]
    assert made == {"id": made["id"], "ip": "203.0.113.1", "pool": "public", "fixed_ip": None, "instance_id": None}
    server_id = await cloud.server()
    cloud.network.ports_["p"] = port("p", device_id=server_id)
    cloud.network.floating = [FloatingIp(made["id"], "203.0.113.1", "p", "10.0.0.9", "ext")]
    (listed,) = (await cloud.api.get(path, **M)).json["floating_ips"]
    assert (listed["instance_id"], listed["fixed_ip"]) == (server_id, "10.0.0.9")
    assert (await cloud.api.get(f"{path}/{made['id']}", **M)).json["floating_ip"] == listed
    assert (await cloud.api.delete(f"{path}/{made['id']}", token="reader")).status == 403
    assert (await cloud.api.delete(f"{path}/{made['id']}", **M)).status == 202
    assert (await cloud.api.delete(f"{path}/{made['id']}", **M)).status == 404


async def test_a_security_group_lets_in_ranges_and_other_groups(cloud: Cloud) -> None:
    path, rules = "/v2.1/os-security-groups", "/v2.1/os-security-group-rules"
    body = {"security_group": {"name": " web ", "description": "d"}}
    group = (await cloud.api.post(path, json=body, **M)).json["security_group"]
    assert group == {"id": group["id"], "name": " web ", "description": "d", "tenant_id": "demo", "rules": []}
    ask: dict[str, Any] = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": "22"}
    made = (await cloud.api.post(rules, json={"security_group_rule": ask}, **M)).json["security_group_rule"]
    assert (made["from_port"], made["ip_range"], made["group"]) == (22, {"cidr": "0.0.0.0/0"}, {})
    ping = {**ask, "ip_protocol": "icmp", "from_port": -1, "to_port": -1, "group_id": group["id"]}
    made = (await cloud.api.post(rules, json={"security_group_rule": ping}, **M)).json["security_group_rule"]
    assert (made["from_port"], made["ip_range"], made["group"]["name"]) == (-1, {}, " web ")
    for wrong, status in (
        ({"parent_group_id": "x"}, 400),
        ({"parent_group_id": NOWHERE}, 404),
        ({"from_port": 65536}, 400),
        ({"from_port": "65536"}, 400),
        ({"cidr": "nonsense"}, 400),
        ({"ip_protocol": None}, 400),
    ):
        answer = await cloud.api.post(rules, json={"security_group_rule": {**ask, **wrong}}, **M)
        assert answer.status == status, wrong
    seen = (await cloud.api.get(f"{path}/{group['id']}", **M)).json["security_group"]
    assert len(seen["rules"]) == 2
    assert (await cloud.api.delete(f"{rules}/{made['id']}", **M)).status == 202
    renamed = {"security_group": {"name": "new"}}
    changed = (await cloud.api.put(f"{path}/{group['id']}", json=renamed, **M)).json["security_group"]
    assert (changed["name"], len(changed["rules"])) == ("new", 1)
    assert (await cloud.api.delete(f"{path}/{group['id']}", **M)).status == 202
    assert (await cloud.api.get(f"{path}/{group['id']}", **M)).status == 404


async def test_a_conflict_at_the_network_service_was_bad_input_here(cloud: Cloud) -> None:
    cloud.network.groups = [SecurityGroup("5" * 8 + "-1111-4111-8111-111111111111", "default", "demo")]
    path = f"/v2.1/os-security-groups/{cloud.network.groups[0].id}"
    assert (await cloud.api.delete(path, **M)).status == 400
    cloud.network.groups = [replace(cloud.network.groups[0], project_id="rival")]
    everybodys = "/v2.1/os-security-groups?all_tenants=1"
    assert (await cloud.api.get(everybodys, **M)).json["security_groups"] == []
    assert len((await cloud.api.get(everybodys)).json["security_groups"]) == 1


async def test_images_have_properties_as_metadata(cloud: Cloud) -> None:
    cloud.images.images[IMAGE] = image(properties={"os_distro": "x"}, created_at="2026-01-01T00:00:00Z")
    (listed,) = (await cloud.api.get("/v2.1/images", **M)).json["images"]
    assert [link["rel"] for link in listed["links"]] == ["self", "bookmark", "alternate"]
    (shown,) = (await cloud.api.get("/v2.1/images/detail?status=active&limit=1", **M)).json["images"]
    assert (shown["status"], shown["progress"], shown["metadata"]) == ("ACTIVE", 100, {"os_distro": "x"})
    path = f"/v2.1/images/{IMAGE}"
    m: dict[str, Any] = {**M, "version": "2.38"}
    assert (await cloud.api.get(path, **m)).status == 404, "images were shown up to 2.35"
    assert (await cloud.api.post(path + "/metadata", json={"metadata": {"a": "1"}}, **m)).json == {
        "metadata": {"os_distro": "x", "a": "1"}
    }
    assert (await cloud.api.put(path + "/metadata", json={"metadata": {"b": "2"}}, **m)).json == {
        "metadata": {"b": "2"}
    }
    assert (await cloud.api.put(path + "/metadata/b", json={"meta": {"b": "3"}}, **m)).json == {"meta": {"b": "3"}}
    assert (await cloud.api.put(path + "/metadata/b", json={"meta": {"c": "3"}}, **m)).status == 400
    assert (await cloud.api.get(path + "/metadata/b", **m)).json == {"meta": {"b": "3"}}
    assert (await cloud.api.delete(path + "/metadata/b", **m)).status == 204
    assert (await cloud.api.delete(path + "/metadata/b", **m)).status == 404
    assert (await cloud.api.delete(path, **M)).status == 204
    assert (await cloud.api.delete(path, **M)).status == 404


async def test_no_host_ran_a_usage_audit(cloud: Cloud) -> None:
    path = "/v2.1/os-instance_usage_audit_log"
    log = (await cloud.api.get(path + "/2026-03-05 01:02:03")).json["instance_usage_audit_log"]
    assert (log["period_beginning"], log["period_ending"]) == ("2026-02-01 00:00:00", "2026-03-01 00:00:00")
    assert (log["hosts_not_run"], log["num_hosts_done"]) == (["host1"], 0)
    last = (await cloud.api.get(path)).json["instance_usage_audit_logs"]
    assert (last["period_beginning"], last["period_ending"]) == ("2025-12-01 00:00:00", "2026-01-01 00:00:00")
    assert (await cloud.api.get(path + "/yesterday")).status == 400
    assert (await cloud.api.get(path, **M)).status == 403


async def test_nobody_switches_a_host_off_from_here(cloud: Cloud) -> None:
    path = "/v2.1/os-hosts/host1"
    assert len((await cloud.api.get("/v2.1/os-hosts?zone=")).json["hosts"]) == 1
    assert (await cloud.api.put(path, json={"status": "enable"})).status == 501
    assert (await cloud.api.put(path, json={"status": "on"})).status == 400
    assert (await cloud.api.put(path, json={})).status == 400
    assert (await cloud.api.get(path + "/reboot")).status == 501
    assert (await cloud.api.get("/v2.1/os-hosts/nowhere/startup")).status == 404
    assert (await cloud.api.get(path + "/shutdown", **M)).status == 403


async def test_the_first_version_is_served_without_microversions(cloud: Cloud) -> None:
    assert (await cloud.api.get("/v2/", token=None)).json["version"]["id"] == "v2.0"
    assert (await cloud.api.get("/v2/os-networks", **M, version="2.90")).status == 200
    assert (await cloud.api.get("/v2.1/servers/", **M)).status == 404, "a server without a name"
