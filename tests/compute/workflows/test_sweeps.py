"""Sweeps: what is left over is found and removed, with proof; what is missing is told."""

from __future__ import annotations

import asyncio
import shutil

from kilonova.clients.placement import Claim
from kilonova.compute.agent.app import host_id
from kilonova.compute.calls import PowerChanged
from kilonova.compute.conductor.hosts import power_changed
from kilonova.compute.conductor.sweeps import SWEEPS
from kilonova.compute.model import operations as ops
from kilonova.compute.model.states import PowerState
from kilonova.compute.store import servers
from kilonova.compute.virt.driver import GuestEvent, Happening
from kilonova.kernel.tasks import Sweeper
from kilonova.kernel.testing.clock import settle
from tests.compute.workflows.world import NETWORK, World


async def sweep(world: World, name: str) -> int:
    """Two rounds, so that patience ends; how many repairs."""
    one = next(s for s in SWEEPS if s.name == name)
    sweeper = Sweeper((), world.parts, world.clock)
    repaired = 0
    for _ in range(one.patience):
        repaired += await sweeper.once(one)
    return repaired


async def change(world: World, **values: object) -> None:
    async with world.db.transaction() as tx:
        await servers.change(tx, world.server_id, world.clock.now(), values)


async def test_all_is_well_after_a_build():
    world = await World().up()
    await world.built()
    for one in SWEEPS:
        assert await sweep(world, one.name) == 0


async def test_a_guest_of_a_deleted_server_is_removed():
    world = await World().up()
    await world.built()
    async with world.db.transaction() as tx:
        await servers.mark_deleted(tx, world.server_id, world.clock.now())
    assert await sweep(world, "guests") == 1
    assert await world.guests() == {}


async def test_a_guest_nobody_knows_is_left_alone():
    world = await World().up()
    await world.built()
    async with world.db.transaction() as tx:
        await tx.run(servers.servers.delete())
    assert await sweep(world, "guests") == 0
    assert len(await world.guests()) == 1


async def test_claims_and_ports_of_a_deleted_server_are_removed():
    world = await World().up()
    await world.built()
    await world.wish(ops.DELETE, world.server_id, overtakes=True)
    await world.run()
    uses = {host_id("host1"): {"VCPU": 1}}
    world.placement.claims[world.server_id] = Claim(world.server_id, uses, "demo", "ann")
    await world.network.create_port(
        network_id=NETWORK,
        project_id="demo",
        device_id=world.server_id,
        device_owner="compute:nova",
        host="host1",
        security_group_ids=(),
    )
    world.beat()
    assert await sweep(world, "claims") == 1
    assert await sweep(world, "ports") == 1
    assert not world.placement.claims
    assert not world.network.ports_


async def test_a_claim_that_is_missing_is_made_again():
    world = await World().up()
    await world.built()
    world.placement.claims.clear()
    assert await sweep(world, "claims") == 1
    await world.check_whole()


async def test_a_server_that_nobody_works_on_comes_to_rest():
    world = await World().up()
    await world.built()
    await change(world, task_state="rebooting")
    assert await sweep(world, "stuck servers") == 0
    await world.clock.advance(100)
    assert await sweep(world, "stuck servers") == 1
    assert (await world.server()).task_state is None


async def test_a_delete_that_was_forgotten_is_begun_again():
    world = await World().up()
    await world.built()
    await change(world, task_state="deleting")
    await world.clock.advance(100)
    world.beat()
    await sweep(world, "stuck servers")
    await world.run()
    assert (await world.server()).vm_state == "deleted"


async def test_a_guest_that_powers_off_by_itself_is_noticed():
    world = await World().up()
    await world.built()
    world.driver().guest_powers_off(world.server_id)
    assert await sweep(world, "guests") == 1
    server = await world.server()
    assert (server.vm_state, server.power_state) == ("stopped", PowerState.SHUTDOWN)


