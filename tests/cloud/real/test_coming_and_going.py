"""A cloud that is stopped, killed, taken down and brought up again, in this order; its guests go on or come back.

The stories tell one life of one cloud, from its first start to the removal of its data.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.real.conftest import a_place
from tests.cloud.real.make import Guest, RealCloud, until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def place(guest_image: Path) -> Iterator[RealCloud]:
    with a_place("b", guest_image) as place:
        yield place


@pytest.fixture(scope="module")
def up(place: RealCloud) -> RealCloud:
    """The cloud after its first start and its main job, with one more server, which is switched off."""
    place.up()
    told = place.demo()
    assert "A shell command ran in it over SSH:\n  Linux demo" in told
    with place.connect() as user:
        server = user.compute.create_server(
            name="off",
            image_id=user.image.find_image("kilonova-tiny").id,
            flavor_id=user.compute.find_flavor("m1.nano").id,
            networks=[{"uuid": user.network.find_network("private").id}],
        )
        user.compute.stop_server(user.compute.wait_for_server(server, interval=0.5, wait=60))
        user.compute.wait_for_server(server, status="SHUTOFF", interval=0.5, wait=90)
    return place


def inventory(user: Any) -> list[Any]:
    """All that the main job makes, by id."""
    return [
        sorted(one.id for one in listing)
        for listing in (user.compute.servers(), user.network.ports(), user.network.ips(), user.network.networks(),
                        user.image.images(), user.compute.flavors(), user.network.security_group_rules())
    ]  # fmt: skip


def demo(cloud: RealCloud) -> Guest:
    with cloud.connect() as user:
        return cloud.guest(user, "demo")


def test_a_second_start_finds_all_in_place(up: RealCloud) -> None:
    with up.connect() as user:
        before = inventory(user)
        assert f"process {up.pid}" in up.up()
        assert before[0][0] in up.demo() or before[0][1] in up.demo()
        assert inventory(user) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_guests_go_on_while_the_cloud_is_down_and_are_adopted(up: RealCloud, number: signal.Signals) -> None:
    guest = demo(up)
    before = guest.boot_id
    steady = subprocess.Popen(
        guest.ssh("for i in $(seq 200); do echo $i; [ -e over ] && break; sleep 0.5; done; rm -f over; echo end"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        up.end(number)
        assert guest.run("cat /proc/sys/kernel/random/boot_id") == before, "reached while nothing of ours runs"
        assert up.answers_ping(guest.address)
        up.up()
        with up.connect() as user:
            assert {s.name: s.status for s in user.compute.servers()} == {"demo": "ACTIVE", "off": "SHUTOFF"}
            user.compute.pause_server(guest.id)
            user.compute.wait_for_server(user.compute.get_server(guest.id), "PAUSED", interval=0.2, wait=30)
            user.compute.unpause_server(guest.id)
            user.compute.wait_for_server(user.compute.get_server(guest.id), interval=0.2, wait=30)
        guest.run("touch over")
        out, _ = steady.communicate(timeout=30)
        assert out.endswith("end\n"), "one SSH session lived through it all"
    finally:
        steady.kill()
        steady.wait()
    assert guest.boot_id == before
    assert (
        json.loads(guest.run("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"))["name"] == "demo"
    )


def test_down_leaves_only_data_and_up_brings_back_what_ran(up: RealCloud) -> None:
    guest = demo(up)
    before = guest.boot_id
    guest.run("echo kept > kept; sync")
    up.down()
    assert (up.processes(), up.namespaces()) == ([], [])
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert up.netns not in links
    up.up()
    with up.connect() as user:
        until(lambda: user.compute.get_server(guest.id).status == "ACTIVE", "demo ACTIVE", 60)
        assert guest.up().boot_id != before
        assert guest.run("cat kept") == "kept"
        assert {s.name: s.status for s in user.compute.servers()} == {"demo": "ACTIVE", "off": "SHUTOFF"}


def test_down_with_data_leaves_nothing(up: RealCloud) -> None:
    assert up.processes()
    up.down("--data")
    assert (up.processes(), up.namespaces(), up.state.exists()) == ([], [], False)
    clouds = up.home / "openstack" / "clouds.yaml"
    assert not clouds.exists() or "kilonova" not in clouds.read_text()
