"""A server that fits nowhere says why: to its user in counts, to the administrator with the hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.make import HOST, Openstack, RunningCloud

FLAVOR = {"name": "m9.giant", "ram": 9_000_000, "vcpus": 1, "disk": 1}


@pytest.fixture(scope="module")
def homeless(cloud: RunningCloud) -> Iterator[str]:
    """A server of the member's that asks for far more memory than any host has."""
    flavor = cloud.made("/compute/v2.1/flavors", {"flavor": FLAVOR})["flavor"]["id"]
    project = cloud.people["member"].project_id
    quota = {"quota_set": {"ram": -1}}
    assert cloud.call("PUT", f"/compute/v2.1/os-quota-sets/{project}", json=quota).status_code == 200
    image = cloud.get("/image/v2/images?name=kilonova-tiny")["images"][0]["id"]
    body = {"server": {"name": "homeless", "flavorRef": flavor, "imageRef": image, "networks": "none"}}
    server_id: str = cloud.made("/compute/v2.1/servers", body, "member", version="2.90")["server"]["id"]
    assert cloud.settled(server_id)["status"] == "ERROR"
    yield server_id
    assert cloud.call("DELETE", f"/compute/v2.1/servers/{server_id}", "member").status_code == 204
    cloud.gone(f"/compute/v2.1/servers/{server_id}")
    cloud.call("DELETE", f"/compute/v2.1/flavors/{flavor}")
    quota = {"quota_set": {"ram": 51200}}
    assert cloud.call("PUT", f"/compute/v2.1/os-quota-sets/{project}", json=quota).status_code == 200


def test_the_user_reads_how_many_hosts_refused_and_the_nearest_miss(cloud: RunningCloud, homeless: str) -> None:
    fault = cloud.get(f"/compute/v2.1/servers/{homeless}", "member", version="2.90")["server"]["fault"]
    assert fault["code"] == 500
    assert "No valid host was found" in fault["message"]
    assert "1 host" in fault["message"]
    assert "9000000" in fault["message"].replace(",", "")
    assert HOST not in fault["message"]
    assert "details" not in fault


def test_the_administrator_is_shown_the_hosts(cloud: RunningCloud, admin: Openstack, homeless: str) -> None:
    fault = cloud.get(f"/compute/v2.1/servers/{homeless}", version="2.90")["server"]["fault"]
    assert HOST in fault["details"]
    assert "fault" in admin.fields(f"server show {homeless}")


def test_the_command_says_why(cloud: RunningCloud, homeless: str) -> None:
    for name in ("homeless", homeless):
        told = cloud.kilonova("why", name)
        assert told.returncode == 0, told.stderr
        assert "ERROR" in told.stdout
        assert HOST in told.stdout
        assert "9000000" in told.stdout.replace(",", "")
    assert "there is no server" in cloud.kilonova("why", "nobody").stderr.lower()


def test_nothing_of_it_is_left_on_a_host(cloud: RunningCloud, homeless: str) -> None:
    assert cloud.get(f"/placement/allocations/{homeless}")["allocations"] == {}
    assert cloud.get(f"/network/v2.0/ports?device_id={homeless}")["ports"] == []
    server = cloud.get(f"/compute/v2.1/servers/{homeless}", version="2.90")["server"]
    assert server["OS-EXT-SRV-ATTR:host"] is None
