"""Stories of builds and deletes."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from kilonova.compute.conductor.ports import bind_ports
from kilonova.compute.model import operations as ops
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.servers import RequestedNetwork, ServerSpec
from kilonova.compute.store import groups, servers, tables
from kilonova.compute.virt.driver import Broken
from kilonova.kernel.ids import new_uuid
from tests.compute.workflows.world import NETWORK, PRIVATE, PROJECT, World


async def test_a_server_becomes_active_on_a_host_with_a_port_and_a_claim():
    world = await World().up()
    await world.built()
    server = await world.server()
    assert (server.vm_state, server.task_state, server.host, server.power_state) == ("active", None, "host1", 1)
    assert server.launched_at is not None
    [vif] = server.vifs
    assert (vif.network_name, vif.made_by_us) == ("private", True)
    await world.check_whole()


async def test_deleting_it_leaves_nothing():
    world = await World().up()
    await world.built()
    await world.wish(ops.DELETE, world.server_id, overtakes=True, task_state="deleting")
    await world.run()
    assert (await world.server()).vm_state == "deleted"
    assert not world.network.ports_
    assert not world.placement.claims
    assert not await world.guests()


async def test_a_users_own_port_is_taken_over_and_given_back_unbound():
    world = await World().up()
    port = await world.network.create_port(
        network_id=NETWORK, project_id="demo", device_id="", device_owner="", host="", security_group_ids=()
    )
    await world.built(networks=(RequestedNetwork(port_id=port.id),))
    assert world.network.ports_[port.id].device_id == world.server_id
    await world.wish(ops.DELETE, world.server_id, overtakes=True)
    await world.run()
    assert world.network.ports_[port.id].device_id == ""
    assert world.network.ports_[port.id].host == ""


async def test_a_host_that_fails_is_given_back_and_the_next_one_takes_it():
    world = await World().up("host1", "host2")
    for driver in (world.driver("host1"), world.driver("host2")):
        driver.knobs.fail["spawn"] = [Broken("the disk is full")] if driver is world.driver("host1") else []
    await world.built()
    server = await world.server()
    assert server.vm_state == "active"
    await world.check_whole()


async def test_when_all_hosts_fail_the_server_says_so_and_hides_their_words():
    world = await World().up("host1", "host2")
    for host in ("host1", "host2"):
        world.driver(host).knobs.fail["spawn"] = [Broken("/var/lib/secret is full")] * 9
    await world.built()
    server = await world.server()
    assert server.vm_state == "error"
    assert server.fault is not None
    assert server.fault.message.startswith("No valid host was found. 2 hosts were looked at: 2 failed to build it")
    assert "secret" not in server.fault.message
    assert "/var/lib/secret is full" in server.fault.details
    await world.check_whole()


async def test_a_server_that_fits_nowhere_says_what_is_short():
    world = await World().up("host1", "host2")
    await world.built(flavor=FlavorSnapshot("9", "huge", vcpus=1, ram_mib=999_999, disk_gib=1))
    server = await world.server()
    assert server.fault is not None
    assert server.fault.message == (
        "No valid host was found. 2 hosts were looked at: 2 have too little memory "
        "(999999 MiB are asked for, at most 15872 MiB are free)."
    )
    assert "host1, host2" in server.fault.details
    assert server.fault.code == 500
    [operation] = await world.history()
    assert operation.data["refusals"][0]["hosts"] == ["host1", "host2"]


async def test_no_host_at_all():
    world = World()
    world.conductor.listen()
    await world.scheduler.start()
    await world.built()
    assert (await world.server()).fault.message == "No valid host was found. There is no host at all."


async def test_a_lost_race_for_room_is_run_again():
    world = await World().up()
    world.placement.race = 3
    await world.built()
    assert (await world.server()).vm_state == "active"


async def test_a_refusal_of_the_network_service_reaches_the_owner():
    world = await World().up()
    world.network.full = True
    await world.built()
    server = await world.server()
    assert (server.vm_state, server.fault.message) == ("error", "Quota exceeded for resources: ['port'].")
    await world.check_whole()


async def test_a_host_that_cannot_bind_the_port_is_passed_over():
    world = await World().up("host1", "host2")
    world.network.unbindable = {"host1"}
    await world.built()
    assert (await world.server()).host == "host2"
    await world.check_whole()


async def test_many_at_once_spread_over_the_hosts():
    world = await World().up("host1", "host2")
    for n in range(8):
        await world.ask(f"web{n}")
    await world.run()
    hosts = list((await world.guests()).values())
    assert hosts.count("host1") == hosts.count("host2") == 4
    await world.check_whole()


async def test_anti_affinity_holds_even_when_placed_at_the_same_moment():
    world = await World().up("host1", "host2")
    group = new_uuid()
    async with world.db.transaction() as tx:
        number = await groups.insert_group(
            tx,
            {
                "id": group,
                "project_id": "demo",
                "user_id": "ann",
                "name": "apart",
                "policy": "anti-affinity",
                "created_at": world.clock.now(),
            },
        )
    ids = [await world.ask(f"web{n}", spec=ServerSpec(group_id=group)) for n in range(3)]
    async with world.db.transaction() as tx:
        await groups.add_members(tx, number, ids, "ann")
    await world.run()
    states = sorted([(await world.server(one)).vm_state for one in ids])
    assert states == ["active", "active", "error"]
    hosts = list((await world.guests()).values())
    assert sorted(hosts) == ["host1", "host2"]
    await world.check_whole()


async def test_deleting_while_its_host_is_down_removes_the_guest_when_it_comes_back():
    world = await World().up("host1", "host2")
    await world.built()
    host = (await world.server()).host
    lost = await world.lose(host)
    await world.wish(ops.DELETE, world.server_id, overtakes=True, task_state="deleting")
    await world.run()
    assert (await world.server()).vm_state == "deleted"
    assert not world.placement.claims
    assert len(await lost.driver.list_guests()) == 1
    again = await world.add_host(host)
    assert await again.driver.list_guests() == ()


async def test_the_boot_can_be_followed_in_the_log(caplog):
    caplog.set_level("INFO")
    world = await World().up()
    await world.built()
    hops = [record.message for record in caplog.records if record.message.startswith("boot ")]
    assert [line.split(":")[0] for line in hops] == [
        "boot 8",
        "boot 9-10",
        "boot 11",
        "boot 23-25",
        "boot 26-28",
        "boot 12",
        "boot 13-19",
        "boot 20-22",
        "boot 29",
        "boot 30",
    ]


async def test_the_history_names_hosts_for_the_admin():
    world = await World().up()
    await world.built()
    [operation] = await world.history()
    assert [event["name"] for event in operation.events] == [
        "conductor_schedule_and_build_instances",
        "compute__claim_resources",
        "compute__bind_ports",
        "compute__do_build_and_run_instance",
        "compute__settle",
    ]
    assert operation.events[3]["host"] == "host1"
    assert all(event["result"] == "Success" for event in operation.events)


async def test_a_server_without_a_card():
    world = await World().up()
    await world.built(networks=())
    assert (await world.server()).vm_state == "active"
    assert not world.network.ports_


async def test_the_one_network_of_a_project_is_taken_when_none_is_named():
    world = await World().up()
    await world.built(networks=None)
    assert len((await world.server()).vifs) == 1


async def test_a_late_spawn_of_a_conductor_that_was_given_up_is_refused():
    world = await World().up()
    await world.built()
    agent = world.agents["host1"]
    record = agent.records.get(world.server_id)
    await world.wish(ops.DELETE, world.server_id, overtakes=True)
    await world.run()
    assert not agent.records.admits(world.server_id, record.ticket)
    assert replace(await world.server(), name="x").name == "x"
    assert msgspec.to_builtins(record.ticket)


async def test_the_password_is_not_kept_once_the_server_was_told():
    world = await World().up()
    payload = ops.Build(admin_password="s3cret", files=(ops.InjectedFile("/x", "aGk="),))
    server_id = await world.ask(networks=())
    async with world.db.transaction() as tx:
        await tx.run(tables.operations.update().values(payload=msgspec.to_builtins(payload)))
    await world.run()
    [operation] = await world.history(server_id)
    assert operation.state == "done"
    assert "s3cret" not in str(operation)
    assert "files" not in operation.payload


async def test_a_strangers_port_that_claims_to_be_the_servers_is_not_taken_for_ours():
    world = await World().up("host1")
    server_id = await world.ask()
    facts = {"device_id": server_id, "device_owner": "compute:nova", "host": "host1", "security_group_ids": ()}
    planted = await world.network.create_port(network_id=NETWORK, project_id="rival", **facts)
    ours = await world.network.create_port(network_id=NETWORK, project_id=PROJECT, **facts)
    async with world.db.read() as tx:
        server = await servers.get(tx, server_id)
    ask = {"host": "host1", "zone": "nova", "security_group_ids": (), "fresh": False}
    [(port, is_ours, _tag)] = await bind_ports(world.parts, server, PRIVATE, **ask)
    assert (port.id, is_ours) == (ours.id, True)
    assert world.network.ports_[planted.id].project_id == "rival"