async def test_a_stopped_server_that_was_started_behind_our_back_is_stopped():
    world = await World().up()
    await world.built()
    await world.wish(ops.STOP, world.server_id)
    await world.run()
    await world.driver().start(world.driver().spec(world.server_id))
    seen = PowerChanged(host="host1", server_id=world.server_id, power_state=int(PowerState.RUNNING))
    await power_changed(world.parts, seen)
    assert (await world.server()).task_state == "powering-off"
    await world.run()
    server = await world.server()
    assert (server.vm_state, server.power_state) == ("stopped", PowerState.SHUTDOWN)


async def test_a_guest_that_vanished_is_an_error_that_a_hard_reboot_mends():
    world = await World().up()
    await world.built()
    world.driver().guest_vanishes(world.server_id)
    assert await sweep(world, "guests") == 1
    assert (await world.server()).vm_state == "error"
    await world.wish(ops.REBOOT_HARD, world.server_id)
    await world.run()
    assert (await world.server()).vm_state == "active"
    await world.check_whole()


async def test_a_guest_that_ran_is_started_again_with_the_host():
    world = await World().up()
    await world.built()
    agent = world.agents["host1"]
    world.driver().guest_powers_off(world.server_id)
    assert await agent.lifecycle.start_what_is_to_run() == [world.server_id]
    await world.wish(ops.STOP, world.server_id)
    await world.run()
    assert await agent.lifecycle.start_what_is_to_run() == []


async def test_a_host_that_lost_its_records_gets_them_back():
    world = await World().up()
    await world.built()
    agent = world.agents["host1"]
    for record in agent.records.all():
        agent.records._known.pop(record.server_id)
        agent.records._path(record.server_id).unlink()
    assert await agent._try_to_register()
    record = agent.records.get(world.server_id)
    assert record is not None
    assert record.is_to_run
    assert record.order.nics[0].mtu == 1442


async def test_a_guest_that_its_user_switched_off_stays_off_when_the_host_starts():
    world = await World().up()
    await world.built()
    agent = world.agents["host1"]
    telling = asyncio.create_task(agent._tell_events())
    world.driver().guest_powers_off(world.server_id)
    await settle()
    telling.cancel()
    assert (await world.server()).vm_state == "stopped"
    assert await agent.lifecycle.start_what_is_to_run() == []


async def test_old_history_is_forgotten():
    world = await World().up()
    await world.built()
    await world.clock.advance(91 * 86400)
    assert await sweep(world, "history") == 1
    assert await world.history() == []


async def test_an_event_that_comes_late_changes_nothing():
    world = await World().up()
    await world.built()
    agent = world.agents["host1"]
    agent._hear(GuestEvent(world.server_id, Happening.STOPPED, PowerState.SHUTDOWN))
    telling = asyncio.create_task(agent._tell_events())
    await settle()
    telling.cancel()
    assert (await world.server()).vm_state == "active"
    assert agent.records.get(world.server_id).is_to_run


async def test_an_agent_whose_disk_fails_for_a_while_goes_on_when_it_works_again():
    """Each of its loops outlives what it did not expect: a host must not fall silent for one failed write."""
    world = await World().up("host1")
    await world.built()
    agent = world.agents["host1"]
    loops = [
        asyncio.create_task(loop()) for loop in (agent._keep_reporting, agent._keep_registered, agent._tell_events)
    ]
    folder = agent.records.directory
    shutil.rmtree(folder)
    agent.images.directory.symlink_to(agent.images.directory)  # looking into it fails
    await settle()
    world.driver().guest_crashes(world.server_id)  # noticed, told, but cannot be noted
    await world.clock.advance(400)
    assert [loop for loop in loops if loop.done()] == []
    agent.images.directory.unlink()
    folder.mkdir()
    heard = world.parts.hosts.heard["host1"]
    await world.clock.advance(400)
    assert world.parts.hosts.heard["host1"] > heard
    for loop in loops:
        loop.cancel()
