"""What only a real hypervisor can show: daemons that die, guests that die, consoles that talk, clouds side by side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from kilonova.compute.console.proxy import ConsoleProxy, Target
from kilonova.compute.virt.driver import BackingImage, Broken, DiskSpec, Happening, PowerState, Transient
from kilonova.kernel.process import running_in
from kilonova.kernel.web.listen import serve_socket
from tests.compute.drivers import make, real

pytestmark = pytest.mark.real


@pytest.fixture
async def bench(real_machine):
    one = real.LibvirtBench(real_machine)
    await one.open()
    yield one
    await one.close()


async def until(check, timeout_s: float = 20.0):
    deadline = time.monotonic() + timeout_s
    while not (found := await check()):
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)
    return found


async def patiently(call, timeout_s=20.0):
    """As the conductor does: what is transient is tried again, for the daemon needs a moment to come back."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await call()
        except Transient:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def test_guests_and_driver_survive_the_death_of_the_daemon(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    before = await bench.incarnation(spec.uuid)
    (daemon,) = [one for one in running_in(bench.machine.root / "run") if one.name == "libvirtd"]
    os.kill(daemon.pid, signal.SIGKILL)

    async def again():
        with contextlib.suppress(Transient):
            return await bench.driver.guest_state(spec.uuid)

    state = await until(again)
    assert state.power_state is PowerState.RUNNING
    assert await bench.incarnation(spec.uuid) == before
    heard: asyncio.Queue = asyncio.Queue()
    bench.driver.subscribe(heard.put_nowait)
    other = bench.spec(2)
    await patiently(lambda: bench.driver.spawn(other))
    async with asyncio.timeout(10):
        while (event := await heard.get()).happening is not Happening.STARTED:
            pass
    assert event.uuid == other.uuid
    await patiently(lambda: bench.driver.destroy(spec.uuid))
    assert bench.leftovers(spec) == []


async def test_a_guest_whose_process_dies_has_crashed(bench):
    heard: asyncio.Queue = asyncio.Queue()
    bench.driver.subscribe(heard.put_nowait)
    spec = bench.spec()
    await bench.driver.spawn(spec)
    os.kill(int(await bench.incarnation(spec.uuid)), signal.SIGKILL)
    async with asyncio.timeout(10):
        while (await heard.get()).happening is not Happening.CRASHED:
            pass
    assert (await bench.driver.guest_state(spec.uuid)).power_state is PowerState.CRASHED
    await bench.driver.start(spec)
    assert (await bench.driver.guest_state(spec.uuid)).power_state is PowerState.RUNNING


async def test_the_screen_and_the_serial_console_talk_over_their_sockets(bench):
    spec = await bench.booted()
    screen = await bench.driver.console_endpoint(spec.uuid, "vnc")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(screen))
        assert client.recv(12) == b"RFB 003.008\n"
    serial = await bench.driver.console_endpoint(spec.uuid, "serial")
    reader, writer = await asyncio.open_unix_connection(serial)
    writer.write(b"\n")
    async with asyncio.timeout(20):
        await reader.readuntil(b"login: ")
    writer.close()
    kind, picture = await bench.driver.screenshot(spec.uuid)
    assert kind.startswith("image/")
    assert len(picture) > 100


async def test_the_image_boots_from_its_own_loader_and_takes_a_config_drive(bench, tmp_path):
    image = bench.machine.image()
    uuid = bench.spec().uuid
    folder = bench.driver.guest_dir(uuid)
    folder.mkdir(parents=True)
    drive = folder / "disk.config"
    drive.write_bytes(bytes(1 << 20))  # an empty one: that the guest starts with it is what is asked here
    disk = DiskSpec(f"{folder}/disk", "qcow2", 1 << 30, BackingImage(str(image.path), "qcow2"), boot_order=1)
    spec = make.spec(bench.driver, uuid=uuid, disks=(disk,), config_drive=str(drive))
    await bench.driver.spawn(spec)
    await bench.until_login(uuid)


async def test_a_uefi_guest_keeps_its_variables_with_its_other_files(bench):
    if not bench.driver.capabilities.uefi:
        pytest.skip("the package ovmf is not installed")
    spec = bench.spec(firmware="uefi", ram_mib=256)
    await bench.driver.spawn(spec)
    assert (bench.driver.guest_dir(spec.uuid) / "nvram.fd").exists()
    await bench.driver.destroy(spec.uuid)
    assert bench.leftovers(spec) == []


async def test_guests_run_as_a_user_without_rights(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    status = Path(f"/proc/{await bench.incarnation(spec.uuid)}/status").read_text()
    assert "\nUid:\t0\t" not in status


async def test_a_failed_start_says_why_and_leaves_what_can_be_destroyed(bench):
    gone = DiskSpec(path="/no/such/volume", format="raw", owned=False)
    spec = bench.spec(disks=(gone,), nics=(make.nic(),))
    with pytest.raises(Broken, match="/no/such/volume"):
        await bench.driver.spawn(spec)
    await bench.driver.destroy(spec.uuid)
    assert bench.leftovers(spec) == []


async def test_two_clouds_stand_side_by_side(bench):
    with tempfile.TemporaryDirectory(prefix="kilonova-test-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        machine = real.RealMachine(Path(folder), "two")
        await machine.up()
        other = real.LibvirtBench(machine)
        try:
            await other.open()
            here, there = bench.spec(1), other.spec(1)
            await asyncio.gather(bench.driver.spawn(here), other.driver.spawn(there))
            assert [one.uuid for one in await bench.driver.list_guests()] == [here.uuid]
            assert [one.uuid for one in await other.driver.list_guests()] == [there.uuid]
            await bench.driver.destroy(here.uuid)
            assert (await other.driver.guest_state(there.uuid)).power_state is PowerState.RUNNING
        finally:
            await other.close()
            await machine.down()


async def test_a_browser_reaches_the_screen_through_the_proxy(bench):
    spec = bench.spec()
    await bench.driver.spawn(spec)
    path = await bench.driver.console_endpoint(spec.uuid, "vnc")
    tokens = {"once": Target(spec.uuid, "novnc", "here", str(path))}

    async def authorize(token):
        return tokens.pop(token, None)

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    proxy = ConsoleProxy(authorize, "here")
    server = await serve_socket(proxy, listening, most_connections=10, websockets=True)
    async with open_websocket(f"ws://127.0.0.1:{port}/?token=once", origin=f"http://127.0.0.1:{port}") as browser:
        assert await browser.recv() == b"RFB 003.008\n"
        await browser.send(b"RFB 003.008\n")
        assert (await browser.recv())[0] >= 1  # so many kinds of security are offered
        await bench.driver.power_off(spec.uuid)
        with pytest.raises(ConnectionClosed):
            await browser.recv()
    server.close()
    await proxy.close()
