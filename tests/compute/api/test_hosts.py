"""Stories of services, hypervisors, aggregates and zones."""

from __future__ import annotations

from kilonova.compute.calls import FACTS_CHANGED
from tests.compute.make import Cloud

SERVICE_ID = "aaaaaaaa-0000-4000-8000-000000000001"
HOST_ID = "bbbbbbbb-0000-4000-8000-000000000001"


async def test_services_are_up_while_they_are_heard_of(cloud: Cloud) -> None:
    listed = (await cloud.api.get("/v2.1/os-services")).json["services"]
    assert [(s["id"], s["binary"], s["zone"], s["status"], s["state"]) for s in listed] == [
        (1, "nova-compute", "nova", "enabled", "up")
    ]
    await cloud.clock.advance(61)
    (one,) = (await cloud.api.get("/v2.1/os-services", version="2.53")).json["services"]
    assert (one["id"], one["state"]) == (SERVICE_ID, "down")
    assert (await cloud.api.get("/v2.1/os-services", token="member")).status == 403


async def test_a_host_is_switched_off_and_on_and_the_scheduler_hears_of_it(cloud: Cloud) -> None:
    heard: list[int] = []
    cloud.bus.on_wake(FACTS_CHANGED, lambda: heard.append(1))
    path, off = f"/v2.1/os-services/{SERVICE_ID}", {"status": "disabled", "disabled_reason": "disk"}
    answer = await cloud.api.put(path, json=off, version="2.53")
    assert (answer.json["service"]["status"], answer.json["service"]["disabled_reason"]) == ("disabled", "disk")
    assert heard
    assert (await cloud.api.put(path, json={"disabled_reason": "x"}, version="2.53")).status == 400
    assert (await cloud.api.put(path, json={"status": "enabled"}, version="2.53")).json["service"][
        "disabled_reason"
    ] is None
    assert (await cloud.api.put(path, json={"forced_down": True}, version="2.53")).json["service"]["state"] == "down"
    old = {"host": "host1", "binary": "nova-compute"}
    assert (await cloud.api.put("/v2.1/os-services/disable", json=old)).json["service"]["status"] == "disabled"
    assert (await cloud.api.put("/v2.1/os-services/enable", json={**old, "host": "mars"})).status == 404


async def test_a_service_with_servers_cannot_be_deleted(cloud: Cloud) -> None:
    server_id = await cloud.server()
    path = f"/v2.1/os-services/{SERVICE_ID}"
    assert (await cloud.api.delete(path, version="2.53")).status == 409
    await cloud.settle(server_id, host=None)
    assert (await cloud.api.delete(path, version="2.53")).status == 204
    assert (await cloud.api.delete(path, version="2.53")).status == 404
    assert (await cloud.api.delete("/v2.1/os-services/1", version="2.53")).status == 400


async def test_hypervisors_are_shown_as_their_microversion_has_them(cloud: Cloud) -> None:
    await cloud.server()
    old = (await cloud.api.get("/v2.1/os-hypervisors/detail")).json["hypervisors"][0]
    assert (old["id"], old["vcpus"], old["free_ram_mb"], old["service"]["id"]) == (1, 8, 15872, 1)
    assert old["cpu_info"] == '{"arch":"x86_64"}'
    new = (await cloud.api.get(f"/v2.1/os-hypervisors/{HOST_ID}?with_servers=true", version="2.88")).json["hypervisor"]
    assert (new["uptime"], new["id"], len(new["servers"])) == ("3 days", HOST_ID, 1)
    assert "vcpus" not in new
    assert (await cloud.api.get("/v2.1/os-hypervisors/1", version="2.53")).status == 400
    assert (await cloud.api.get("/v2.1/os-hypervisors/7")).status == 404
    assert (await cloud.api.get("/v2.1/os-hypervisors/statistics")).json["hypervisor_statistics"]["count"] == 1
    assert (await cloud.api.get("/v2.1/os-hypervisors/host/search")).json["hypervisors"][0]["id"] == 1
    assert (await cloud.api.get("/v2.1/os-hypervisors?hypervisor_hostname_pattern=mars", version="2.53")).status == 404


