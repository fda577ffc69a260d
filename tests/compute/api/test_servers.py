"""Stories of servers as their owners see them through the API."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.compute.make import IMAGE, KEY, NETWORK, NOWHERE, Cloud, image, port
from tests.compute.make import cloud as make_cloud


async def test_asking_for_a_server_answers_at_once_and_writes_the_wish(cloud: Cloud) -> None:
    answer = await cloud.boot("web", metadata={"role": "front"})
    assert answer.status == 202
    made = answer.json["server"]
    assert set(made) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert answer.headers["location"].endswith(f"/v2.1/servers/{made['id']}")
    shown = (await cloud.api.get(f"/v2.1/servers/{made['id']}", token="member")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")
    assert shown["metadata"] == {"role": "front"}
    assert shown["image"]["id"] == IMAGE
    assert shown["hostId"] == ""
    assert "OS-EXT-SRV-ATTR:host" not in shown
    (wish,) = await cloud.operations(made["id"])
    assert (wish.kind, wish.state, wish.payload["networks"]) == ("build", "queued", [])
    assert wish.user_id == "member-user"


async def test_a_built_server_shows_its_addresses_and_where_it_is_to_administrators(cloud: Cloud) -> None:
    server_id = await cloud.server()
    shown = (await cloud.api.get(f"/v2.1/servers/{server_id}", version="2.96")).json["server"]
    assert shown["status"] == "ACTIVE"
    assert shown["addresses"]["private"][0]["addr"] == "10.0.0.4"
    assert shown["OS-EXT-SRV-ATTR:host"] == "host1"
    assert shown["OS-EXT-SRV-ATTR:instance_name"] == "instance-00000001"
    assert shown["host_status"] == "UP"
    assert shown["flavor"]["original_name"] == "tiny"
    assert len(shown["hostId"]) == 56
    assert shown["progress"] == 0
    assert shown["pinned_availability_zone"] is None
    assert shown["server_groups"] == []


async def test_another_projects_server_is_not_there(cloud: Cloud) -> None:
    server_id = await cloud.server()
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", ""), ("POST", "/action")):
        body = {"PUT": {"server": {"name": "x"}}, "POST": {"os-stop": None}}.get(method)
        answer = await cloud.api.request(method, f"/v2.1/servers/{server_id}{path}", token="member:other", json=body)
        assert answer.status == 404
        assert answer.json["itemNotFound"]["code"] == 404
    assert (await cloud.api.get(f"/v2.1/servers/{server_id}", token="admin:other")).status == 200


async def test_a_reader_may_look_and_not_touch(cloud: Cloud) -> None:
    server_id = await cloud.server()
    assert (await cloud.api.get(f"/v2.1/servers/{server_id}", token="reader")).status == 200
    assert (await cloud.api.delete(f"/v2.1/servers/{server_id}", token="reader")).status == 403
    assert (await cloud.boot(token="reader")).status == 403


async def test_deleting_overtakes_what_is_being_done_and_is_done_once(cloud: Cloud) -> None:
    server_id = str((await cloud.boot()).json["server"]["id"])
    assert (await cloud.api.delete(f"/v2.1/servers/{server_id}", token="member")).status == 204
    assert (await cloud.api.delete(f"/v2.1/servers/{server_id}", token="member")).status == 204
    build, delete = await cloud.operations(server_id)
    assert (build.kind, build.cancel, delete.kind) == ("build", True, "delete")
    shown = (await cloud.api.get(f"/v2.1/servers/{server_id}", token="member")).json["server"]
    assert shown["OS-EXT-STS:task_state"] == "deleting"


async def test_several_servers_of_one_request_are_numbered(cloud: Cloud) -> None:
    answer = await cloud.boot("web", min_count=2, max_count="3", return_reservation_id=True)
    assert answer.status == 202
    assert answer.json["reservation_id"].startswith("r-")
    listed = (await cloud.api.get("/v2.1/servers", token="member")).json["servers"]
    assert sorted(s["name"] for s in listed) == ["web-1", "web-2", "web-3"]


async def test_quota_gives_what_there_is_room_for_and_never_more(cloud: Cloud) -> None:
    answer = await cloud.boot("web", min_count=1, max_count=50)
    assert answer.status == 202
    assert len((await cloud.api.get("/v2.1/servers", token="member")).json["servers"]) == 10
    answer = await cloud.boot("more")
    assert answer.status == 403
    assert "instances" in answer.json["forbidden"]["message"]


async def test_many_at_once_cannot_exceed_the_quota(cloud: Cloud) -> None:
    answers = await asyncio.gather(*(cloud.boot(f"s{i}") for i in range(25)))
    assert sorted(a.status for a in answers) == [202] * 10 + [403] * 15


async def test_a_locked_server_stays_as_it_is(cloud: Cloud) -> None:
    server_id = await cloud.server()
    path = f"/v2.1/servers/{server_id}/action"
    assert (
        await cloud.api.post(path, json={"lock": {"locked_reason": "keep"}}, token="member", version="2.73")
    ).status == 202
    shown = (await cloud.api.get(f"/v2.1/servers/{server_id}", token="member", version="2.73")).json["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "keep")
    assert (await cloud.api.post(path, json={"os-stop": None}, token="member")).status == 409
    assert (await cloud.api.delete(f"/v2.1/servers/{server_id}", token="member")).status == 409
    assert (await cloud.api.post(path, json={"unlock": None}, token="member")).status == 202
    assert (await cloud.api.post(path, json={"os-stop": None}, token="member")).status == 202


async def test_what_the_admin_locked_only_the_admin_unlocks(cloud: Cloud) -> None:
    server_id = await cloud.server()
    path = f"/v2.1/servers/{server_id}/action"
    assert (await cloud.api.post(path, json={"lock": None}, token="admin")).status == 202
    assert (await cloud.api.post(path, json={"unlock": None}, token="member")).status == 403
    assert (await cloud.api.post(path, json={"unlock": None}, token="admin")).status == 202


async def test_wrong_state_is_a_conflict_that_says_which(cloud: Cloud) -> None:
    server_id = await cloud.server(vm_state="stopped")
    answer = await cloud.api.post(f"/v2.1/servers/{server_id}/action", json={"pause": None}, token="member")
    assert answer.status == 409
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'pause' instance {server_id} while it is in vm_state stopped"
    )


async def test_lists_are_filtered_sorted_and_paged(cloud: Cloud) -> None:
    ids = {}
    for name in ("web-1", "web-2", "db-1"):
        await cloud.clock.advance(1)
        ids[name] = await cloud.server(name)
    await cloud.settle(ids["db-1"], vm_state="stopped", power_state=4)

    async def names(query: str, **kw: Any) -> list[str]:
        answer = await cloud.api.get(f"/v2.1/servers{query}", token=kw.pop("token", "member"), **kw)
        assert answer.status == 200, answer.json
        return [s["name"] for s in answer.json["servers"]]

    assert await names("") == ["db-1", "web-2", "web-1"]
    assert await names("?name=web") == ["web-2", "web-1"]
    assert await names("?name=^.*-[2-9]$") == ["web-2"]
    assert await names("?status=SHUTOFF") == ["db-1"]
    assert await names("?status=active&status=shutoff") == ["db-1", "web-2", "web-1"]
    assert await names("?status=nonsense") == []
    assert await names("?sort_key=display_name&sort_dir=asc") == ["db-1", "web-1", "web-2"]
    assert await names("?ip=10.0.0.") == ["db-1", "web-2", "web-1"]
    assert await names("?ip=10.0.1.") == []
    assert await names("?image=" + IMAGE) == ["db-1", "web-2", "web-1"]
    assert await names("?flavor=2") == []
    assert await names("?vm_state=stopped", token="admin") == ["db-1"]
    assert await names("?vm_state=stopped") == ["db-1", "web-2", "web-1"], "not a filter for users before 2.83"
    assert await names("?vm_state=stopped", version="2.83") == ["db-1"]
    first = (await cloud.api.get("/v2.1/servers?limit=2", token="member")).json
    assert [s["name"] for s in first["servers"]] == ["db-1", "web-2"]
    following = first["servers_links"][0]["href"].split("/v2.1", 1)[1]
    assert await names(following.removeprefix("/servers")) == ["web-1"]
    assert (await cloud.api.get("/v2.1/servers?marker=" + NOWHERE, token="member")).status == 400
    assert (await cloud.api.get("/v2.1/servers?limit=-1", token="member")).status == 400
    assert (await cloud.api.get("/v2.1/servers?limit=a", token="member")).status == 400
    assert (await cloud.api.get("/v2.1/servers?name=(", token="member")).status == 400
    assert (await cloud.api.get("/v2.1/servers?foo=1", token="member", version="2.75")).status == 400
    assert (await cloud.api.get("/v2.1/servers?foo=1", token="member", version="2.74")).status == 200


async def test_only_administrators_see_all_projects(cloud: Cloud) -> None:
    await cloud.server()
    assert (await cloud.api.get("/v2.1/servers?all_tenants=1", token="member")).status == 403
    answer = await cloud.api.get("/v2.1/servers/detail?all_tenants=1", token="admin:other")
    assert [s["tenant_id"] for s in answer.json["servers"]] == ["demo"]
    assert (await cloud.api.get("/v2.1/servers/detail", token="admin:other")).json["servers"] == []


async def test_tags_select_servers(cloud: Cloud) -> None:
    answer = await cloud.boot("a", version="2.52", tags=["blue", "big"])
    assert answer.status == 202
    await cloud.boot("b", version="2.52", tags=["blue"])

    async def names(query: str) -> list[str]:
        answer = await cloud.api.get(f"/v2.1/servers?{query}", token="member", version="2.52")
        return sorted(s["name"] for s in answer.json["servers"])

    assert await names("tags=blue,big") == ["a"]
    assert await names("tags-any=big,blue") == ["a", "b"]
    assert await names("not-tags=blue,big") == ["b"]
    assert await names("not-tags-any=big") == ["b"]
    assert await names("tags=bl") == []


async def test_a_change_is_shown_whole_from_2_75_on(cloud: Cloud) -> None:
    server_id = await cloud.server()
    path = f"/v2.1/servers/{server_id}"
    assert (await cloud.api.put(path, json={"server": {}}, token="member")).status == 200
    canonical = {"server": {"accessIPv6": "0:0:0:0:0:babe:220.12.22.2"}}
    changed = await cloud.api.put(path, json=canonical, token="member")
    assert changed.json["server"]["accessIPv6"] == "::babe:dc0c:1602"
    old = await cloud.api.put(path, json={"server": {"name": "new", "accessIPv4": "1.2.3.4"}}, token="member")
    assert "security_groups" not in old.json["server"]
    restored = await cloud.api.post(path + "/action", json={"restore": None}, token="member")
    assert restored.status == 409, "it is not deleted, so the state is what stands in the way"
    assert old.status == 200
    assert (old.json["server"]["name"], old.json["server"]["accessIPv4"]) == ("new", "1.2.3.4")
    assert "OS-EXT-STS:vm_state" not in old.json["server"]
    new = await cloud.api.put(path, json={"server": {"description": "d"}}, token="member", version="2.75")
    assert new.json["server"]["OS-EXT-STS:vm_state"] == "active"
    assert new.json["server"]["description"] == "d"
    assert (await cloud.api.put(path, json={"server": {"description": "d"}}, token="member")).status == 400


async def test_a_fault_tells_the_owner_and_more_to_the_admin(cloud: Cloud) -> None:
    fault = {"code": 500, "message": "No host fits", "details": "host1: disk", "created_at": "2026-01-01T00:00:00Z"}
    server_id = await cloud.server(vm_state="error", fault=fault)
    mine = (await cloud.api.get(f"/v2.1/servers/{server_id}", token="member")).json["server"]
    assert mine["status"] == "ERROR"
    assert mine["fault"] == {"code": 500, "message": "No host fits", "created": "2026-01-01T00:00:00Z"}
    theirs = (await cloud.api.get(f"/v2.1/servers/{server_id}")).json["server"]
    assert theirs["fault"]["details"] == "host1: disk"


async def test_requests_that_cannot_be_fulfilled_say_why(cloud: Cloud) -> None:
    cloud.images.images["big"] = image(NOWHERE)
    big, young = "55555555-5555-4555-8555-555555555555", "66666666-6666-4666-8666-666666666666"
    cloud.images.images[big] = image(big, min_ram_mib=1024)
    cloud.images.images[young] = image(young, status="queued")
    cases: list[tuple[int, dict[str, Any]]] = [
        (400, {"flavorRef": "nope"}),
        (400, {"imageRef": NOWHERE}),
        (400, {"imageRef": young}),
        (400, {"imageRef": big}),
        (400, {"imageRef": ""}),
        (400, {"imageRef": "not-a-uuid"}),
        (400, {"key_name": "nope"}),
        (400, {"networks": [{"uuid": NOWHERE}]}),
        (400, {"networks": [{"port": NOWHERE}]}),
        (400, {"networks": [{}]}),
        (400, {"networks": "some"}),
        (400, {"security_groups": [{"name": "nope"}]}),
        (400, {"availability_zone": "mars"}),
        (403, {"availability_zone": "nova:host1"}),
        (400, {"user_data": "not base64!"}),
        (400, {"min_count": 3, "max_count": 2}),
        (400, {"min_count": 0}),
        (400, {"metadata": {"a": 1}}),
        (400, {"metadata": {"": "x"}}),
        (403, {"metadata": {f"k{i}": "v" for i in range(129)}}),
        (400, {"name": ""}),
        (400, {"name": " leading"}),
        (400, {"name": "a" * 256}),
        (400, {"name": 5}),
        (400, {"unknown": 1}),
        (400, {"tags": ["a"]}),
        (400, {"hostname": "x"}),
        (
            400,
            {
                "block_device_mapping_v2": [
                    {"source_type": "volume", "destination_type": "volume", "uuid": big, "boot_index": 0}
                ]
            },
        ),
    ]
    for status, change in cases:
        answer = await cloud.boot(**change)
        assert answer.status == status, (change, answer.json)
    assert (await cloud.api.get("/v2.1/servers", token="member")).json["servers"] == [], "and nothing was changed"


async def test_networks_ports_and_groups_reach_the_wish(cloud: Cloud) -> None:
    port_id = "77777777-7777-4777-8777-777777777777"
    cloud.network.ports_[port_id] = port(port_id)
    answer = await cloud.boot(version="2.42", networks=[{"uuid": NETWORK, "tag": "nic"}, {"port": port_id}])
    assert answer.status == 202, answer.json
    (wish,) = await cloud.operations(answer.json["server"]["id"])
    assert [c["network_id"] for c in wish.payload["networks"]] == [NETWORK, None]
    assert wish.payload["networks"][1]["port_id"] == port_id
    assert wish.payload["networks"][0]["tag"] == "nic"
    cloud.network.ports_[port_id] = port(port_id, device_id="other")
    assert (await cloud.boot(networks=[{"port": port_id}])).status == 409
    cloud.network.room = 0
    assert (await cloud.boot(networks=[{"uuid": NETWORK}])).status == 403


async def test_before_2_37_the_only_network_is_taken(cloud: Cloud) -> None:
    answer = await cloud.boot(version="2.1")
    (wish,) = await cloud.operations(answer.json["server"]["id"])
    assert [c["network_id"] for c in wish.payload["networks"]] == [NETWORK]
    cloud.network.known[NOWHERE] = cloud.network.known[NETWORK]
    assert (await cloud.boot(version="2.1")).status == 409


async def test_an_administrator_may_name_the_host(cloud: Cloud) -> None:
    answer = await cloud.boot(token="admin", availability_zone="nova:host1")
    assert answer.status == 202
    row = await cloud.row(answer.json["server"]["id"])
    assert (row.spec["zone"], row.spec["forced_host"]) == ("nova", "host1")
    assert (await cloud.boot(token="admin", availability_zone="nova:mars")).status == 400
    assert (await cloud.boot(token="admin", version="2.74", host="host1")).status == 202
    assert (await cloud.boot(token="member", version="2.74", host="host1")).status == 403


async def test_a_key_pair_goes_with_the_server(cloud: Cloud) -> None:
    made = await cloud.api.post(
        "/v2.1/os-keypairs", json={"keypair": {"name": "mine", "public_key": KEY}}, token="member"
    )
    assert made.status == 200
    answer = await cloud.boot(key_name="mine")
    row = await cloud.row(answer.json["server"]["id"])
    assert (row.key_name, row.public_key) == ("mine", KEY)


async def test_the_project_in_the_url_must_be_the_tokens(cloud: Cloud) -> None:
    inside = await cloud.api.get("/v2.1/demo/servers", token="member")
    assert inside.status == 200
    assert (await cloud.api.get("/v2.1/other/servers", token="member")).status == 400
    server_id = await cloud.server()
    shown = (await cloud.api.get(f"/v2.1/demo/servers/{server_id}", token="member")).json["server"]
    assert [link["href"].split("cloud.test")[1] for link in shown["links"]] == [
        f"/v2.1/demo/servers/{server_id}",
        f"/demo/servers/{server_id}",
    ]


async def test_bad_requests_leave_in_computes_dialect(cloud: Cloud) -> None:
    assert (await cloud.api.get("/v2.1/servers", token=None)).status == 401
    assert (await cloud.api.get("/v2.1/servers", version="2.104")).status == 406
    assert (await cloud.api.get("/v2.1/nonsense")).status == 404
    answer = await cloud.api.post("/v2.1/servers", content=b"{", headers={"content-type": "application/json"})
    assert answer.status == 400
    assert set(answer.json["badRequest"]) == {"code", "message"}
    server_id = await cloud.server()
    for body in ({}, {"nonsense": None}, {"os-stop": None, "os-start": None}, {"reboot": {"type": "x"}}, []):
        assert (await cloud.api.post(f"/v2.1/servers/{server_id}/action", json=body)).status == 400


async def test_zero_disk_flavors_are_for_administrators() -> None:
    cloud = make_cloud()
    await cloud.flavor(disk=0)
    assert (await cloud.boot()).status == 403
    assert (await cloud.boot(token="admin")).status == 202


async def test_a_deleted_server_is_listed_to_those_who_ask_for_changes(cloud: Cloud) -> None:
    from kilonova.compute.store import servers

    server_id = await cloud.server()
    await cloud.clock.advance(10)
    async with cloud.db.transaction() as tx:
        assert await servers.mark_deleted(tx, server_id, cloud.clock.now())
        assert not await servers.mark_deleted(tx, server_id, cloud.clock.now())
    assert (await cloud.api.get(f"/v2.1/servers/{server_id}", token="member")).status == 404
    assert (await cloud.api.get("/v2.1/servers", token="member")).json["servers"] == []
    changed = await cloud.api.get("/v2.1/servers/detail?changes-since=2026-01-01T00:00:05Z", token="member")
    assert [s["status"] for s in changed.json["servers"]] == ["DELETED"]
    assert (await cloud.api.get("/v2.1/servers?status=deleted", token="member")).status == 403
    listed = await cloud.api.get("/v2.1/servers?deleted=true", token="admin")
    assert [s["id"] for s in listed.json["servers"]] == [server_id]
