"""One suite for every driver: what the contract in virt/driver.py says, told as stories.

`bench` (conftest.py) is one driver with what a story needs to know about its guests; the real ones are marked `real`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from kilonova.compute.console.proxy import connect
from kilonova.compute.virt.driver import Happening, NoSuchGuest, NotAble, PowerState, WrongState
from tests.compute.drivers import make

RUNNING, PAUSED, SHUTDOWN, SUSPENDED = (
    PowerState.RUNNING,
    PowerState.PAUSED,
    PowerState.SHUTDOWN,
    PowerState.SUSPENDED,
)


async def power_state(bench, uuid):
    state = await bench.driver.guest_state(uuid)
    return None if state is None else state.power_state


async def test_a_spawned_guest_runs_and_is_listed(bench):
    spec = bench.spec(vcpus=2, ram_mib=128)
    await bench.driver.spawn(spec)
    (seen,) = await bench.driver.list_guests()
    assert (seen.uuid, seen.name, seen.power_state) == (spec.uuid, spec.name, RUNNING)
    assert (seen.vcpus, seen.ram_mib) == (2, 128)
    assert await bench.driver.guest_state(spec.uuid) is not None


async def test_spawning_twice_is_spawning_once(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    before = await bench.incarnation(spec.uuid)
    await bench.driver.spawn(spec)
    assert await bench.incarnation(spec.uuid) == before
    assert len(await bench.driver.list_guests()) == 1


async def test_a_guest_is_made_again_from_its_spec_when_its_definition_is_lost(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    await bench.driver.destroy(spec.uuid, keep_files=True)
    assert await bench.driver.guest_state(spec.uuid) is None
    await bench.driver.spawn(spec)
    assert await power_state(bench, spec.uuid) is RUNNING


async def test_pulling_the_plug_keeps_the_guest_and_starting_brings_it_back(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    for _ in range(2):
        await bench.driver.power_off(spec.uuid)
        assert await power_state(bench, spec.uuid) is SHUTDOWN
    for _ in range(2):
        await bench.driver.start(spec)
        assert await power_state(bench, spec.uuid) is RUNNING


async def test_a_guest_boots_prints_its_console_and_powers_off_when_asked(bench):
    spec = await bench.booted()
    assert await bench.driver.shutdown(spec.uuid, timeout_s=60) is True
    assert await power_state(bench, spec.uuid) is SHUTDOWN
    log = await bench.driver.console_log(spec.uuid, last_bytes=1 << 20)
    assert b"login:" in log
    assert await bench.driver.console_log(spec.uuid, last_bytes=7) == log[-7:]


async def test_a_guest_that_does_not_react_is_powered_off(bench):
    spec = await bench.deaf()
    assert await bench.driver.shutdown(spec.uuid, timeout_s=0.3) is False
    assert await power_state(bench, spec.uuid) is SHUTDOWN


async def test_shutting_down_a_guest_that_is_off_is_done_at_once(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    await bench.driver.power_off(spec.uuid)
    assert await bench.driver.shutdown(spec.uuid, timeout_s=60) is True


async def test_a_soft_reboot_starts_the_guest_anew(bench):
    spec = await bench.booted()
    before = await bench.incarnation(spec.uuid)
    assert await bench.driver.reboot_soft(spec, timeout_s=60) is True
    assert await power_state(bench, spec.uuid) is RUNNING
    assert await bench.incarnation(spec.uuid) != before


async def test_a_soft_reboot_of_a_deaf_guest_leaves_it_running(bench):
    spec = await bench.deaf()
    before = await bench.incarnation(spec.uuid)
    assert await bench.driver.reboot_soft(spec, timeout_s=0.3) is False
    assert await power_state(bench, spec.uuid) is RUNNING
    assert await bench.incarnation(spec.uuid) == before


async def test_a_hard_reboot_starts_a_guest_anew_whether_it_ran_or_not(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    before = await bench.incarnation(spec.uuid)
    await bench.driver.reboot_hard(spec)
    assert await bench.incarnation(spec.uuid) != before
    await bench.driver.power_off(spec.uuid)
    await bench.driver.reboot_hard(spec)
    assert await power_state(bench, spec.uuid) is RUNNING


async def test_a_paused_guest_stays_where_it_is(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    before = await bench.incarnation(spec.uuid)
    for _ in range(2):
        await bench.driver.pause(spec.uuid)
        assert await power_state(bench, spec.uuid) is PAUSED
    for _ in range(2):
        await bench.driver.unpause(spec.uuid)
        assert await power_state(bench, spec.uuid) is RUNNING
    assert await bench.incarnation(spec.uuid) == before


async def test_a_suspended_guest_comes_back(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    for _ in range(2):
        await bench.driver.suspend(spec.uuid)
        assert await power_state(bench, spec.uuid) is SUSPENDED
    for _ in range(2):
        await bench.driver.resume(spec)
        assert await power_state(bench, spec.uuid) is RUNNING


@pytest.mark.parametrize("ask", ["pause", "suspend"])
async def test_what_needs_a_running_guest_is_refused_when_it_is_off(bench, ask):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    await bench.driver.power_off(spec.uuid)
    with pytest.raises(WrongState):
        await getattr(bench.driver, ask)(spec.uuid)
    with pytest.raises(WrongState):
        await bench.driver.reboot_soft(spec, timeout_s=1)
    assert await power_state(bench, spec.uuid) is SHUTDOWN


@pytest.mark.parametrize("state", ["running", "off", "paused", "suspended"])
async def test_destroying_leaves_nothing_whatever_the_state(bench, state):
    spec = bench.spec(nics=(make.nic(),))
    await bench.driver.spawn(spec)
    ask = {"off": "power_off", "paused": "pause", "suspended": "suspend"}.get(state)
    if ask:
        await getattr(bench.driver, ask)(spec.uuid)
    for _ in range(2):
        await bench.driver.destroy(spec.uuid)
        assert await bench.driver.guest_state(spec.uuid) is None
        assert await bench.driver.list_guests() == ()
        assert not bench.driver.guest_dir(spec.uuid).exists()
    assert bench.leftovers(spec) == []


async def test_destroying_a_guest_that_never_was_removes_its_directory(bench):
    spec = bench.spec()
    folder = bench.driver.guest_dir(spec.uuid)
    folder.mkdir(parents=True)
    (folder / "disk").write_bytes(b"half made")
    await bench.driver.destroy(spec.uuid)
    assert not folder.exists()


async def test_guests_outlive_the_driver(bench):
    running, off = bench.spec(1), bench.spec(2)
    await bench.driver.spawn(running)
    await bench.driver.spawn(off)
    await bench.driver.power_off(off.uuid)
    before = await bench.incarnation(running.uuid)
    await bench.restart()
    assert {(one.uuid, one.power_state) for one in await bench.driver.list_guests()} == {
        (running.uuid, RUNNING),
        (off.uuid, SHUTDOWN),
    }
    assert await bench.incarnation(running.uuid) == before


async def test_listeners_hear_what_guests_do(bench):
    heard: asyncio.Queue = asyncio.Queue()
    bench.driver.subscribe(heard.put_nowait)
    spec = bench.spec()

    async def next_is(happening):
        async with asyncio.timeout(10):
            while (event := await heard.get()).happening is not happening:
                pass
        return event

    await bench.driver.spawn(spec)
    assert (await next_is(Happening.STARTED)).uuid == spec.uuid
    await bench.driver.pause(spec.uuid)
    assert (await next_is(Happening.PAUSED)).power_state is PAUSED
    await bench.driver.unpause(spec.uuid)
    await next_is(Happening.RESUMED)
    await bench.guest_stops_by_itself(spec.uuid)
    event = await next_is(Happening.STOPPED)
    assert (event.uuid, event.power_state) == (spec.uuid, SHUTDOWN)


async def test_unknown_guests_are_named_in_the_error(bench):
    spec = bench.spec()
    assert await bench.driver.guest_state(spec.uuid) is None
    driver = bench.driver
    for ask in (driver.power_off, driver.pause, driver.unpause, driver.suspend):
        with pytest.raises(NoSuchGuest, match=spec.uuid):
            await ask(spec.uuid)
    with pytest.raises(NoSuchGuest):
        await driver.shutdown(spec.uuid, timeout_s=1)
    with pytest.raises(NoSuchGuest):
        await driver.console_log(spec.uuid, last_bytes=10)


async def test_a_disk_is_attached_and_detached(bench):
    spec = await bench.booted()
    disk = bench.volume(spec)
    for _ in range(2):
        await bench.driver.attach_disk(spec.uuid, disk)
        assert await bench.has_disk(spec.uuid, disk)
    for _ in range(2):
        await bench.driver.detach_disk(spec.uuid, disk)
        assert not await bench.has_disk(spec.uuid, disk)


async def test_an_interface_is_attached_and_detached(bench):
    spec = await bench.booted()
    nic = make.nic()
    for _ in range(2):
        await bench.driver.attach_nic(spec.uuid, nic)
        assert await bench.has_nic(spec.uuid, nic)
    for _ in range(2):
        await bench.driver.detach_nic(spec.uuid, nic)
        assert not await bench.has_nic(spec.uuid, nic)


async def test_the_flags_tell_the_truth(bench):
    spec = bench.spec()
    driver, flags = bench.driver, bench.driver.capabilities
    await driver.spawn(spec)
    asks = {
        "pause": lambda: driver.pause(spec.uuid),
        "suspend": lambda: driver.suspend(spec.uuid),
        "vnc": lambda: driver.console_endpoint(spec.uuid, "vnc"),
        "serial": lambda: driver.console_endpoint(spec.uuid, "serial"),
        "screenshot": lambda: driver.screenshot(spec.uuid),
    }
    for flag, ask in asks.items():
        refused = pytest.raises(NotAble) if not getattr(flags, flag) else contextlib.nullcontext()
        await driver.reboot_hard(spec)
        with refused:
            await ask()


async def test_the_inventory_is_of_this_machine(bench):
    found = await bench.driver.inventory()
    assert found.vcpus > 0
    assert found.ram_mib > 0
    assert 0 <= found.ram_used_mib <= found.ram_mib
    assert 0 <= found.disk_used_gib <= found.disk_gib
    assert found.hypervisor_version >= 1_000_000
    assert found.uptime_s > 0
    assert all(len(row) == 3 for row in found.supported)
    assert found.cpu_info["arch"] == os.uname().machine
    if bench.driver.capabilities.real:
        assert found.vcpus == os.cpu_count()


async def test_traits_are_names_that_placement_knows(bench):
    import os_traits

    found = await bench.driver.inventory()
    assert found.traits - set(os_traits.get_traits()) == set()


async def test_a_running_guest_has_a_screen_and_a_serial_line(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    reader, writer = await connect(await bench.driver.console_endpoint(spec.uuid, "vnc"))
    async with asyncio.timeout(10):
        assert await reader.readexactly(12) == b"RFB 003.008\n"
    _, other = await connect(await bench.driver.console_endpoint(spec.uuid, "serial"))
    writer.close()
    other.close()
    await bench.driver.power_off(spec.uuid)
    with pytest.raises(WrongState):
        await bench.driver.console_endpoint(spec.uuid, "vnc")
