"""The bench: a driver and what a story needs to know about its guests, one subclass a driver."""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.virt.driver import DiskSpec, GuestSpec, NicSpec, Transient
from kilonova.compute.virt.fake import FakeDriver
from tests.compute.drivers import make, real


class FakeBench:
    def __init__(self, tmp_path: Path):
        self.directory = tmp_path / "guests"
        self.driver = FakeDriver(self.directory)

    async def open(self) -> None:
        await self.driver.open()

    async def close(self) -> None:
        await self.driver.close()

    async def restart(self) -> None:
        await self.driver.close()
        self.driver = FakeDriver(self.directory)
        await self.driver.open()

    def spec(self, number: int = 1, **fields: Any) -> GuestSpec:
        return make.spec(self.driver, number, **fields)

    async def booted(self) -> GuestSpec:
        spec = self.spec()
        await self.driver.spawn(spec)
        return spec

    async def deaf(self) -> GuestSpec:
        spec = await self.booted()
        self.driver.knobs.ignores_shutdown.add(spec.uuid)
        return spec

    async def incarnation(self, uuid: str) -> object:
        """Differs when the guest has been started anew."""
        return self.driver._guest(uuid).starts

    async def guest_stops_by_itself(self, uuid: str) -> None:
        self.driver.guest_powers_off(uuid)

    def volume(self, spec: GuestSpec) -> DiskSpec:
        return DiskSpec(path=str(self.directory / "volume"), format="raw", owned=False, serial="vol-1")

    async def has_disk(self, uuid: str, disk: DiskSpec) -> bool:
        return disk in self.driver.spec(uuid).disks

    async def has_nic(self, uuid: str, nic: NicSpec) -> bool:
        return nic in self.driver.spec(uuid).nics

    def leftovers(self, spec: GuestSpec) -> list[str]:
        return [str(path) for path in self.directory.rglob("*")]


def _run(work) -> None:
    """In a loop of its own: a session's fixture is made while a test's loop runs."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(lambda: asyncio.run(work())).result()


@pytest.fixture(scope="session")
def real_machine():
    if reason := real.missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="kilonova-test-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # guests run as a user without rights, who has to get at their disks
        machine = real.RealMachine(Path(folder))
        try:
            _run(machine.up)
            yield machine
        finally:
            _run(machine.down)


@pytest.fixture(params=["fake", pytest.param("libvirt", marks=pytest.mark.real)])
async def bench(request, tmp_path):
    real_one = request.param == "libvirt"
    one = real.LibvirtBench(request.getfixturevalue("real_machine")) if real_one else FakeBench(tmp_path)
    await one.open()
    yield one
    for patience in range(50, -1, -1):
        try:
            await one.close()
            break
        except Transient:  # a story killed the daemon, which is coming back
            if not patience:
                raise
            await asyncio.sleep(0.2)
