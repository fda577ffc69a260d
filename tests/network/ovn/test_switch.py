"""Ports and bridges in Open vSwitch's own database, with nobody there to switch."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kilonova.kernel.ovsdb import Ovs
from kilonova.kernel.ovsdb.switch import NoBridge

pytestmark = pytest.mark.real
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[str]:
    if shutil.which("ovsdb-server") is None or not SCHEMA.exists():
        pytest.skip("needs Open vSwitch's database: apt-get install openvswitch-switch")
    subprocess.run(["ovsdb-tool", "create", str(tmp_path / "db"), str(SCHEMA)], check=True)
    command = ["ovsdb-server", f"--remote=punix:{tmp_path}/s", f"--unixctl={tmp_path}/c", str(tmp_path / "db")]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while not (tmp_path / "s").exists() and server.poll() is None:
        pass
    yield f"unix:{tmp_path}/s"
    server.kill()
    server.wait()


@pytest.fixture
async def ovs(remote: str) -> AsyncIterator[Ovs]:
    ovs = await Ovs.connect(remote)
    await ovs.configure({"system-id": "host-1"}, {})
    for name in ("br-int", "br-ex"):
        await ovs.add_bridge(name, {"datapath_type": "netdev"})
    yield ovs
    await ovs.aclose()


async def test_plugging_and_unplugging_may_be_repeated(ovs: Ovs) -> None:
    for _ in range(2):
        await ovs.add_port("br-int", "tap1", {"iface-id": "port-1"}, mtu=1442)
    assert (await ovs.ports("br-int"))["tap1"]["external_ids"] == {"iface-id": "port-1"}
    for _ in range(2):
        await ovs.del_port("tap1")
    assert set(await ovs.ports("br-int")) == {"br-int"}


async def test_plugging_again_for_another_port_replaces_the_ids(ovs: Ovs) -> None:
    await ovs.add_port("br-int", "tap1", {"iface-id": "port-1", "vm-uuid": "v"})
    await ovs.add_port("br-int", "tap1", {"iface-id": "port-2"})
    assert (await ovs.ports("br-int"))["tap1"]["external_ids"] == {"iface-id": "port-2"}


async def test_a_port_moves_to_the_bridge_it_is_asked_for(ovs: Ovs) -> None:
    await ovs.add_port("br-ex", "tap1")
    await ovs.add_port("br-int", "tap1")
    assert "tap1" in await ovs.ports("br-int")
    assert "tap1" not in await ovs.ports("br-ex")


async def test_without_its_bridge_a_port_is_refused_with_the_reason(ovs: Ovs) -> None:
    with pytest.raises(NoBridge, match="br-none"):
        await ovs.add_port("br-none", "tap1")


async def test_settings_are_changed_and_others_stay(ovs: Ovs, remote: str) -> None:
    await ovs.configure({"ovn-remote": "a"}, {"x": "y"})
    await ovs.configure({"ovn-remote": "b"}, {})
    (row,) = (await ovs._select(("Open_vSwitch", [], ["external_ids", "other_config"])))[0]
    assert row == {"external_ids": {"system-id": "host-1", "ovn-remote": "b"}, "other_config": {"x": "y"}}


async def test_bridges_come_and_go(ovs: Ovs) -> None:
    await ovs.add_bridge("br-ex", {"datapath_type": "system"})
    for _ in range(2):
        await ovs.del_bridge("br-ex")
    assert await ovs.ports("br-ex") == {}
