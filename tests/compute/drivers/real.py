"""A machine for real guests: its own state directory, network namespace, Open vSwitch and libvirt daemon.

Made once a test run; ends with all its processes. Nothing of the machine itself is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

from kilonova.compute.virt.driver import BackingImage, DiskSpec, GuestSpec, NicSpec
from kilonova.kernel.ovsdb import Ovs
from kilonova.kernel.process import ChildSpec, Supervisor, running_in, stop_process
from tests.compute.drivers import make

BRIDGE = "br-int"


def missing() -> str | None:
    """Why real guests cannot be run here; None when they can."""
    if os.geteuid() != 0:
        return "namespaces and taps need root"
    if importlib.util.find_spec("libvirt") is None:
        return "libvirt-python is not installed"
    for program in ("libvirtd", "qemu-system-x86_64", "qemu-img", "ovs-vswitchd", "ovsdb-server", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    return None


@dataclass(frozen=True, slots=True)
class Image:
    path: Path
    kernel: Path
    ramdisk: Path
    kernel_args: str


def build_image(folder: Path) -> Image:
    """The guest image, as `kilonova image build` makes it."""
    from kilonova.guest_image.builder import build

    kept = os.environ.get("KILONOVA_TEST_IMAGE_DIR")
    built = build(folder / "guest.qcow2", Path(kept) if kept else folder / "packages", lambda line: None)
    return Image(built.path, built.kernel, built.initramfs, f"console=ttyS0 {built.cmdline}")


class RealMachine:
    def __init__(self, root: Path, name: str = "one"):
        self.root = root
        self.netns = f"kilo-test-{os.getpid()}-{name}"
        self.ovs_connection = f"unix:{root}/ovs/db.sock"
        self._image: Image | None = None

    def image(self) -> Image:
        if self._image is None:
            self._image = build_image(self.root / "image")
        return self._image

    async def up(self) -> None:
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)
        folder = self.root / "ovs"
        folder.mkdir(parents=True)
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        subprocess.run(["ovsdb-tool", "create", folder / "conf.db", schema], check=True)
        supervisor = Supervisor()
        socket = folder / "db.sock"
        env = (("OVS_RUNDIR", str(folder)), ("OVS_DBDIR", str(folder)), ("OVS_LOGDIR", str(folder)))
        common: dict[str, Any] = {"run_dir": self.root / "run", "netns": self.netns, "env": env}
        await supervisor.ensure(
            ChildSpec(
                name="ovsdb",
                argv=("ovsdb-server", f"--remote=punix:{socket}", "--no-chdir", str(folder / "conf.db")),
                log_path=folder / "ovsdb.log",
                ready=socket,
                **common,
            )
        )
        ovs = await Ovs.connect(self.ovs_connection)
        await ovs.configure({}, {})
        await supervisor.ensure(
            ChildSpec(
                name="vswitchd",
                argv=("ovs-vswitchd", "--disable-system", f"unix:{socket}"),
                log_path=folder / "vswitchd.log",
                **common,
            )
        )
        await ovs.add_bridge(BRIDGE, {"datapath_type": "netdev"})
        await ovs.aclose()
        await supervisor.aclose()

    async def down(self) -> None:
        for pid_file in (self.root / "state/libvirt/run/qemu").glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid_file.read_text()), 9)
        for one in running_in(self.root / "run"):
            await stop_process(one, 5)
        subprocess.run(["ip", "netns", "del", self.netns], check=False)


class LibvirtBench:
    def __init__(self, machine: RealMachine):
        self.machine = machine
        self.driver = self._make()
        self.supervisor: Supervisor

    def _make(self) -> Any:
        from kilonova.compute.virt.libvirt.config import Settings
        from kilonova.compute.virt.libvirt.driver import LibvirtDriver
        from kilonova.compute.virt.vif import OvsVifs

        self.supervisor = Supervisor()
        return LibvirtDriver(
            Settings(virt_type="qemu"),
            cloud="test",
            directory=self.machine.root / "guests",
            state_dir=self.machine.root / "state",
            run_dir=self.machine.root / "run",
            supervisor=self.supervisor,
            vifs=OvsVifs(self.machine.ovs_connection, self.machine.netns),
            netns=self.machine.netns,
        )

    async def open(self) -> None:
        await self.driver.open()

    async def close(self) -> None:
        for guest in await self.driver.list_guests():
            await self.driver.destroy(guest.uuid)
        await self.driver.close()
        await self.supervisor.aclose()

    async def restart(self) -> None:
        await self.driver.close()
        await self.supervisor.aclose()
        self.driver = self._make()
        await self.driver.open()

    def spec(self, number: int = 1, **fields: Any) -> GuestSpec:
        return make.spec(self.driver, number, **fields)

    async def booted(self) -> GuestSpec:
        """A guest with a system that has come up to its login prompt."""
        spec = self.system()
        await self.driver.spawn(spec)
        await self.until_login(spec.uuid)
        return spec

    def system(self, **fields: Any) -> GuestSpec:
        image = self.machine.image()
        base = self.spec()
        disk = DiskSpec(base.disks[0].path, "qcow2", 1 << 30, BackingImage(str(image.path), "qcow2"), boot_order=1)
        direct = {"kernel": str(image.kernel), "ramdisk": str(image.ramdisk), "kernel_args": image.kernel_args}
        return make.spec(self.driver, **{"uuid": base.uuid, "disks": (disk,), **direct, **fields})

    async def until_login(self, uuid: str, timeout_s: float = 90) -> None:
        deadline = time.monotonic() + timeout_s
        while b"login:" not in (log := await self.driver.console_log(uuid, last_bytes=1 << 16)):
            assert time.monotonic() < deadline, log[-500:]
            await asyncio.sleep(0.1)

    async def deaf(self) -> GuestSpec:
        """A guest with nothing to boot hears no power button."""
        spec = self.spec()
        await self.driver.spawn(spec)
        return spec

    async def incarnation(self, uuid: str) -> object:
        """The pid of its QEMU."""
        state = await self.driver.guest_state(uuid)
        return (self.machine.root / f"state/libvirt/run/qemu/{state.name}.pid").read_text()

    async def guest_stops_by_itself(self, uuid: str) -> None:
        import libvirt_qemu

        def quit_qemu(connection: Any) -> None:
            libvirt_qemu.qemuMonitorCommand(connection.lookupByUUIDString(uuid), '{"execute": "quit"}', 0)

        with contextlib.suppress(Exception):  # it may be gone before it answers
            await self.driver._open.change(quit_qemu)

    def volume(self, spec: GuestSpec) -> DiskSpec:
        path = self.machine.root / f"volume-{spec.uuid}"
        path.write_bytes(b"")
        os.truncate(path, 8 << 20)
        return DiskSpec(path=str(path), format="raw", owned=False, serial="vol-1")

    async def xml(self, uuid: str) -> Any:
        return fromstring(await self.driver._open.ask(lambda c: c.lookupByUUIDString(uuid).XMLDesc(0)))

    async def has_disk(self, uuid: str, disk: DiskSpec) -> bool:
        found = {source.get("file") for source in (await self.xml(uuid)).findall("devices/disk/source")}
        return disk.path in found

    async def has_nic(self, uuid: str, nic: NicSpec) -> bool:
        """The guest has it, and the switch has it with what the network asks for; or neither."""
        macs = {mac.get("address") for mac in (await self.xml(uuid)).findall("devices/interface/mac")}
        ovs = await Ovs.connect(self.machine.ovs_connection)
        row = (await ovs.ports(BRIDGE)).get(nic.tap)
        await ovs.aclose()
        plugged = row is not None and row["external_ids"] == {
            "iface-id": nic.port_id,
            "iface-status": "active",
            "attached-mac": nic.mac,
            "vm-uuid": uuid,
        }
        assert (nic.mac in macs) == plugged
        return plugged

    def leftovers(self, spec: GuestSpec) -> list[str]:
        """Files, taps and ports with the guest's name, uuid or port in them."""
        words = [spec.uuid, spec.name, *(nic.tap for nic in spec.nics)]
        folders = (self.machine.root / "guests", self.machine.root / "state")
        found = [str(path) for folder in folders for path in folder.rglob("*") if any(w in path.name for w in words)]
        links = subprocess.run(["ip", "-n", self.machine.netns, "link"], capture_output=True, text=True, check=True)
        ports = subprocess.run(
            ["ovs-vsctl", f"--db={self.machine.ovs_connection}", "list-ports", BRIDGE],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return found + [word for word in words if word in links.stdout + ports.stdout]