async def test_an_aggregate_that_cannot_be_is_not_found(cloud: Cloud) -> None:
    for key, status in (("-1", 404), ("99999999999", 404), ("1", 404), ("one", 400)):
        assert (await cloud.api.get(f"/v2.1/os-aggregates/{key}")).status == status


async def test_an_aggregate_makes_a_zone(cloud: Cloud) -> None:
    made = await cloud.api.post(
        "/v2.1/os-aggregates", json={"aggregate": {"name": "racks", "availability_zone": "north"}}, version="2.41"
    )
    assert made.status == 200
    path = f"/v2.1/os-aggregates/{made.json['aggregate']['id']}"
    assert set(made.json["aggregate"]) == {
        "id", "uuid", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"
    }  # fmt: skip
    added = await cloud.api.post(path + "/action", json={"add_host": {"host": "host1"}})
    assert added.json["aggregate"]["hosts"] == ["host1"]
    assert (await cloud.api.post(path + "/action", json={"add_host": {"host": "host1"}})).status == 409
    assert (await cloud.api.post(path + "/action", json={"add_host": {"host": "mars"}})).status == 404
    zones = (await cloud.api.get("/v2.1/os-availability-zone", token="member")).json["availabilityZoneInfo"]
    assert [z["zoneName"] for z in zones] == ["north"]
    detail = (await cloud.api.get("/v2.1/os-availability-zone/detail")).json["availabilityZoneInfo"]
    assert detail[0]["hosts"]["host1"]["nova-compute"]["available"] is True
    assert (await cloud.boot(availability_zone="north")).status == 202
    assert (await cloud.boot(availability_zone="nova")).status == 400
    other = await cloud.api.post(
        "/v2.1/os-aggregates", json={"aggregate": {"name": "others", "availability_zone": "south"}}
    )
    body = {"add_host": {"host": "host1"}}
    assert (
        await cloud.api.post(f"/v2.1/os-aggregates/{other.json['aggregate']['id']}/action", json=body)
    ).status == 409
    meta = {"set_metadata": {"metadata": {"ssd": "true", "availability_zone": None}}}
    changed = (await cloud.api.post(path + "/action", json=meta)).json["aggregate"]
    assert (changed["metadata"], changed["availability_zone"]) == ({"ssd": "true"}, None)
    assert (await cloud.api.delete(path)).status == 400
    assert (await cloud.api.post(path + "/action", json={"remove_host": {"host": "host1"}})).status == 200
    assert (await cloud.api.post(path + "/action", json={"remove_host": {"host": "host1"}})).status == 404
    assert (await cloud.api.delete(path)).status == 200
    assert (await cloud.api.get(path)).status == 404
    assert (await cloud.api.post("/v2.1/os-aggregates", json={"aggregate": {"name": "others"}})).status == 409


async def test_the_zone_of_a_host_with_servers_stays(cloud: Cloud) -> None:
    await cloud.server()
    made = await cloud.api.post(
        "/v2.1/os-aggregates", json={"aggregate": {"name": "racks", "availability_zone": "north"}}
    )
    path = f"/v2.1/os-aggregates/{made.json['aggregate']['id']}"
    assert (await cloud.api.post(path + "/action", json={"add_host": {"host": "host1"}})).status == 409


async def test_a_host_with_servers_may_join_the_zone_it_is_in_already(cloud: Cloud) -> None:
    await cloud.server()
    made = await cloud.api.post(
        "/v2.1/os-aggregates", json={"aggregate": {"name": "racks", "availability_zone": "nova"}}
    )
    path = f"/v2.1/os-aggregates/{made.json['aggregate']['id']}"
    assert (await cloud.api.post(path + "/action", json={"add_host": {"host": "host1"}})).status == 200
    elsewhere = {"set_metadata": {"metadata": {"availability_zone": "north"}}}
    assert (await cloud.api.post(path + "/action", json=elsewhere)).status == 409
    nowhere = {"set_metadata": {"metadata": {"availability_zone": None}}}
    assert (await cloud.api.post(path + "/action", json=nowhere)).status == 200
    assert (await cloud.api.post(path + "/action", json={"remove_host": {"host": "host1"}})).status == 200
