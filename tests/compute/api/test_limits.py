"""Stories of quotas, limits, usage, server groups and what is gone."""

from __future__ import annotations

from typing import Any

from kilonova.compute.store import servers
from tests.compute.make import NOWHERE, Cloud


async def test_a_quota_is_set_shown_and_forgotten(cloud: Cloud) -> None:
    path = "/v2.1/os-quota-sets/demo"
    assert (await cloud.api.get(path, token="member")).json["quota_set"]["instances"] == 10
    assert (await cloud.api.get(path, token="member:other")).status == 403
    assert (await cloud.api.put(path, json={"quota_set": {"instances": 1}}, token="member")).status == 403
    changed = (await cloud.api.put(path, json={"quota_set": {"instances": "1"}})).json["quota_set"]
    assert changed["instances"] == 1
    assert "id" not in changed
    assert (await cloud.boot()).status == 202
    assert (await cloud.boot()).status == 403
    assert (await cloud.api.put(path, json={"quota_set": {"instances": 0}})).status == 400
    assert (await cloud.api.put(path, json={"quota_set": {"instances": 0, "force": True}})).status == 200
    assert (await cloud.api.put(path, json={"quota_set": {"instances": -2}})).status == 400
    assert (await cloud.api.put(path, json={"quota_set": {"nonsense": 1}})).status == 400
    detail = (await cloud.api.get(path + "/detail", version="2.57")).json["quota_set"]
    assert detail["instances"] == {"limit": 0, "in_use": 1, "reserved": 0}
    assert "injected_files" not in detail
    assert (await cloud.api.delete(path)).status == 202
    assert (await cloud.api.get(path, version="2.36")).json["quota_set"]["instances"] == 10
    assert "floating_ips" not in (await cloud.api.get(path, version="2.36")).json["quota_set"]


async def test_a_user_may_have_less_than_the_project(cloud: Cloud) -> None:
    path = "/v2.1/os-quota-sets/demo?user_id=member-user"
    assert (await cloud.api.put(path, json={"quota_set": {"cores": 1}})).status == 200
    assert (await cloud.api.put(path, json={"quota_set": {"cores": 100}})).status == 400
    assert (await cloud.boot()).status == 202
    assert (await cloud.boot()).status == 403
    assert (await cloud.boot(token="member:demo:another")).status == 202


async def test_the_default_class_holds_for_all(cloud: Cloud) -> None:
    path = "/v2.1/os-quota-class-sets/default"
    assert (await cloud.api.put(path, json={"quota_class_set": {"instances": 2}})).status == 200
    assert (await cloud.api.get("/v2.1/os-quota-sets/x/defaults")).json["quota_set"]["instances"] == 2
    assert (await cloud.boot(min_count=3, max_count=3)).status == 403


async def test_limits_tell_what_is_used(cloud: Cloud) -> None:
    await cloud.server()
    seen = (await cloud.api.get("/v2.1/limits", token="member", version="2.57")).json["limits"]
    assert seen["rate"] == []
    assert (seen["absolute"]["totalInstancesUsed"], seen["absolute"]["totalRAMUsed"]) == (1, 512)
    assert "maxPersonality" not in seen["absolute"]
    assert "maxTotalFloatingIps" in (await cloud.api.get("/v2.1/limits")).json["limits"]["absolute"]
    assert (await cloud.api.get("/v2.1/limits?tenant_id=other", token="member")).status == 403


async def test_usage_is_sizes_times_hours(cloud: Cloud) -> None:
    server_id = await cloud.server()
    await cloud.clock.advance(7200)
    async with cloud.db.transaction() as tx:
        await servers.mark_deleted(tx, server_id, cloud.clock.now())
    await cloud.clock.advance(3600)
    path = "/v2.1/os-simple-tenant-usage/demo?start=2025-12-31T00:00:00&end=2026-01-02T00:00:00"
    seen = (await cloud.api.get(path, token="member")).json["tenant_usage"]
    assert (seen["total_hours"], seen["total_memory_mb_usage"]) == (2.0, 1024.0)
    (one,) = seen["server_usages"]
    assert (one["state"], one["uptime"], one["flavor"]) == ("terminated", 7200, "tiny")
    assert (await cloud.api.get(path.replace("demo", "other"), token="member")).status == 403
    listed = (await cloud.api.get("/v2.1/os-simple-tenant-usage?detailed=1")).json["tenant_usages"]
    assert [u["tenant_id"] for u in listed] == ["demo"]
    assert (await cloud.api.get("/v2.1/os-simple-tenant-usage?start=tomorrow")).status == 400


async def test_server_groups(cloud: Cloud) -> None:
    m: dict[str, Any] = {"token": "member"}
    old = {"server_group": {"name": "apart", "policies": ["anti-affinity"]}}
    made = await cloud.api.post("/v2.1/os-server-groups", json=old, **m)
    assert made.status == 200
    assert made.json["server_group"]["policies"] == ["anti-affinity"]
    group_id = made.json["server_group"]["id"]
    new = {"server_group": {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}}
    shown = (await cloud.api.post("/v2.1/os-server-groups", json=new, version="2.64", **m)).json["server_group"]
    assert shown["rules"] == {"max_server_per_host": 2}
    wrong = {"server_group": {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}}}
    assert (await cloud.api.post("/v2.1/os-server-groups", json=wrong, version="2.64", **m)).status == 400
    soft = {"server_group": {"name": "x", "policies": ["soft-affinity"]}}
    assert (await cloud.api.post("/v2.1/os-server-groups", json=soft, **m)).status == 400
    server = (await cloud.boot(hints={"group": group_id})).json["server"]["id"]
    seen = (await cloud.api.get(f"/v2.1/os-server-groups/{group_id}", **m)).json["server_group"]
    assert seen["members"] == [server]
    in_server = (await cloud.api.get(f"/v2.1/servers/{server}", version="2.71", **m)).json["server"]
    assert in_server["server_groups"] == [group_id]
    assert (await cloud.boot(hints={"group": NOWHERE})).status == 400
    assert (await cloud.api.get(f"/v2.1/os-server-groups/{group_id}", token="member:other")).status == 404
    assert (await cloud.api.get("/v2.1/os-server-groups?all_projects=1", **m)).status == 403
    assert (await cloud.api.delete(f"/v2.1/os-server-groups/{group_id}", **m)).status == 204
    assert (await cloud.api.delete(f"/v2.1/os-server-groups/{group_id}", **m)).status == 404


async def test_what_is_gone_says_so(cloud: Cloud) -> None:
    for path in ("/os-agents", "/os-cells/info", "/os-fping"):
        answer = await cloud.api.get(f"/v2.1{path}")
        assert answer.status == 410
    assert (await cloud.api.get("/v2.1/extensions", token="member")).json["extensions"]
    assert (await cloud.api.get("/v2.1/extensions/nope", token="member")).status == 404


async def test_versions_are_told_without_a_token(cloud: Cloud) -> None:
    old, one = (await cloud.api.get("/", token=None)).json["versions"]
    assert (old["id"], old["version"]) == ("v2.0", "")
    assert (one["min_version"], one["version"], one["status"]) == ("2.1", "2.103", "CURRENT")
    assert (await cloud.api.get("/v2.1/", token=None)).json["version"]["id"] == "v2.1"
