"""The OVN driver against a real northbound database: what is written, what is left alone, what the sweep finds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from kilonova.kernel.ovsdb import Replica
from kilonova.network.drivers.driver import (
    BadSpec,
    Delete,
    Difference,
    DnsRecord,
    Kind,
    NotAble,
    PortEvent,
    Provider,
    Put,
    Unreachable,
)
from kilonova.network.drivers.ovn.driver import Connections, OvnDriver, Timing
from tests.network.ovn import make

pytestmark = pytest.mark.real

WORLD = (
    make.network(),
    make.subnet(metadata_ip="10.0.0.2"),
    make.network("ext-1", provider=Provider("flat", "public"), external=True, mtu=1500),
    make.group("sg-1", *make.all_out("sg-1"), make.rule("ssh", protocol="tcp", port_min=22, port_max=22)),
    make.port("port-1", security_groups=("sg-1",), dns_records=(DnsRecord("one", ("10.0.0.5",)),)),
    make.port("leg-1", ip="10.0.0.1", device_owner="network:router_interface"),
    make.port("gw-1", "ext-1", ip="172.24.4.10", device_owner="network:router_gateway"),
    make.router(interfaces=(make.interface(),), gateway=make.gateway()),
    make.floating_ip(router_id="router-1", port_id="port-1", fixed_ip="10.0.0.5"),
)


@pytest.fixture
async def driver(ovsdb: str) -> AsyncIterator[OvnDriver]:
    driver = OvnDriver(Connections(ovsdb, ovsdb), timing=Timing(connect_s=5))
    await driver.start()
    yield driver
    await driver.stop()


@pytest.fixture
async def nb(ovsdb: str) -> AsyncIterator[Replica]:
    """The database as another client sees it."""
    tables = ("Logical_Switch", "Logical_Switch_Port", "Logical_Router", "Logical_Router_Port", "Port_Group", "ACL",
              "NAT", "DHCP_Options", "DNS", "Logical_Router_Static_Route", "Gateway_Chassis")  # fmt: skip
    replica = Replica(ovsdb, "OVN_Northbound", dict.fromkeys(tables))
    await replica.start()
    await replica.synced(5)
    yield replica
    await replica.stop()


async def rows(nb: Replica, table: str) -> list[dict[str, Any]]:
    await nb.transact([{"op": "comment", "comment": "wait for all changes before this one"}])
    return list(nb.rows[table].values())


async def put_world(driver: OvnDriver) -> None:
    await driver.apply([Put(spec) for spec in WORLD])


async def test_a_whole_world_is_one_apply_and_the_sweep_finds_nothing(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    assert await driver.differences(WORLD) == []
    assert {row["name"] for row in await rows(nb, "Logical_Switch")} == {"neutron-net-1", "neutron-ext-1"}
    nat = {(row["type"], row["external_ip"], row["logical_ip"]) for row in await rows(nb, "NAT")}
    assert nat == {("snat", "172.24.4.10", "10.0.0.0/24"), ("dnat_and_snat", "172.24.4.50", "10.0.0.5")}


async def test_applying_again_writes_nothing(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await rows(nb, "ACL")
    before = {table: dict(held) for table, held in nb.rows.items()}
    await put_world(driver)
    await rows(nb, "ACL")
    assert nb.rows == before


async def test_a_port_takes_its_names_and_groups_with_it(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await driver.apply([Delete(Kind.FLOATING_IP, "fip-1"), Delete(Kind.PORT, "port-1")])
    assert await rows(nb, "DNS") == []
    assert all(not row["ports"] for row in nb.rows["Port_Group"].values())
    assert "port-1" not in {row["name"] for row in nb.rows["Logical_Switch_Port"].values()}


async def test_a_port_moves_between_security_groups(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    port = replace(WORLD[4], security_groups=("sg-2",), revision=1)
    await driver.apply([Put(make.group("sg-2")), Put(port)])
    held = {row["name"]: len(row["ports"]) for row in await rows(nb, "Port_Group")}
    assert held == {"neutron_pg_drop": 1, "pg_sg_1": 0, "pg_sg_2": 1}


async def test_a_rule_that_goes_takes_its_acl_with_it(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await driver.apply([Put(make.group("sg-1", *make.all_out("sg-1")))])
    matches = [row["match"] for row in await rows(nb, "ACL")]
    assert not [match for match in matches if "tcp" in match]
    assert len(matches) == 6  # two to drop, two to ask for an address, two egress


async def test_an_older_revision_does_not_overwrite_a_newer(driver: OvnDriver, nb: Replica) -> None:
    await driver.apply([Put(make.network(name="new", revision=7))])
    await driver.apply([Put(make.network(name="old", revision=6))])
    assert [row["external_ids"]["neutron:network_name"] for row in await rows(nb, "Logical_Switch")] == ["new"]


async def test_dhcp_that_comes_later_reaches_the_ports(driver: OvnDriver, nb: Replica) -> None:
    off = make.subnet(enable_dhcp=False)
    await driver.apply([Put(make.network()), Put(off), Put(make.port())])
    assert [row["dhcpv4_options"] for row in await rows(nb, "Logical_Switch_Port")] == [None]
    await driver.apply([Put(make.subnet(revision=1)), Put(make.port())])
    assert [row["dhcpv4_options"] for row in await rows(nb, "Logical_Switch_Port")] == list(nb.rows["DHCP_Options"])
    await driver.apply([Put(replace(off, revision=2)), Put(make.port())])
    assert [row["dhcpv4_options"] for row in await rows(nb, "Logical_Switch_Port")] == [None]


async def test_detaching_an_interface(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await driver.apply([Put(make.router(gateway=make.gateway(), revision=1)), Delete(Kind.PORT, "leg-1")])
    assert {row["name"] for row in await rows(nb, "Logical_Router_Port")} == {"lrp-gw-1"}
    assert [row["type"] for row in nb.rows["NAT"].values()] == ["dnat_and_snat"]


async def test_deleting_everything_leaves_only_the_default_drop(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    kinds = (Kind.FLOATING_IP, "fip-1"), (Kind.ROUTER, "router-1"), (Kind.NETWORK, "net-1"), (Kind.NETWORK, "ext-1")
    await driver.apply([*(Delete(*one) for one in kinds), Delete(Kind.SECURITY_GROUP, "sg-1")])
    left = {table: len(await rows(nb, table)) for table in nb.rows}
    assert {table: count for table, count in left.items() if count} == {"Port_Group": 1, "ACL": 4}
    await driver.apply([Delete(*one) for one in kinds])


async def test_a_change_that_uses_what_is_missing_writes_nothing(driver: OvnDriver, nb: Replica) -> None:
    with pytest.raises(BadSpec, match="neutron-net-1"):
        await driver.apply([Put(make.network("other")), Put(make.port())])
    assert await rows(nb, "Logical_Switch") == []


async def test_the_sweep_names_what_is_missing_changed_and_stray(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await rows(nb, "ACL")
    port = next(uuid for uuid, row in nb.rows["Logical_Switch_Port"].items() if row["name"] == "port-1")
    rule = next(uuid for uuid, row in nb.rows["ACL"].items() if "tcp" in row["match"])
    await nb.transact(
        [
            {
                "op": "mutate",
                "table": "Logical_Switch",
                "where": [],
                "mutations": [["ports", "delete", ["uuid", port]]],
            },
            {"op": "update", "table": "ACL", "where": [["_uuid", "==", ["uuid", rule]]], "row": {"match": "1"}},
        ]
    )
    await driver.apply([Put(make.network("forgotten"))])
    found = {(one.kind, one.id): one.how for one in await driver.differences(WORLD)}
    assert found == {
        (Kind.PORT, "port-1"): "changed",  # its DNS row is still there
        (Kind.SECURITY_GROUP, "sg-1"): "changed",
        (Kind.NETWORK, "forgotten"): "stray",
    }
    await put_world(driver)
    await driver.apply([Delete(Kind.NETWORK, "forgotten")])
    assert await driver.differences(WORLD) == []


async def test_the_sweep_repairs_a_lost_drop_rule(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    await nb.transact([{"op": "delete", "table": "Port_Group", "where": [["name", "==", "neutron_pg_drop"]]}])
    found = await driver.differences(WORLD)
    assert Difference(Kind.SECURITY_GROUP, "default-drop", "missing", "5 rows") in found
    await put_world(driver)
    assert await driver.differences(WORLD) == []


async def test_rows_that_others_made_are_left_alone(driver: OvnDriver, nb: Replica) -> None:
    await nb.transact([{"op": "insert", "table": "Logical_Switch", "row": {"name": "by hand"}}])
    await put_world(driver)
    assert await driver.differences(WORLD) == []


async def test_ports_that_come_up_are_told(driver: OvnDriver, nb: Replica) -> None:
    await put_world(driver)
    told: list[PortEvent] = []
    driver.on_port_event(told.append)
    for up in (True, False):
        where = [["name", "==", "port-1"]]
        await nb.transact([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"up": up}}])
        await driver.apply([Put(make.network(f"later-{up}"))])  # so that the driver has heard of it
    assert told == [PortEvent("port-1", True), PortEvent("port-1", False)]


CHASSIS = {
    "name": "c1",
    "hostname": "host-1",
    "encaps": ["set", [["named-uuid", "e"]]],
    "other_config": ["map", [
        ["ovn-bridge-mappings", "public:br-ex"], ["datapath-type", "netdev"],
        ["ovn-cms-options", "enable-chassis-as-gw,kilonova-vnet-hdr=true"],
    ]],
}  # fmt: skip


async def add_chassis(ovsdb: str) -> None:
    from kilonova.kernel.ovsdb import Client

    client = await Client.connect(ovsdb)
    encap = {"type": "geneve", "ip": "127.0.0.1", "chassis_name": "c1"}
    await client.transact(
        "OVN_Southbound",
        [
            {"op": "insert", "table": "Encap", "uuid-name": "e", "row": encap},
            {"op": "insert", "table": "Chassis", "row": CHASSIS},
        ],
    )
    await client.aclose()


async def test_a_gateway_finds_its_host_when_the_host_comes_later(driver: OvnDriver, nb: Replica, ovsdb: str) -> None:
    await put_world(driver)
    assert await rows(nb, "Gateway_Chassis") == []
    await add_chassis(ovsdb)
    for _ in range(200):
        if await rows(nb, "Gateway_Chassis"):
            break
    assert [row["chassis_name"] for row in nb.rows["Gateway_Chassis"].values()] == ["c1"]
    assert await driver.differences(WORLD) == []


async def test_binding_says_how_the_port_is_plugged(driver: OvnDriver, ovsdb: str) -> None:
    await add_chassis(ovsdb)
    await put_world(driver)
    binding = await driver.bind_port(make.port(), "host-1")
    assert binding.vif_type == "ovs"
    assert {"datapath_type": "netdev", "vnet_hdr": True, "mtu": 1442, "port_filter": True}.items() <= (
        binding.vif_details.items()
    )
    with pytest.raises(NotAble, match="host-9"):
        await driver.bind_port(make.port(), "host-9")
    with pytest.raises(NotAble, match="direct"):
        await driver.bind_port(make.port(vnic_type="direct"), "host-1")


async def test_without_a_database_the_driver_says_so(tmp_path: Any) -> None:
    nowhere = f"unix:{tmp_path}/nothing"
    driver = OvnDriver(Connections(nowhere, nowhere), timing=Timing(connect_s=0.05))
    await driver.start()
    with pytest.raises(Unreachable, match="nothing"):
        await driver.apply([Put(make.network())])
    await driver.stop()
