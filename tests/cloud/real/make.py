"""A cloud with real guests, started and ended by the product's own commands, and what a story does with it.

Nothing here knows the product's insides: the cloud is asked through its public API (openstacksdk), its guests over SSH
from the cloud's own outside, and the machine by what any operator would look at: processes, namespaces, links, files.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import openstack
from openstack.config import OpenStackConfig
from openstack.connection import Connection

T = TypeVar("T")

GATEWAY = "172.24.4.1"  # the address of the outside on the provider network
BOOT_S = 120.0
PROGRAMS = (
    "libvirtd",
    "qemu-system-x86_64",
    "ovsdb-server",
    "ovs-vswitchd",
    "ovn-northd",
    "ovn-controller",
    "ssh",
    "ip",
)


def missing() -> str | None:
    """Why no cloud with real guests can run here; None when it can."""
    if os.geteuid() != 0:
        return "namespaces and taps need root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    search = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [program for program in PROGRAMS if shutil.which(program, path=search) is None]
    if absent:
        return f"{', '.join(absent)} not installed (scripts/install-deps real)"
    try:
        import libvirt  # noqa: F401
    except ImportError:
        return "libvirt-python is not installed"
    from kilonova.guest_image.host_tools import missing_packages

    lacking = missing_packages()
    return f"the guest image cannot be built without {' '.join(lacking)}" if lacking else None


def until(found: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """What ``found`` gives as soon as it is true; other processes work, so no clock could be turned here."""
    end = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < end, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.2)
    return value


class RealCloud:
    """One cloud under ``root``, a short path: libvirt's sockets are in it."""

    def __init__(self, root: Path, netns: str):
        self.state, self.home, self.netns = root / "s", root / "home", netns
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.outside = f"{netns}-outside"

    # --- the product's commands

    def kilonova(self, *words: str, timeout_s: float = 300) -> str:
        """What ``kilonova WORDS`` prints; it must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "kilonova.cli", "--state-dir", str(self.state), *words],
            env={**os.environ, "XDG_CONFIG_HOME": str(self.home), "COLUMNS": "300"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"kilonova {' '.join(words)}: {done.stdout}{done.stderr}\n{self.log()[-4000:]}"
        return done.stdout

    def up(self) -> str:
        return self.kilonova(
            "--set", f"DEFAULT.api_port={self.port}", "--set", f"ovn.dataplane_netns={self.netns}", "up", "--detach"
        )

    def demo(self) -> str:
        return self.kilonova("demo")

    def down(self, *options: str) -> str:
        return self.kilonova("down", *options)

    def log(self) -> str:
        return (self.state / "kilonova.log").read_text() if (self.state / "kilonova.log").exists() else ""

    @property
    def pid(self) -> int:
        """The process that runs the cloud."""
        return int((self.state / "kilonova.pid").read_text())

    def end(self, number: signal.Signals) -> None:
        """Send the cloud's process a signal that ends it, and wait until it is gone."""
        pid = self.pid
        os.kill(pid, number)
        until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in _status(pid), f"the end of process {pid}", 60)

    # --- its users

    def connect(self, name: str = "kilonova") -> Connection:
        """openstacksdk with one of the two clouds that ``kilonova up`` wrote into clouds.yaml."""
        config = OpenStackConfig(config_files=[str(self.home / "openstack" / "clouds.yaml")], load_envvars=False)
        return Connection(config=config.get_one(cloud=name))

    def guest(self, user: Connection, name: str) -> Guest:
        """A server that has a floating IP, as one who can log in sees it."""
        server = user.compute.find_server(name, ignore_missing=False)
        server = user.compute.get_server(server.id)
        found = [a for addresses in server.addresses.values() for a in addresses]
        fixed, *_ = (a["addr"] for a in found if a["OS-EXT-IPS:type"] == "fixed")
        floating, *_ = (a["addr"] for a in found if a["OS-EXT-IPS:type"] == "floating")
        return Guest(self, server.id, name, fixed, floating)

    # --- the world around it

    def from_outside(self, *words: str) -> list[str]:
        """The command line that runs ``words`` in the cloud's outside."""
        return ["nsenter", f"--net=/run/netns/{self.outside}", *words]

    def answers_ping(self, address: str) -> bool:
        """Whether one ping from the outside comes back."""
        return not subprocess.run(
            self.from_outside("ping", "-c", "1", "-W", "1", address), stdout=subprocess.DEVNULL, check=False
        ).returncode

    def opens(self, address: str, port: int, timeout_s: float = 2) -> bool:
        """Whether a TCP connection from the outside is taken."""
        with self.socket_outside(socket.SOCK_STREAM) as one:
            one.settimeout(timeout_s)
            return one.connect_ex((address, port)) == 0

    def socket_outside(self, kind: socket.SocketKind) -> socket.socket:
        """A socket of the outside, for this process. A socket stays in the namespace it was made in."""
        here, there = (
            os.open("/proc/thread-self/ns/net", os.O_RDONLY),
            os.open(f"/run/netns/{self.outside}", os.O_RDONLY),
        )
        try:
            _enter(there)
            try:
                return socket.socket(socket.AF_INET, kind)
            finally:
                _enter(here)
        finally:
            os.close(here)
            os.close(there)

    # --- what is there on the machine

    def processes(self, word: str = "") -> list[str]:
        """Command lines that name this cloud's directory, and ``word`` when it is given."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.state) in line and word in line and folder.name != str(os.getpid()):
                found.append(f"{folder.name}: {line}")
        return found

    def namespaces(self) -> list[str]:
        return [path.name for path in Path("/run/netns").glob(f"{self.netns}*")]

    def taps(self) -> str:
        """The links of the namespace that carries the traffic, as text."""
        return subprocess.run(["ip", "-n", self.netns, "link"], capture_output=True, text=True, check=True).stdout

    def files(self, *words: str) -> list[str]:
        """Files and folders of guests whose path has one of the words."""
        rooms = ("guests", "libvirt", "run", "agent")
        found = (str(path.relative_to(self.state)) for room in rooms for path in (self.state / room).rglob("*"))
        return [path for path in found if any(word in path for word in words)]


@dataclass(frozen=True)
class Guest:
    """A running server with a shell. ``address``: its floating IP; ``fixed``: the one it knows itself."""

    cloud: RealCloud
    id: str
    name: str
    fixed: str
    address: str

    def ssh(self, command: str) -> list[str]:
        """The command line that runs ``command`` in the guest, from the outside."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=3",
                   "BatchMode=yes", "ServerAliveInterval=5")  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        key = str(self.cloud.state / "demo" / "id_ed25519")
        return self.cloud.from_outside("ssh", "-i", key, *words, f"kilo@{self.address}", command)

    def run(self, command: str, timeout_s: float = 60) -> str:
        """What a shell command prints in the guest; it must succeed."""
        code, out = self.tried(command, timeout_s)
        assert code == 0, f"{self.name}: {command}: status {code}: {out}"
        return out

    def tried(self, command: str, timeout_s: float = 60) -> tuple[int, str]:
        """The status of a shell command in the guest, and what it prints."""
        done = subprocess.run(
            self.ssh(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.strip()

    def up(self, timeout_s: float = BOOT_S) -> Guest:
        """Wait until it answers over SSH."""
        end = time.monotonic() + timeout_s
        while (last := self.tried("true"))[0] != 0:
            assert time.monotonic() < end, f"no shell in {self.name} at {self.address}: {last[1]}\n{self._console()}"
        return self

    def _console(self) -> str:
        with self.cloud.connect() as user:
            return str(user.compute.get_server_console_output(self.id, length=30)["output"])

    @property
    def boot_id(self) -> str:
        """Another one after each boot."""
        return self.run("cat /proc/sys/kernel/random/boot_id")

    def json(self, url: str) -> Any:
        """What the guest gets from a URL."""
        return json.loads(self.run(f"wget -q -O - {url}"))


def has_ended(user: Connection, server_id: str) -> bool:
    """Whether the API knows the server no more."""
    try:
        user.compute.get_server(server_id)
    except openstack.exceptions.NotFoundException:
        return True
    return False


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"


def _enter(namespace: int) -> None:
    """For this thread alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
