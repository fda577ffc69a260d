"""What a guest finds when it wakes: its address, who it is, names, the outside, its disk; and what the log tells."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kilonova.compute.model.trace import HOPS
from tests.cloud.real.conftest import Guests
from tests.cloud.real.make import RealCloud
from tests.cloud.real.outside import Heard, names_outside

pytestmark = pytest.mark.real

OPENSTACK, EC2 = "http://169.254.169.254/openstack/latest", "http://169.254.169.254/latest"


def test_dhcp_gives_the_address_that_the_api_shows(guests: Guests, user: Any) -> None:
    said = guests.demo.run("ip -4 -o addr show eth0; cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip route")
    port, *_ = user.network.ports(device_id=guests.demo.id)
    assert f"inet {guests.demo.fixed}/24" in said
    assert port.mac_address in said
    assert f"\n{user.network.get_network(port.network_id).mtu}\n" in said
    assert "default via 10.0.0.1" in said


def test_metadata_in_openstack_form(guests: Guests, user: Any) -> None:
    meta = guests.web.json(f"{OPENSTACK}/meta_data.json")
    key = user.compute.find_keypair("demo").public_key.strip()
    assert (meta["uuid"], meta["name"], meta["hostname"].split(".")[0]) == (guests.web.id, "web", "web")
    assert {name: text.strip() for name, text in meta["public_keys"].items()} == {"demo": key}
    assert meta["meta"] == {"role": "front"}
    assert meta["project_id"] == user.current_project_id
    assert guests.web.run(f"wget -q -O - {OPENSTACK}/user_data").startswith("#!/bin/sh\necho ran")
    network = guests.web.json(f"{OPENSTACK}/network_data.json")
    port, *_ = user.network.ports(device_id=guests.web.id)
    assert [link["ethernet_mac_address"] for link in network["links"]] == [port.mac_address]
    assert [(one["type"], one["network_id"]) for one in network["networks"]] == [("ipv4_dhcp", port.network_id)]


def test_metadata_in_ec2_form(guests: Guests, user: Any) -> None:
    keys = ("local-hostname", "local-ipv4", "public-ipv4", "instance-type", "public-keys/0/openssh-key", "instance-id")
    said = guests.web.run("; ".join(f"wget -q -O - {EC2}/meta-data/{key}; echo" for key in keys)).splitlines()
    hostname, fixed, floating, flavor, key, identifier = [line for line in said if line]
    assert hostname.split(".")[0] == "web"
    assert (fixed, floating, flavor) == (guests.web.fixed, guests.web.address, "two-gib")
    assert key == user.compute.find_keypair("demo").public_key.strip()
    assert re.fullmatch(r"i-[0-9a-f]{8}", identifier)
    assert guests.web.run(f"wget -q -O - {EC2}/user-data").startswith("#!/bin/sh")


def test_metadata_tells_each_guest_of_itself_whatever_it_claims(guests: Guests) -> None:
    claim = f"--header 'X-Instance-ID: {guests.web.id}' --header 'X-Forwarded-For: {guests.web.fixed}'"
    said = guests.demo.run(f"wget -q -O - {claim} {OPENSTACK}/meta_data.json")
    assert guests.demo.id in said
    assert guests.web.id not in said


def test_the_guest_took_name_keys_and_user_data(guests: Guests) -> None:
    assert guests.web.run("hostname; sudo cat /var/lib/ran") == "web\nran"


def test_the_disk_grew_to_the_flavors_size(guests: Guests) -> None:
    small, large = (int(g.run("df -m / | awk 'NR==2{print $2}'")) for g in (guests.demo, guests.web))
    assert 850 < small <= 1024
    assert 1800 < large <= 2048


def test_a_config_drive_tells_all_where_no_service_answers(guests: Guests, user: Any) -> None:
    still = guests.still
    said = still.run("sudo mkdir -p /tmp/c; sudo mount -o ro $(sudo findfs LABEL=config-2) /tmp/c; ls -R /tmp/c")
    assert {"meta_data.json", "network_data.json"} <= set(said.split())
    assert still.id in still.run("cat /tmp/c/openstack/latest/meta_data.json; sudo umount /tmp/c")
    assert user.compute.get_server(still.id).config_drive in (True, "True")
    assert f"inet {still.fixed}/24" in still.run("ip -4 -o addr show eth0")
    assert still.run("hostname") == "still"
    assert "source=configdrive" in user.compute.get_server_console_output(still.id)["output"]


def test_a_server_finds_another_by_its_name(guests: Guests) -> None:
    assert f"Address: {guests.web.fixed}" in guests.demo.run("nslookup web")
    assert f"Address: {guests.demo.fixed}" in guests.web.run("nslookup demo")


def test_names_of_the_outside_come_from_the_subnets_name_servers(guests: Guests, cloud: RealCloud) -> None:
    with names_outside(cloud, {"far.example.org": "203.0.113.7"}):
        assert "Address: 203.0.113.7" in guests.still.run("nslookup far.example.org")
    code, said = guests.demo.tried("nslookup far.example.org")
    assert code != 0
    assert "REFUSED" in said, "without name servers of its own, a subnet's guests are told at once"


def test_the_outside_is_reached_through_snat(guests: Guests, user: Any, outside_web: Heard) -> None:
    router = user.network.find_router("router")
    gateway = router.external_gateway_info["external_fixed_ips"][0]["ip_address"]
    assert outside_web.calls["web-is-up"] == gateway, "before it had a floating IP"
    assert guests.web.run(f"wget -q -O - {outside_web.url('again')}") == "hello"
    assert outside_web.calls["again"] == guests.web.address


def test_the_log_tells_a_boot_from_front_to_end(guests: Guests, user: Any, cloud: RealCloud) -> None:
    (create,) = (a for a in user.compute.server_actions(guests.web.id) if a.action == "create")
    told = [line for line in cloud.log().splitlines() if create.request_id in line]
    hops = re.findall(r"boot ([\d-]+): (.*?)(?::|$)", "\n".join(told), re.MULTILINE)
    assert dict(hops) == HOPS
