"""Power and interfaces: what becomes of the server when it works, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.compute.conductor.interfaces import ATTACH, DETACH
from kilonova.compute.conductor.power import WORKFLOWS
from kilonova.compute.model import operations as ops
from kilonova.compute.model.servers import RequestedNetwork
from kilonova.compute.model.states import PowerState
from kilonova.compute.virt.driver import Broken, Transient
from kilonova.kernel.tasks import Operation
from kilonova.kernel.testing.workflows import Trouble, survive, troubles
from tests.compute.workflows.world import NETWORK, World


async def do(world: World, kind: str, **more: Any) -> Operation:
    await world.wish(kind, world.server_id, **more)
    await world.run()
    return (await world.history())[0]


@pytest.mark.parametrize(
    ("before", "kind", "vm_state", "power"),
    [
        ((), "stop", "stopped", PowerState.SHUTDOWN),
        (("stop",), "start", "active", PowerState.RUNNING),
        ((), "reboot_soft", "active", PowerState.RUNNING),
        ((), "reboot_hard", "active", PowerState.RUNNING),
        (("stop",), "reboot_hard", "active", PowerState.RUNNING),
        ((), "pause", "paused", PowerState.PAUSED),
        (("pause",), "unpause", "active", PowerState.RUNNING),
        ((), "suspend", "suspended", PowerState.SUSPENDED),
        (("suspend",), "resume", "active", PowerState.RUNNING),
    ],
)
async def test_power_leads_where_it_should(before, kind, vm_state, power):
    world = await World().up()
    await world.built()
    for first in before:
        await do(world, first)
    operation = await do(world, kind, task_state="busy")
    server = await world.server()
    assert operation.state == "done"
    assert (server.vm_state, server.power_state, server.task_state) == (vm_state, power, None)
    guest = await world.driver().guest_state(server.id)
    assert guest is not None
    assert guest.power_state == power
    await world.check_whole()


async def test_a_guest_that_does_not_react_is_rebooted_hard():
    world = await World().up()
    await world.built()
    world.driver().knobs.ignores_shutdown.add(world.server_id)
    assert (await do(world, "reboot_soft")).state == "done"
    assert (await world.server()).vm_state == "active"


async def test_a_failed_start_leaves_the_server_stopped_with_a_fault_that_hides_the_inside():
    world = await World().up()
    await world.built()
    await do(world, "stop")
    world.driver().knobs.fail["start"] = [Broken("/dev/secret is gone")]
    operation = await do(world, "start", task_state="powering-on")
    server = await world.server()
    assert operation.state == "failed"
    assert (server.vm_state, server.task_state) == ("stopped", None)
    assert server.fault is not None
    assert "secret" not in server.fault.message
    assert "/dev/secret" in server.fault.details


async def test_a_failed_resume_is_an_error():
    world = await World().up()
    await world.built()
    await do(world, "suspend")
    world.driver().knobs.fail["resume"] = [Broken("no saved memory")]
    await do(world, "resume", task_state="resuming")
    assert (await world.server()).vm_state == "error"


async def test_a_hypervisor_that_is_busy_is_asked_again():
    world = await World().up()
    await world.built()
    world.driver().knobs.fail["pause"] = [Transient("locked"), Transient("locked")]
    assert (await do(world, "pause")).state == "done"


async def test_operations_on_one_server_do_not_overlap():
    world = await World().up()
    await world.built()
    for kind in ("stop", "start", "pause", "unpause"):
        await world.wish(kind, world.server_id)
    await world.run()
    assert (await world.server()).vm_state == "active"
    assert [o.state for o in await world.history()] == ["done"] * 5


class PowerWorld(World):
    async def start(self) -> int:
        await self.built()
        if self.kind in ("start",):
            await self.wish("stop", self.server_id)
        elif self.kind == "unpause":
            await self.wish("pause", self.server_id)
        elif self.kind == "resume":
            await self.wish("suspend", self.server_id)
        elif self.kind == ops.DETACH_INTERFACE:
            server = await self.server()
            payload = ops.DetachInterface(server.vifs[0].port_id)
            return await self.wish(self.kind, self.server_id, payload=payload)
        elif self.kind == ops.ATTACH_INTERFACE:
            payload = ops.AttachInterface(RequestedNetwork(network_id=NETWORK))
            return await self.wish(self.kind, self.server_id, payload=payload)
        await self.run()
        return await self.wish(self.kind, self.server_id, task_state="busy")

    async def check(self, operation: Operation, trouble: Trouble) -> None:
        await self.check_whole()
        server = await self.server()
        assert server.task_state is None
        guest = await self.driver().guest_state(server.id)
        assert guest is not None
        if operation.state == "done":
            assert server.power_state == guest.power_state
        if self.kind == ops.ATTACH_INTERFACE:
            assert len(server.vifs) == (2 if operation.state == "done" else 1)
            assert len(self.driver().spec(server.id).nics) == len(server.vifs)
        if self.kind == ops.DETACH_INTERFACE and operation.state == "done":
            assert server.vifs == ()
            assert self.driver().spec(server.id).nics == ()


CASES = [(flow, trouble) for flow in (*WORKFLOWS, ATTACH, DETACH) for trouble in troubles(flow)]


@pytest.mark.parametrize(("flow", "trouble"), CASES, ids=[f"{f.kind}-{t}" for f, t in CASES])
async def test_power_and_interfaces_survive(flow, trouble):
    async def make():
        world = await PowerWorld(flow.kind).up()
        world.others = ()
        return world

    await survive(trouble, flow, make)


async def test_a_users_port_is_unbound_when_its_card_is_taken_away():
    world = await World().up()
    port = await world.network.create_port(
        network_id=NETWORK, project_id="demo", device_id="", device_owner="", host="", security_group_ids=()
    )
    await world.built(networks=())
    attach = ops.AttachInterface(RequestedNetwork(port_id=port.id))
    await do(world, ops.ATTACH_INTERFACE, payload=attach)
    assert [vif.made_by_us for vif in (await world.server()).vifs] == [False]
    await do(world, ops.DETACH_INTERFACE, payload=ops.DetachInterface(port.id))
    assert world.network.ports_[port.id].device_id == ""
    assert (await world.server()).vifs == ()
