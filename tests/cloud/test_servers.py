"""Servers by the stock client: boot with every option, watch, stop, start, reboot, reach, delete."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.cloud.make import HOST, Openstack, RunningCloud, StockClient

SHOWN_TO_A_MEMBER = {
    "OS-DCF:diskConfig",
    "OS-EXT-AZ:availability_zone",
    "OS-EXT-STS:power_state",
    "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state",
    "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at",
    "accessIPv4",
    "accessIPv6",
    "addresses",
    "config_drive",
    "created",
    "flavor",
    "hostId",
    "id",
    "image",
    "key_name",
    "name",
    "progress",
    "project_id",
    "properties",
    "security_groups",
    "status",
    "updated",
    "user_id",
    "volumes_attached",
}
SHOWN_TO_THE_ADMINISTRATOR = SHOWN_TO_A_MEMBER | {
    "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:instance_name",
}


@pytest.fixture(scope="module")
def actor(demo: Openstack) -> Iterator[str]:
    """A server that the stories share; each leaves it ACTIVE."""
    demo("server create --image kilonova-tiny --flavor m1.nano --network private --key-name demo --wait actor")
    yield "actor"
    demo("server delete --wait actor")


def test_boot_with_everything(client: StockClient, cloud: RunningCloud, demo: Openstack) -> None:
    (client.folder / "user-data").write_text("#cloud-config\n")
    port = demo.fields("port create --network private full-port")
    made = demo.fields(
        f"server create --image kilonova-tiny --flavor m1.nano --nic port-id={port['id']} --key-name demo "
        f"--user-data user-data --config-drive True --property role=web --property tier=front --wait full"
    )
    assert (made["status"], made["config_drive"], made["key_name"]) == ("ACTIVE", "True", "demo")
    shown = demo.fields("server show full")
    assert set(shown) >= SHOWN_TO_A_MEMBER
    assert shown["properties"] == {"role": "web", "tier": "front"}
    assert shown["addresses"] == {"private": [port["fixed_ips"][0]["ip_address"]]}
    assert shown["security_groups"] == [{"name": "default"}]
    assert shown["image"].startswith("kilonova-tiny (")
    assert shown["volumes_attached"] == []
    full = cloud.get(f"/compute/v2.1/servers/{shown['id']}", version="2.90")["server"]
    assert base64.b64decode(full["OS-EXT-SRV-ATTR:user_data"]) == b"#cloud-config\n"
    demo("server delete --wait full")
    assert "No Server" in demo.refused("server show full")
    assert demo.fields("port show full-port")["device_id"] == ""
    demo("port delete full-port")


def test_the_administrator_is_shown_where_a_server_runs(admin: Openstack, demo: Openstack, actor: str) -> None:
    server = demo.fields(f"server show {actor}")
    shown = admin.fields(f"server show {server['id']}")
    assert set(shown) >= SHOWN_TO_THE_ADMINISTRATOR
    assert shown["OS-EXT-SRV-ATTR:host"] == shown["OS-EXT-SRV-ATTR:hypervisor_hostname"] == HOST
    assert shown["OS-EXT-SRV-ATTR:instance_name"].startswith("instance-")
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-AZ:availability_zone"]) == ("active", "nova")
    assert server.get("OS-EXT-SRV-ATTR:host") is None


def test_the_administrator_boots_on_a_host_of_choice(admin: Openstack) -> None:
    line = "server create --image kilonova-tiny --flavor m1.nano --nic none --wait --availability-zone"
    made = admin.fields(f"{line} nova:{HOST} chosen")
    assert (made["status"], made["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", HOST)
    admin("server delete --wait chosen")
    assert "nowhere" in admin.refused(f"{line} nowhere chosen")
    assert "400" in admin.refused(f"{line} nova:nohost chosen")


def test_several_at_once(demo: Openstack) -> None:
    demo("server create --image kilonova-tiny --flavor m1.nano --network private --min 2 --max 3 --wait many")
    rows = demo.rows("server list --name many")
    assert sorted(row["Name"] for row in rows) == ["many-1", "many-2", "many-3"]
    assert {row["Status"] for row in rows} == {"ACTIVE"}
    assert len({row["Networks"]["private"][0] for row in rows}) == 3
    demo("server delete --wait many-1 many-2 many-3")
    assert demo.rows("server list --name many") == []


def test_lists_long_and_short(admin: Openstack, demo: Openstack, actor: str) -> None:
    (short,) = demo.rows(f"server list --name ^{actor}$")
    assert set(short) == {"ID", "Name", "Status", "Networks", "Image", "Flavor"}
    assert (short["Image"], short["Flavor"]) == ("kilonova-tiny", "m1.nano")
    (long,) = demo.rows(f"server list --long --name ^{actor}$")
    assert (long["Power State"], long["Task State"], long["Availability Zone"]) == (1, None, "nova")
    (seen,) = admin.rows(f"server list --all-projects --long --host {HOST} --name ^{actor}$")
    assert seen["Host"] == HOST
    assert admin.rows(f"server list --name ^{actor}$") == []


def test_a_server_is_renamed_and_given_properties(demo: Openstack, actor: str) -> None:
    demo(f"server set --name renamed --property mood=good --description 'plays a part' {actor}")
    shown = demo.fields("server show renamed")
    assert (shown["properties"], shown["description"]) == ({"mood": "good"}, "plays a part")
    demo("server unset --property mood renamed")
    assert demo.fields("server show renamed")["properties"] == {}
    demo(f"server set --name {actor} renamed")


def test_stop_start_reboot(cloud: RunningCloud, demo: Openstack, actor: str) -> None:
    server_id = demo.fields(f"server show {actor}")["id"]
    demo(f"server stop {actor}")
    stopped = cloud.settled(server_id)
    assert (stopped["status"], stopped["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)
    assert "409" in demo.refused(f"server stop {actor}")
    demo(f"server start {actor}")
    assert cloud.settled(server_id)["status"] == "ACTIVE"
    demo(f"server reboot --soft --wait {actor}")
    demo(f"server reboot --hard --wait {actor}")
    assert cloud.settled(server_id)["status"] == "ACTIVE"
    events = {row["Action"] for row in demo.rows(f"server event list {actor}")}
    assert events == {"create", "stop", "start", "reboot"}
    request_id = next(r["Request ID"] for r in demo.rows(f"server event list {actor}") if r["Action"] == "create")
    event = demo.fields(f"server event show {actor} {request_id}")
    assert (event["action"], event["request_id"], event["message"]) == ("create", request_id, None)
    assert {one["result"] for one in event["events"]} == {"Success"}
    assert "compute__do_build_and_run_instance" in {one["event"] for one in event["events"]}


def test_a_floating_ip_comes_and_goes(demo: Openstack, actor: str) -> None:
    address = demo.fields("floating ip create public")["floating_ip_address"]
    demo(f"server add floating ip {actor} {address}")
    assert address in demo.fields(f"server show {actor}")["addresses"]["private"]
    demo(f"server remove floating ip {actor} {address}")
    assert address not in demo.fields(f"server show {actor}")["addresses"]["private"]
    demo(f"floating ip delete {address}")


def test_the_console_is_shown(cloud: RunningCloud, demo: Openstack, actor: str) -> None:
    assert isinstance(demo(f"console log show {actor}"), str)
    assert demo(f"console log show --lines 1 {actor}").count("\n") <= 2
    url = demo.fields(f"console url show --novnc {actor}")
    assert (url["protocol"], url["type"]) == ("vnc", "novnc")
    page = cloud.http.get(url["url"], follow_redirects=True)
    assert page.status_code == 200


def test_the_life_of_a_keypair(client: StockClient, demo: Openstack) -> None:
    public = client.folder.parent / "key.pub"
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIMnGJ0Bz0nQPo1kQJv9hMKl0Ld7hKXlMvDqXbRkYv3pX"
    public.write_text(f"ssh-ed25519 {key} story\n")
    made = demo.fields(f"keypair create --public-key {public} story")
    assert (made["name"], made["type"]) == ("story", "ssh")
    assert len(made["fingerprint"].split(":")) == 16
    assert {"Name": "story", "Fingerprint": made["fingerprint"], "Type": "ssh"} in demo.rows("keypair list")
    assert key in demo("keypair show --public-key story")
    assert demo("keypair delete story") == ""
    assert "No Keypair" in demo.refused("keypair show story")
    assert "PRIVATE KEY" in demo("keypair create generated")
    demo("keypair delete generated")


def test_another_projects_server_is_not_there(rival: Openstack, demo: Openstack, actor: str) -> None:
    server_id = demo.fields(f"server show {actor}")["id"]
    assert rival.rows("server list") == []
    for line in ("server show", "server stop", "server delete", "server reboot", "console log show"):
        assert "No Server" in rival.refused(f"{line} {server_id}")
