"""Stories of what belongs to a server: metadata, tags, addresses, actions, consoles, cards, groups."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from kilonova.clients.network import FloatingIp, SecurityGroup
from kilonova.compute.calls import (
    CONSOLE_ENDPOINT,
    CONSOLE_LOG,
    DIAGNOSTICS,
    ConsoleEndpoint,
    ConsoleText,
    Diagnostics,
    ReadConsole,
    agent_topic,
)
from kilonova.compute.store import console_tokens, servers, tables
from kilonova.kernel.errors import NotFound
from tests.compute.make import NOWHERE, Cloud, port, vif


async def test_metadata_is_changed_item_by_item_and_whole(cloud: Cloud) -> None:
    path = f"/v2.1/servers/{await cloud.server()}/metadata"
    m: dict[str, Any] = {"token": "member"}
    assert (await cloud.api.post(path, json={"metadata": {"a": "1"}}, **m)).json == {"metadata": {"a": "1"}}
    assert (await cloud.api.put(path + "/b", json={"meta": {"b": "2"}}, **m)).json == {"meta": {"b": "2"}}
    assert (await cloud.api.get(path, **m)).json == {"metadata": {"a": "1", "b": "2"}}
    assert (await cloud.api.put(path, json={"metadata": {"c": "3"}}, **m)).json == {"metadata": {"c": "3"}}
    assert (await cloud.api.put(path + "/x", json={"meta": {"b": "2"}}, **m)).status == 400
    assert (await cloud.api.get(path + "/a", **m)).status == 404
    assert (await cloud.api.delete(path + "/c", **m)).status == 204
    assert (await cloud.api.delete(path + "/c", **m)).status == 404
    too_many = {"metadata": {f"k{i}": "v" for i in range(129)}}
    assert (await cloud.api.post(path, json=too_many, **m)).status == 403
    assert (await cloud.api.post(path, json={"metadata": {"a": "x" * 256}}, **m)).status == 400


async def test_metadata_of_a_server_being_built_stays(cloud: Cloud) -> None:
    made = (await cloud.boot()).json["server"]["id"]
    answer = await cloud.api.post(f"/v2.1/servers/{made}/metadata", json={"metadata": {"a": "1"}}, token="member")
    assert answer.status == 409


async def test_tags(cloud: Cloud) -> None:
    path = f"/v2.1/servers/{await cloud.server()}/tags"
    m: dict[str, Any] = {"token": "member", "version": "2.26"}
    assert (await cloud.api.put(path + "/one", **m)).status == 201
    assert (await cloud.api.put(path + "/one", **m)).status == 204
    assert (await cloud.api.get(path, **m)).json == {"tags": ["one"]}
    assert (await cloud.api.get(path + "/one", **m)).status == 204
    assert (await cloud.api.get(path + "/two", **m)).status == 404
    assert (await cloud.api.put(path + "/a,b", **m)).status == 400
    assert (await cloud.api.put(path, json={"tags": ["x", "y"]}, **m)).json == {"tags": ["x", "y"]}
    assert (await cloud.api.put(path, json={"tags": ["a/b"]}, **m)).status == 400
    assert (await cloud.api.delete(path + "/x", **m)).status == 204
    assert (await cloud.api.delete(path + "/x", **m)).status == 404
    assert (await cloud.api.delete(path, **m)).status == 204
    assert (await cloud.api.get(path, token="member")).status == 404, "there are no tags before 2.26"


async def test_addresses(cloud: Cloud) -> None:
    server_id = await cloud.server(**servers.vif_values((vif("10.0.0.4", "203.0.113.5"),)))
    path = f"/v2.1/servers/{server_id}/ips"
    rows = [{"version": 4, "addr": "10.0.0.4"}, {"version": 4, "addr": "203.0.113.5"}]
    assert (await cloud.api.get(path, token="member")).json == {"addresses": {"private": rows}}
    assert (await cloud.api.get(path + "/private", token="member")).json == {"private": rows}
    assert (await cloud.api.get(path + "/other", token="member")).status == 404


async def test_the_history_tells_what_was_asked_and_how_it_went(cloud: Cloud) -> None:
    server_id = await cloud.server()
    await cloud.api.post(f"/v2.1/servers/{server_id}/action", json={"os-stop": None}, token="member")
    path = f"/v2.1/servers/{server_id}/os-instance-actions"
    listed = (await cloud.api.get(path, token="member")).json["instanceActions"]
    assert [(a["action"], a["user_id"]) for a in listed] == [("stop", "member-user"), ("create", "member-user")]
    (build, stop) = await cloud.operations(server_id)
    event = {
        "name": "compute_stop_instance",
        "start": "2026-01-01T00:00:00Z",
        "finish": "2026-01-01T00:00:02Z",
        "result": "Success",
        "host": "host1",
    }
    async with cloud.db.transaction() as tx:
        await tx.run(update(tables.operations).where(tables.operations.c.id == stop.id).values(events=[event]))
    shown = (await cloud.api.get(f"{path}/{stop.request_id}", token="admin", version="2.84")).json["instanceAction"]
    assert shown["events"][0]["host"] == "host1"
    assert shown["events"][0]["finish_time"] == "2026-01-01T00:00:02.000000"
    mine = (await cloud.api.get(f"{path}/{stop.request_id}", token="member", version="2.51")).json["instanceAction"]
    assert set(mine["events"][0]) == {"event", "start_time", "finish_time", "result"}
    assert "events" not in (await cloud.api.get(f"{path}/{stop.request_id}", token="member")).json["instanceAction"]
    assert (await cloud.api.get(f"{path}/req-{NOWHERE}", token="member")).status == 404
    page = (await cloud.api.get(f"{path}?limit=1", token="member", version="2.58")).json
    assert [a["action"] for a in page["instanceActions"]] == ["stop"]
    assert stop.request_id in page["links"][0]["href"]
    assert build.request_id != stop.request_id


async def test_the_console_log_comes_from_the_host(cloud: Cloud) -> None:
    asked: list[Any] = []

    async def log(question: ReadConsole) -> ConsoleText:
        asked.append(question.last_lines)
        return ConsoleText(text="login: ")

    server_id = await cloud.server()
    path = f"/v2.1/servers/{server_id}/action"
    body = {"os-getConsoleOutput": {"length": 5}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 503, "the host does not answer"
    cloud.bus.serve(agent_topic("host1"), {CONSOLE_LOG: log})
    assert (await cloud.api.post(path, json=body, token="member")).json == {"output": "login: "}
    body = {"os-getConsoleOutput": {"length": "-1"}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 200
    assert (await cloud.api.post(path, json={"os-getConsoleOutput": {}}, token="member")).status == 200
    assert asked == [5, None, None]
    assert (await cloud.api.post(path, json={"os-getConsoleOutput": {"length": -2}}, token="member")).status == 400
    building = (await cloud.boot()).json["server"]["id"]
    answer = await cloud.api.post(f"/v2.1/servers/{building}/action", json=body, token="member")
    assert answer.status == 409


async def test_a_console_opens_once_and_not_for_long(cloud: Cloud) -> None:
    async def endpoint(_question: Any) -> ConsoleEndpoint:
        return ConsoleEndpoint(host="host1", path="/run/vnc.sock")

    cloud.bus.serve(agent_topic("host1"), {CONSOLE_ENDPOINT: endpoint})
    server_id = await cloud.server()
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    path = f"/v2.1/servers/{server_id}/remote-consoles"
    made = (await cloud.api.post(path, json=body, token="member", version="2.6")).json["remote_console"]
    token = made["url"].split("token%3D")[1]
    seen = await cloud.api.get(f"/v2.1/os-console-auth-tokens/{token}", version="2.31")
    assert seen.json["console"]["internal_access_path"] == "/run/vnc.sock"
    assert (await cloud.api.get(f"/v2.1/os-console-auth-tokens/{token}", token="member", version="2.31")).status == 403
    async with cloud.db.transaction() as tx:
        assert (await console_tokens.use(tx, token, cloud.clock.now())) is not None
        assert (await console_tokens.use(tx, token, cloud.clock.now())) is None
    again = (await cloud.api.post(path, json=body, token="member", version="2.6")).json["remote_console"]["url"]
    await cloud.clock.advance(601)
    answer = await cloud.api.get(f"/v2.1/os-console-auth-tokens/{again.split('token%3D')[1]}", version="2.31")
    assert answer.status == 404
    spice = {"remote_console": {"protocol": "spice", "type": "spice-html5"}}
    assert (await cloud.api.post(path, json=spice, token="member", version="2.6")).status == 400
    old = await cloud.api.post(
        f"/v2.1/servers/{server_id}/action", json={"os-getVNCConsole": {"type": "novnc"}}, token="member"
    )
    assert old.json["console"]["type"] == "novnc"


async def test_diagnostics_and_a_guest_that_is_gone(cloud: Cloud) -> None:
    async def tell(_question: Any) -> Diagnostics:
        return Diagnostics(power_state=1, uptime_s=5.0, vcpus=1, ram_mib=512, driver="fake", hypervisor="fake")

    async def refuse(_question: Any) -> Diagnostics:
        raise NotFound("no such guest")

    server_id = await cloud.server()
    serving = cloud.bus.serve(agent_topic("host1"), {DIAGNOSTICS: tell})
    shown = (await cloud.api.get(f"/v2.1/servers/{server_id}/diagnostics", version="2.48")).json
    assert (shown["state"], shown["memory_details"]["maximum"]) == ("running", 512)
    serving.close()
    cloud.bus.serve(agent_topic("host1"), {DIAGNOSTICS: refuse})
    assert (await cloud.api.get(f"/v2.1/servers/{server_id}/diagnostics")).status == 409


async def test_events_of_the_network_bring_the_addresses_up_to_date(cloud: Cloud) -> None:
    server_id = await cloud.server()
    port_id = vif().port_id
    cloud.network.ports_[port_id] = port(port_id, device_id=server_id, mac=vif().mac, status="ACTIVE")
    cloud.network.floating = [FloatingIp("f", "203.0.113.9", port_id, "10.0.0.9", "ext")]
    events = [
        {"name": "network-changed", "server_uuid": server_id, "tag": port_id},
        {"name": "network-changed", "server_uuid": NOWHERE},
    ]
    answer = await cloud.api.post("/v2.1/os-server-external-events", json={"events": events}, token="service")
    assert answer.status == 207
    assert [e["code"] for e in answer.json["events"]] == [200, 404]
    shown = (await cloud.api.get(f"/v2.1/servers/{server_id}", token="member")).json["server"]
    assert [a["addr"] for a in shown["addresses"]["private"]] == ["10.0.0.9", "203.0.113.9"]
    nics = (await cloud.api.get(f"/v2.1/servers/{server_id}/os-interface", token="member")).json
    assert [n["port_state"] for n in nics["interfaceAttachments"]] == ["ACTIVE"]
    unknown = {"events": [{"name": "network-changed", "server_uuid": NOWHERE}]}
    assert (await cloud.api.post("/v2.1/os-server-external-events", json=unknown)).status == 404
    assert (await cloud.api.post("/v2.1/os-server-external-events", json=unknown, token="member")).status == 403


async def test_security_groups_are_changed_at_the_ports(cloud: Cloud) -> None:
    server_id = await cloud.server()
    cloud.network.ports_["p"] = port("p", device_id=server_id, security_group_ids=("g1",))
    cloud.network.groups = [SecurityGroup("g1", "default", "demo"), SecurityGroup("g2", "web", "demo")]
    path = f"/v2.1/servers/{server_id}"
    body = {"addSecurityGroup": {"name": "web"}}
    assert (await cloud.api.post(path + "/action", json=body, token="member")).status == 202
    assert cloud.network.ports_["p"].security_group_ids == ("g1", "g2")
    shown = (await cloud.api.get(path, token="member")).json["server"]["security_groups"]
    assert shown == [{"name": "default"}, {"name": "web"}]
    listed = (await cloud.api.get(path + "/os-security-groups", token="member")).json["security_groups"]
    assert [g["name"] for g in listed] == ["default", "web"]
    body = {"removeSecurityGroup": {"name": "web"}}
    assert (await cloud.api.post(path + "/action", json=body, token="member")).status == 202
    assert (await cloud.api.post(path + "/action", json=body, token="member")).status == 404
    body = {"addSecurityGroup": {"name": "nope"}}
    assert (await cloud.api.post(path + "/action", json=body, token="member")).status == 404


async def test_floating_addresses_by_the_old_action(cloud: Cloud) -> None:
    server_id = await cloud.server()
    port_id = vif().port_id
    cloud.network.ports_[port_id] = port(port_id, device_id=server_id)
    cloud.network.floating = [FloatingIp("f", "203.0.113.9", None, None, "ext")]
    path, body = f"/v2.1/servers/{server_id}/action", {"addFloatingIp": {"address": "203.0.113.9"}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 202
    assert cloud.network.floating[0].port_id == port_id
    assert (await cloud.api.post(path, json=body, token="member", version="2.44")).status == 400
    body = {"removeFloatingIp": {"address": "203.0.113.9"}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 202
    assert (await cloud.api.post(path, json=body, token="member")).status == 409


async def _take(cloud: Cloud, asking: asyncio.Task[Any]) -> list[Any]:
    """What a worker would take when the request has been accepted."""
    for _ in range(100):
        assert not asking.done(), asking.result().json
        await asyncio.sleep(0)
        found = await cloud.journal.take("w", ["attach_interface"], 1)
        if found:
            return found
    raise AssertionError("nothing was asked for")


async def test_attaching_a_card_is_answered_when_it_is_there(cloud: Cloud) -> None:
    server_id = await cloud.server()
    port_id = "77777777-7777-4777-8777-777777777777"
    cloud.network.ports_[port_id] = port(port_id)
    path = f"/v2.1/servers/{server_id}/os-interface"
    asking = asyncio.create_task(
        cloud.api.post(path, json={"interfaceAttachment": {"port_id": port_id}}, token="member")
    )
    lease = await _take(cloud, asking)
    made = replace(vif("10.0.0.9"), port_id=port_id)

    async def note(tx: Any) -> None:
        await servers.change(tx, server_id, cloud.clock.now(), servers.vif_values((vif(), made)))

    await lease[0].finish("done", [note])
    answer = await asking
    assert answer.status == 200
    assert answer.json["interfaceAttachment"]["port_id"] == port_id
    assert (await cloud.api.delete(f"{path}/{port_id}", token="member")).status == 202
    assert (await cloud.operations(server_id))[-1].kind == "detach_interface"
    assert (await cloud.api.delete(f"{path}/{NOWHERE}", token="member")).status == 404
    both = {"interfaceAttachment": {"port_id": port_id, "net_id": NOWHERE}}
    assert (await cloud.api.post(path, json=both, token="member")).status == 400


async def test_a_card_that_cannot_be_attached_says_why(cloud: Cloud) -> None:
    server_id = await cloud.server()
    asking = asyncio.create_task(cloud.api.post(f"/v2.1/servers/{server_id}/os-interface", token="member"))
    lease = await _take(cloud, asking)
    await lease[0].finish("failed", fault={"status": 409, "message": "no more addresses"})
    answer = await asking
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, "no more addresses")


async def test_reset_state_is_for_administrators(cloud: Cloud) -> None:
    server_id = await cloud.server(vm_state="error", task_state="deleting")
    path, body = f"/v2.1/servers/{server_id}/action", {"os-resetState": {"state": "active"}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 403
    assert (await cloud.api.post(path, json=body)).status == 202
    row = await cloud.row(server_id)
    assert (row.vm_state, row.task_state) == ("active", None)
