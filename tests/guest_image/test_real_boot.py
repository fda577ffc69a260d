"""The image boots under QEMU's own processor: to a login without any network, and with a config drive."""

import io
import json
import os
import re
import selectors
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pycdlib
import pytest

from kilonova.guest_image import BuiltImage

pytestmark = pytest.mark.real
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake someone"


class Console:
    """A guest's serial console: `type` a line, `wait_for` a pattern."""

    def __init__(self, process: "subprocess.Popen[bytes]", monitor: Path) -> None:
        self.process, self.monitor, self.text = process, monitor, ""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self.ready = selectors.DefaultSelector()
        self.ready.register(process.stdout, selectors.EVENT_READ)

    def wait_for(self, pattern: str, limit_s: float = 120) -> "re.Match[str]":
        end = time.monotonic() + limit_s
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"no {pattern!r} within {limit_s} s in: {self.text[-1500:]}"
            if self.ready.select(timeout=1):
                more = self.process.stdout.read()  # type: ignore[union-attr]
                assert more, f"the guest ended without {pattern!r}: {self.text[-1500:]}"
                self.text += more.decode(errors="replace").replace("\r", "")
        self.text = self.text[found.end() :]
        return found

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command: str) -> str:
        """What a command prints."""
        self.type(f"{command}; echo ==end==")
        return self.wait_for(r"(?s)(.*?)==end==\n")[1].strip()

    def log_in(self) -> None:
        self.type("")  # the prompt may already have gone by
        self.wait_for("login: ")
        self.type("kilo")
        self.wait_for("Password: ")
        self.type("kilonova")
        self.wait_for(r"\$ ")
        self.type("stty -echo; PS1=; echo qui''et")
        self.wait_for("quiet\n")

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.monitor))
            line.recv(65536)  # the greeting
            for order in ("qmp_capabilities", "system_powerdown"):
                line.sendall(json.dumps({"execute": order}).encode() + b"\n")
                line.recv(65536)


@contextmanager
def booted(built: BuiltImage, folder: Path, *extra: str) -> Iterator[Console]:
    overlay, monitor = folder / "disk.qcow2", folder / "monitor"
    if not overlay.exists():
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", built.path, overlay, "1G"], check=True
        )
    process = subprocess.Popen(
        [
            "qemu-system-x86_64",
            "-machine",
            "pc,accel=tcg",
            "-m",
            "128",
            "-nodefaults",
            "-nographic",
            "-nic",
            "none",
            "-drive",
            f"file={overlay},if=virtio,format=qcow2",
            "-serial",
            "stdio",
            "-qmp",
            f"unix:{monitor},server=on,wait=off",
            *extra,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Console(process, monitor)
    finally:
        process.kill()
        process.wait()


def config_drive(path: Path, instance_id: str, user_data: bytes) -> Path:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    for number, folder in enumerate(("/openstack", "/openstack/latest")):
        iso.add_directory("/D0" if number == 0 else "/D0/D1", rr_name=folder.rsplit("/", 1)[1], joliet_path=folder)
    meta = {"uuid": instance_id, "hostname": "tiny.novalocal", "public_keys": {"mine": KEY}}
    for number, (name, data) in enumerate((("meta_data.json", json.dumps(meta).encode()), ("user_data", user_data))):
        iso.add_fp(
            io.BytesIO(data), len(data), f"/D0/D1/F{number}.;1", rr_name=name, joliet_path=f"/openstack/latest/{name}"
        )
    iso.write(str(path))
    iso.close()
    return path


def test_the_image_is_small_and_boots_to_a_login_without_a_network(built: BuiltImage, tmp_path: Path) -> None:
    assert built.size_bytes < 40e6
    with booted(built, tmp_path) as console:
        console.log_in()
        assert "uid=0" in console.ask("sudo id")
        blocks = int(console.ask("df -m / | awk 'NR==2{print $2}'"))
        assert blocks > 850, "the root file system fills the 1 GiB disk"
        console.press_power_button()
        assert console.process.wait(timeout=60) == 0


def test_a_config_drive_gives_name_keys_and_user_data_once(built: BuiltImage, tmp_path: Path) -> None:
    script = b"#!/bin/sh\necho ran >> /var/lib/ran\n"
    drive = config_drive(tmp_path / "config.iso", "11111111-aaaa", script)
    cdrom = ("-drive", f"file={drive},if=ide,media=cdrom,format=raw")
    with booted(built, tmp_path, *cdrom) as console:
        console.wait_for(r"source=configdrive:\S+ instance=11111111-aaaa keys=1")
        console.log_in()
        assert console.ask("hostname") == "tiny"
        assert console.ask("cat .ssh/authorized_keys") == KEY
        assert console.ask("cat /var/lib/ran") == "ran"
        console.press_power_button()
        assert console.process.wait(timeout=60) == 0
    config_drive(drive, "11111111-aaaa", script)
    with booted(built, tmp_path, *cdrom) as console:
        console.wait_for(r"source=configdrive:\S+ instance=11111111-aaaa keys=1")
        console.log_in()
        assert console.ask("cat /var/lib/ran") == "ran"


def test_cloud_config_user_data_is_followed(built: BuiltImage, tmp_path: Path) -> None:
    config = b"""#cloud-config
hostname: renamed
write_files:
  - path: /opt/hello
    permissions: '0640'
    content: |
      it's "here"
runcmd:
  - [sh, -c, "echo one, two > /opt/ran"]
packages: [nginx]
"""
    drive = config_drive(tmp_path / "config.iso", "22222222-bbbb", config)
    with booted(built, tmp_path, "-drive", f"file={drive},if=ide,media=cdrom,format=raw") as console:
        console.wait_for("not understood, skipped: packages")
        console.wait_for("instance=22222222-bbbb")
        console.log_in()
        assert console.ask("hostname") == "renamed"
        assert console.ask("sudo cat /opt/hello /opt/ran") == 'it\'s "here"\none, two'
        assert console.ask("stat -c %a /opt/hello") == "640"
