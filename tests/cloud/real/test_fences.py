"""What a guest may send and receive: security groups, addresses that are not its own, floating IPs, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.real.conftest import Guests
from tests.cloud.real.make import Guest, RealCloud, has_ended, until

pytestmark = pytest.mark.real


def reaches(guest: Guest, address: str, port: int) -> bool:
    """Whether a page is served to the guest from there."""
    return guest.tried(f"timeout 2 wget -q -O - http://{address}:{port}/")[1] == "page"


@pytest.fixture
def opened(user: Any) -> Iterator[Any]:
    """Opens a port of web's group; what a story opened is closed after it."""
    made = []

    def open_port(port: int, **to: str) -> Any:
        group = user.network.find_security_group("web")
        rule = user.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=port, port_range_max=port, **to,
        )  # fmt: skip
        made.append(rule.id)
        return rule

    yield open_port
    for identifier in made:
        user.network.delete_security_group_rule(identifier)


def test_a_closed_port_is_closed(guests: Guests, cloud: RealCloud) -> None:
    assert guests.web.run("wget -q -O - http://127.0.0.1:8080/") == "page"
    assert not reaches(guests.demo, guests.web.fixed, 8080)
    assert not cloud.opens(guests.web.address, 8080)
    assert cloud.opens(guests.web.address, 22)
    assert cloud.answers_ping(guests.web.address)


def test_a_rule_opens_a_port_to_all_until_it_is_removed(
    guests: Guests, cloud: RealCloud, user: Any, opened: Any
) -> None:
    rule = opened(8080)
    until(lambda: cloud.opens(guests.web.address, 8080), "the open port")
    assert reaches(guests.demo, guests.web.fixed, 8080)
    assert not reaches(guests.demo, guests.web.fixed, 8081)
    user.network.delete_security_group_rule(rule)
    until(lambda: not cloud.opens(guests.web.address, 8080), "the closed port")
    assert not reaches(guests.demo, guests.web.fixed, 8080)


def test_a_remote_group_opens_a_port_to_its_members_alone(
    guests: Guests, cloud: RealCloud, user: Any, opened: Any
) -> None:
    default = user.network.find_security_group("default", project_id=user.current_project_id)
    opened(8081, remote_group_id=default.id)
    until(lambda: reaches(guests.demo, guests.web.fixed, 8081), "the port that is open to the group")
    assert not cloud.opens(guests.web.address, 8081)
    assert not reaches(guests.demo, guests.web.fixed, 8080)


def _echoes(guest: Guest) -> int:
    """Echo requests that ever arrived there."""
    return int(guest.run("awk '/^Icmp:/{n++; if(n==2) print $10}' /proc/net/snmp"))


def test_another_ip_address_does_not_get_out(guests: Guests) -> None:
    before = _echoes(guests.web)
    spoof = f"sudo ip addr add 10.0.0.251/24 dev eth0; sudo ping -c 3 -W 1 -I 10.0.0.251 {guests.web.fixed}; "
    assert "3 packets transmitted, 0 packets received" in guests.demo.run(
        spoof + "sudo ip addr del 10.0.0.251/24 dev eth0"
    )
    assert _echoes(guests.web) == before
    guests.demo.run(f"sudo ping -c 3 -W 1 {guests.web.fixed}")
    assert _echoes(guests.web) == before + 3, "the same from its own address arrives"


def test_another_mac_address_does_not_get_out(guests: Guests, user: Any) -> None:
    port, *_ = user.network.ports(device_id=guests.demo.id)
    before = _echoes(guests.web)
    guests.demo.run(f"sudo ping -c 1 -W 1 {guests.web.fixed}")
    dance = (
        f"ip link set eth0 address 02:11:22:33:44:55; ping -c 3 -W 1 {guests.web.fixed}; "
        f"echo status $? > /tmp/spoofed; ip link set eth0 address {port.mac_address}; "
        "cat /sys/class/net/eth0/address >> /tmp/spoofed"
    )
    guests.demo.run(f"sudo rm -f /tmp/spoofed; sudo setsid sh -c '{dance}' > /dev/null 2>&1 &")
    said = until(lambda: guests.demo.tried("cat /tmp/spoofed")[1].splitlines()[1:], "the guest with its own address")
    assert said == [port.mac_address]
    assert guests.demo.run("head -1 /tmp/spoofed") == "status 1"
    assert _echoes(guests.web) == before + 1


def test_a_floating_ip_moves_to_another_server(guests: Guests, user: Any) -> None:
    """And back: the other stories use it."""
    address = user.network.find_ip(guests.demo.address)
    demo_port, web_port = (next(iter(user.network.ports(device_id=g.id))).id for g in (guests.demo, guests.web))
    web_own = user.network.find_ip(guests.web.address)
    user.network.update_ip(web_own, port_id=None)
    try:
        user.network.update_ip(address, port_id=web_port)
        until(lambda: guests.demo.tried("hostname")[1] == "web", "web behind demo's address")
        shown = user.compute.get_server(guests.demo.id).addresses["private"]
        assert [a["OS-EXT-IPS:type"] for a in shown] == ["fixed"]
    finally:
        user.network.update_ip(address, port_id=demo_port)
        user.network.update_ip(web_own, port_id=web_port)
    until(lambda: guests.demo.tried("hostname")[1] == "demo", "demo behind its own address")
    until(lambda: guests.web.tried("hostname")[1] == "web", "web behind its own address")


def test_a_deleted_server_leaves_nothing(guests: Guests, cloud: RealCloud, user: Any, admin: Any) -> None:
    template = user.compute.get_server(guests.demo.id)
    network = user.network.find_network("private").id
    flavor = user.compute.find_flavor("m1.nano").id
    server = user.compute.create_server(
        name="brief", image_id=template.image.id, flavor_id=flavor, networks=[{"uuid": network}], config_drive=True
    )
    server = user.compute.wait_for_server(server, interval=0.5, wait=60)
    port, *_ = user.network.ports(device_id=server.id)
    name = admin.compute.get_server(server.id).instance_name
    traces = (server.id, name, port.id)
    tap = f"tap{port.id[:11]}"
    assert cloud.processes(server.id)
    assert cloud.files(*traces)
    assert tap in cloud.taps()
    user.compute.delete_server(server)
    until(lambda: has_ended(user, server.id), "the end of the server")
    assert cloud.files(*traces) == []
    assert cloud.processes(server.id) == []
    assert tap not in cloud.taps()
    assert list(user.network.ports(device_id=server.id)) == []
    claims = admin.session.get(f"/allocations/{server.id}", endpoint_filter={"service_type": "placement"}).json()
    assert claims["allocations"] == {}
