"""OVN and Open vSwitch for real, each story in namespaces of its own: what a guest can do, and what it cannot.

Guests are namespaces. The outside world is the engine's own. Nothing here touches the machine's own network.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.kernel.http import Client as HttpClient
from kilonova.kernel.http import Loopback
from kilonova.kernel.ovsdb import Client
from kilonova.network.agent import namespaces
from kilonova.network.agent.config import EngineSettings
from kilonova.network.agent.doctor import findings
from kilonova.network.agent.engine import Engine
from kilonova.network.agent.metadata import MetadataAgent
from kilonova.network.agent.metadata_proxy import sign
from kilonova.network.drivers.driver import (
    AddressPair,
    Delete,
    DnsRecord,
    Kind,
    PortEvent,
    PortSpec,
    Provider,
    Put,
    RouterAddress,
    Spec,
    repair_of,
)
from kilonova.network.drivers.ovn.driver import OvnDriver
from kilonova.network.drivers.ovn.translate import Settings
from tests.network.ovn import make
from tests.network.ovn.guests import Guest, fetch_from, listen_in, ping_from

pytestmark = pytest.mark.real

SHARED = (
    make.network(),
    make.subnet(metadata_ip="10.0.0.2"),
    make.network("ext-1", provider=Provider("flat", "public"), external=True, mtu=1500),
    make.port("meta-1", ip="10.0.0.2", device_owner="network:distributed", device_id="ovnmeta-net-1"),
    make.group("sg-1", *make.all_out("sg-1"), make.rule("sg-1-icmp", protocol="icmp")),
    make.port("leg-1", ip="10.0.0.1", device_owner="network:router_interface"),
    make.port("gw-1", "ext-1", ip="172.24.4.10", device_owner="network:router_gateway"),
    make.router(interfaces=(make.interface(),), gateway=make.gateway()),
)


@dataclass
class World:
    engine: Engine
    driver: OvnDriver
    metadata: MetadataAgent
    asked: list[dict[str, str]]
    specs: dict[tuple[type, str], Spec] = field(default_factory=dict)
    up: dict[str, asyncio.Event] = field(default_factory=dict)
    guests: list[Guest] = field(default_factory=list)

    async def put(self, *specs: Spec) -> None:
        self.specs |= {(type(spec), spec.id): spec for spec in specs}
        await self.driver.apply([Put(spec) for spec in specs])

    async def guest(self, id: str, ip: str, *, dhcp: bool = True, **more: Any) -> Guest:
        """A running guest with an address."""
        values = {"security_groups": ("sg-1",), "host": self.engine.settings.host, **more}
        port = make.port(id, ip=ip, **values)
        await self.put(port)
        guest = Guest(self.engine, port)
        self.guests.append(guest)
        await guest.plug()
        async with asyncio.timeout(10):
            await self.up_event(id).wait()
        if dhcp:
            await guest.dhcp()
        return guest

    def up_event(self, port_id: str) -> asyncio.Event:
        return self.up.setdefault(port_id, asyncio.Event())

    def note(self, event: PortEvent) -> None:
        if event.up:
            self.up_event(event.port_id).set()
        else:
            self.up_event(event.port_id).clear()

    @property
    def outside(self) -> str:
        return self.engine.settings.outside_netns


async def compute(scope: Any, receive: Any, send: Any) -> None:
    """Compute's metadata service, as far as these stories need it: says what it was told."""
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    scope["app_asked"].append(headers)
    body = f"{scope['path']} of {headers['x-instance-id']}".encode()
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def world_in(state_dir: Path, netns: str, **more: Any) -> AsyncIterator[World]:
    engine = Engine(EngineSettings(state_dir, "host-1", netns=netns, **more))
    asked: list[dict[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await compute({**scope, "app_asked": asked}, receive, send)

    metadata = MetadataAgent(engine, HttpClient("http://metadata", Loopback(app)), "s3cret")
    settings = Settings(names_in_flow=not engine.datapath.tso)
    driver = OvnDriver(engine.connections, settings, engine.abilities)
    world = World(engine, driver, metadata, asked)
    driver.on_port_event(world.note)
    try:
        await engine.start()
        await driver.start()
        await metadata.start()
        yield world
    finally:
        for guest in world.guests:
            guest.close()
        await metadata.stop()
        await driver.stop()
        await engine.stop()


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A state directory and a namespace that nobody else has. Skips where the machine cannot."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    lacking = [one for one in findings() if one.hinders]
    if lacking:
        pytest.skip("; ".join(f"{one.what}: {one.remedy}" for one in lacking))
    return tmp_path_factory.mktemp("net"), f"kt-{secrets.token_hex(3)}"


@pytest.fixture
async def world(place: tuple[Path, str]) -> AsyncIterator[World]:
    try:
        async with world_in(*place) as world:
            await world.put(*SHARED)
            yield world
    finally:
        await Engine(EngineSettings(place[0], "host-1", netns=place[1])).teardown()
        assert not [name for name in os.listdir("/run/netns") if name.startswith(place[1])]


async def test_a_guest_gets_its_address_routes_and_mtu_by_dhcp(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11", dhcp=False)
    lease = await guest.dhcp()
    assert lease.address == "10.0.0.11"
    assert lease.mtu == 1442
    assert lease.routes == [("169.254.169.254/32", "10.0.0.2"), ("0.0.0.0/0", "10.0.0.1")]
    assert await guest.ping("10.0.0.1")


async def test_guests_of_a_network_reach_each_other_as_their_groups_allow(world: World) -> None:
    open_22 = make.rule("sg-2-ssh", protocol="tcp", port_min=22, port_max=22, remote_group_id="sg-2")
    await world.put(make.group("sg-2", *make.all_out("sg-2"), open_22))
    one = await world.guest("g1", "10.0.0.11")
    two = await world.guest("g2", "10.0.0.12", security_groups=("sg-1", "sg-2"))
    await two.listen(22)
    await two.listen(23)
    assert await one.ping("10.0.0.12")
    assert not await one.connects("10.0.0.12", 22)  # no member of sg-2
    await world.put(replace(one.port, security_groups=("sg-1", "sg-2"), revision=1))
    assert await one.fetch("10.0.0.12", 22) == b"hello"
    assert not await one.connects("10.0.0.12", 23)
    await world.put(replace(one.port, security_groups=("sg-1",), revision=2))
    async with asyncio.timeout(10):
        while await one.connects("10.0.0.12", 22, timeout_s=0.5):
            pass


async def test_a_guest_cannot_send_from_an_address_that_is_not_its_own(world: World) -> None:
    one = await world.guest("g1", "10.0.0.11")
    await world.guest("g2", "10.0.0.12")
    one.configure("10.0.0.11/24", "10.0.0.99/24")
    assert await one.ping("10.0.0.12", source="10.0.0.11")
    assert not await one.ping("10.0.0.12", source="10.0.0.99", timeout_s=1)
    await world.put(replace(one.port, address_pairs=(AddressPair("10.0.0.99"),), revision=1))
    assert await one.ping("10.0.0.12", source="10.0.0.99")
    wrong = "fa:16:3e:99:99:99"
    namespaces.run_in(one.netns, lambda: namespaces.set_up("eth0", mac=wrong, addresses=["10.0.0.11/24"]))
    assert not await one.ping("10.0.0.12", timeout_s=1)


async def test_a_port_without_groups_takes_nothing_in(world: World) -> None:
    one = await world.guest("g1", "10.0.0.11")
    await world.guest("g2", "10.0.0.12", security_groups=())
    assert not await one.ping("10.0.0.12", timeout_s=1)
    await world.put(make.port("g2", ip="10.0.0.12", port_security=False, host="host-1", revision=1))
    assert await one.ping("10.0.0.12")


async def test_metadata_knows_who_asks_and_believes_nothing_else(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11", device_id="server-1")
    lie = (
        b"X-Instance-ID: server-9\r\nX-Tenant-ID: project-9\r\nX-Instance-ID-Signature: 00\r\nX-Forwarded-For: 1.2.3.4"
    )
    request = (
        b"GET /openstack/latest/meta_data.json?a=b HTTP/1.1\r\nHost: x\r\n" + lie + b"\r\nConnection: close\r\n\r\n"
    )
    reply = None
    for _ in range(50):
        reply = await guest.fetch("169.254.169.254", 80, request, timeout_s=1)
        if reply:
            break
    assert reply is not None
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"/openstack/latest/meta_data.json of server-1")
    told = world.asked[-1]
    assert told["x-instance-id"] == "server-1"
    assert told["x-tenant-id"] == "project-1"
    assert told["x-forwarded-for"] == "10.0.0.11"
    assert told["x-instance-id-signature"] == sign("s3cret", "server-1")


async def test_the_network_is_no_longer_served_when_its_last_guest_goes(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11")
    async with asyncio.timeout(5):
        while world.metadata.networks != ("net-1",):
            await asyncio.sleep(0.01)
    await guest.unplug()
    async with asyncio.timeout(5):
        while world.metadata.networks or namespaces.exists(world.engine.settings.metadata_netns("net-1")):
            await asyncio.sleep(0.01)


async def test_names_of_the_cloud_are_known_inside(world: World) -> None:
    names = (DnsRecord("web", ("10.0.0.12",)), DnsRecord("web.kilonova.test", ("10.0.0.12",)))
    one = await world.guest("g1", "10.0.0.11", dhcp=False)
    lease = await one.dhcp()
    await world.guest("g2", "10.0.0.12", dns_records=names)
    found: list[str] = []
    for _ in range(10):
        found = await one.look_up("web.kilonova.test", lease.name_servers[0], timeout_s=1)
        if found:
            break
    assert found == ["10.0.0.12"]
    assert await one.look_up("web", lease.name_servers[0]) == ["10.0.0.12"]
    async with asyncio.timeout(5):  # OVN lets these pass; we answer, once the network is served
        while await one.look_up("web", lease.name_servers[0], timeout_s=0.5, edns=True) != ["10.0.0.12"]:
            pass
    assert await one.look_up("nobody.kilonova.test", lease.name_servers[0], timeout_s=1) == []


async def test_a_floating_ip_leads_in_and_back_out(world: World) -> None:
    ssh = make.rule("sg-3-ssh", protocol="tcp", port_min=22, port_max=22)
    await world.put(make.group("sg-3", *make.all_out("sg-3"), ssh, make.rule("sg-3-icmp", protocol="icmp")))
    guest = await world.guest("g1", "10.0.0.11", security_groups=("sg-3",))
    await guest.listen(22, b"PEER" + b"x" * 300_000)
    await guest.listen(80)
    await world.put(make.floating_ip(router_id="router-1", port_id="g1", fixed_ip="10.0.0.11"))
    assert await ping_from(world.outside, "172.24.4.50", 5)
    body = await fetch_from(world.outside, "172.24.4.50", 22, b"", 10)
    assert body == b"172.24.4.1" + b"x" * 300_000
    assert await fetch_from(world.outside, "172.24.4.50", 80, b"", 1) is None
    server = await listen_in(world.outside, 8080, b"you are PEER")
    assert await guest.fetch("172.24.4.1", 8080) == b"you are 172.24.4.50"
    server.close()
    await world.driver.apply([Delete(Kind.FLOATING_IP, "fip-1")])
    async with asyncio.timeout(10):
        while await ping_from(world.outside, "172.24.4.50", 0.3):
            pass


async def test_snat_leads_out(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11")
    server = await listen_in(world.outside, 8080, b"you are PEER" + b"y" * 300_000)
    body = await guest.fetch("172.24.4.1", 8080, timeout_s=10)
    server.close()
    assert body == b"you are 172.24.4.10" + b"y" * 300_000
    assert not await ping_from(world.outside, "10.0.0.11", 1)


async def test_networks_with_the_same_addresses_do_not_meet(world: World) -> None:
    await world.put(make.network("net-2"), make.subnet("sub-2", "net-2"))
    one = await world.guest("g1", "10.0.0.11")
    other = replace(make.port("g2", "net-2"), fixed_ips=(make.fixed("10.0.0.12", "sub-2"),), security_groups=("sg-1",))
    await world.put(replace(other, host="host-1"))
    guest = Guest(world.engine, other)
    await guest.plug()
    await guest.dhcp()
    assert not await one.ping("10.0.0.12", timeout_s=1)


async def test_ipv6_addresses_come_from_the_routers_advertisements(world: World) -> None:
    subnet = make.subnet("sub-6", cidr="fd00:6::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    own = RouterAddress("fd00:6::1", "fd00:6::/64", "slaac", "slaac")
    leg = make.interface("leg-6", ip="fd00:6::1", mac="fa:16:3e:aa:00:06", addresses=(own,))
    router = make.router(interfaces=(make.interface(), leg), gateway=make.gateway(), revision=1)
    await world.put(
        subnet, make.port("leg-6", ip="fd00:6::1", device_owner="network:router_interface"), router,
        make.group("sg-6", *make.all_out("sg-6"), make.rule("sg-6-i", ethertype="IPv6", protocol="icmp")),
    )  # fmt: skip
    mac = "fa:16:3e:00:00:61"
    made = "fd00:6::f816:3eff:fe00:61"
    guest = await world.guest("g6", made, dhcp=False, mac=mac, security_groups=("sg-6",),
                              fixed_ips=(make.fixed(made, "sub-6"),))  # fmt: skip
    async with asyncio.timeout(20):
        while f"{made}/64" not in await asyncio.to_thread(guest.addresses):
            await asyncio.sleep(0.05)
        while not await guest.ping6("fd00:6::1"):
            pass


async def test_with_tunnels_offloads_are_off_and_connections_still_work(place: tuple[Path, str]) -> None:
    """A userspace datapath without TSO loses TCP, and only TCP, when somebody leaves a checksum to be filled in."""
    try:
        async with world_in(*place, encap_ip="127.0.0.1", datapath="netdev") as world:
            assert not world.engine.datapath.offloads
            await world.put(*SHARED)
            guest = await world.guest("g1", "10.0.0.11", security_groups=())
            binding = await world.driver.bind_port(guest.port, "host-1")
            assert binding.vif_details["vnet_hdr"] is False
            server = await listen_in(world.outside, 8080, b"you are PEER" + b"y" * 300_000)
            await world.put(replace(guest.port, security_groups=("sg-1",), revision=1))
            body = None
            for _ in range(5):
                body = body or await guest.fetch("172.24.4.1", 8080, timeout_s=5)
            server.close()
            assert body == b"you are 172.24.4.10" + b"y" * 300_000
            reply = None
            for _ in range(10):
                reply = reply or await guest.fetch("169.254.169.254", 80, b"GET / HTTP/1.0\r\n\r\n", timeout_s=1)
            assert reply is not None
            names = (DnsRecord("web", ("10.0.0.12",)),)
            await world.put(make.port("g2", ip="10.0.0.12", dns_records=names))
            async with asyncio.timeout(5):  # here OVN answers, whomever the question is for
                while await guest.look_up("web", "10.0.0.1", timeout_s=0.5) != ["10.0.0.12"]:
                    pass
    finally:
        await Engine(EngineSettings(place[0], "host-1", netns=place[1])).teardown()


async def test_a_new_process_adopts_the_daemons_and_nothing_stops(place: tuple[Path, str]) -> None:
    try:
        async with world_in(*place) as first:
            await first.put(*SHARED)
            guest = await first.guest("g1", "10.0.0.11")
            pids = {state.name: state.pid for state in first.engine.states()}
        assert await guest.ping("10.0.0.1")  # nobody watches, all goes on
        async with world_in(*place) as second:
            states = second.engine.states()
            assert {state.name: state.pid for state in states} == pids
            assert all(state.adopted for state in states)
            async with asyncio.timeout(5):
                await second.up_event("g1").wait()
            wanted: list[PortSpec] = [guest.port]
            assert await second.driver.differences([*SHARED, *wanted]) == []
            request = b"GET / HTTP/1.0\r\n\r\n"
            async with asyncio.timeout(10):
                while not await guest.fetch("169.254.169.254", 80, request, timeout_s=1):
                    pass
    finally:
        await Engine(EngineSettings(place[0], "host-1", netns=place[1])).teardown()


@pytest.mark.parametrize("name", ["ovn-northd", "ovn-controller", "ovs-vswitchd", "ovsdb-server"])
async def test_a_killed_daemon_comes_back_and_so_does_the_network(world: World, name: str) -> None:
    guest = await world.guest("g1", "10.0.0.11")
    state = next(one for one in world.engine.states() if one.name == name)
    assert state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while not any(s.name == name and s.state == "running" and s.restarts for s in world.engine.states()):
            await asyncio.sleep(0.02)
        while not await guest.ping("10.0.0.1", timeout_s=1):
            pass
        late = await world.guest("g2", "10.0.0.12")
        while not await late.ping("10.0.0.11", timeout_s=1):
            pass


async def test_the_sweep_brings_a_lost_port_back(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11")
    client = await Client.connect(world.engine.connections.northbound)
    await client.transact(
        "OVN_Northbound",
        [
            {"op": "update", "table": "Logical_Switch", "where": [["name", "==", "neutron-net-1"]],
             "row": {"ports": ["set", []]}},
        ],
    )  # fmt: skip
    await client.aclose()
    async with asyncio.timeout(10):
        while await guest.ping("10.0.0.1", timeout_s=0.3):
            pass
    wanted = list(world.specs.values())
    found = await world.driver.differences(wanted)
    assert {one.id for one in found} >= {"g1", "leg-1", "meta-1"}
    by_id = {spec.id: spec for spec in wanted}
    await world.driver.apply([repair_of(one, by_id.get(one.id)) for one in found])
    assert await world.driver.differences(wanted) == []
    assert await guest.ping("10.0.0.1", timeout_s=10)


async def test_ports_go_down_when_unplugged(world: World) -> None:
    guest = await world.guest("g1", "10.0.0.11")
    assert (await world.driver.ports_up())["g1"]
    await guest.unplug()
    async with asyncio.timeout(10):
        while (await world.driver.ports_up())["g1"]:
            await asyncio.sleep(0.01)
    assert not world.up["g1"].is_set()


async def test_a_second_host_joins_by_the_databases_of_the_first(place: tuple[Path, str], tmp_path: Path) -> None:
    other = f"{place[1]}-b"
    try:
        async with world_in(*place, encap_ip="127.0.0.1") as first:
            own = first.engine.connections
            more = {"northbound": own.northbound, "southbound": own.southbound, "bridge_mappings": {}}
            second = Engine(EngineSettings(tmp_path, "host-2", netns=other, encap_ip="127.0.0.2", **more))
            await second.start()
            assert {state.name for state in second.states()} == {"ovsdb-server", "ovs-vswitchd", "ovn-controller"}
            async with asyncio.timeout(10):
                while {one.host: one.gateway for one in await first.driver.agents()} != {
                    "host-1": True, "host-2": False,
                }:  # fmt: skip
                    await asyncio.sleep(0.01)
            await first.put(*SHARED)
            port = make.port("g9", ip="10.0.0.19", security_groups=("sg-1",), host="host-2")
            await first.put(port)
            await Guest(second, port).plug()
            async with asyncio.timeout(10):
                await first.up_event("g9").wait()
            await second.teardown()
            async with asyncio.timeout(10):
                while "host-2" in {one.host for one in await first.driver.agents()}:
                    await asyncio.sleep(0.01)
    finally:
        await Engine(EngineSettings(tmp_path, "host-2", netns=other)).teardown()
        await Engine(EngineSettings(place[0], "host-1", netns=place[1])).teardown()
