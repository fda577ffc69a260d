"""What `kilonova doctor` looks at, joined from the rooms that know it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from kilonova.allinone.config import Settings
from kilonova.allinone.databases import SERVICES, migrations, url
from kilonova.allinone.state_dir import StateDir
from kilonova.kernel.findings import Finding

_EMULATOR = "/usr/bin/qemu-system-x86_64"
_ROOM_GIB = 5


async def check_up(conf: Any, settings: Settings, state: StateDir) -> list[Finding]:
    """Everything this host needs for the cloud that the options describe; changes nothing."""
    found = [*_state(state), *_schemas(conf, state)]
    if settings.hypervisor == "fake":
        found.append(Finding("hypervisor", True, "simulated guests, as compute.hypervisor=fake asks"))
        return found
    found += [*_packages(), *_network()]
    found.append(await _acceleration())
    return found


def _state(state: StateDir) -> Iterator[Finding]:
    folder = next(p for p in (state.root, *state.root.parents) if p.exists())
    free = shutil.disk_usage(folder).free / 2**30
    remedy = f"free some space, or give a --state-dir with at least {_ROOM_GIB} GiB"
    yield Finding("room for images and disks", free >= _ROOM_GIB, f"{free:.0f} GiB free in {folder}", remedy, False)
    pid = state.running_pid()
    yield Finding("cloud", pid is not None, f"process {pid}" if pid else "not up", "kilonova up --detach", False)


def _schemas(conf: Any, state: StateDir) -> Iterator[Finding]:
    from kilonova.kernel.db.schema import head, revision

    for service in SERVICES:
        now, wanted = revision(url(conf, state, service)), head(migrations(service))
        if now is not None:
            detail = f"revision {now}, newest {wanted}"
            yield Finding(f"schema of {service}", now == wanted, detail, "kilonova db upgrade", False)


def _packages() -> Iterator[Finding]:
    tools = {
        _EMULATOR: "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "libvirtd": "libvirt-daemon",
        "ssh": "openssh-client",
        "mkfs.vfat": "dosfstools",
        "mcopy": "mtools",
    }
    for tool, package in tools.items():
        there = shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None
        yield Finding(tool, there, "" if there else "not installed", f"apt-get install {package}", tool != "ssh")
    try:
        from kilonova.compute.virt.libvirt import connection  # noqa: F401 (whether it can be imported is the question)

        yield Finding("libvirt-python", True, version("libvirt-python"))
    except ImportError:
        remedy = "apt-get install libvirt-dev pkg-config gcc python3-dev, then: pip install libvirt-python"
        yield Finding("libvirt-python", False, "not installed", remedy)


def _network() -> Iterator[Finding]:
    from kilonova.network.agent.doctor import findings

    problems = findings()
    for one in problems:
        yield Finding("network", False, one.what, one.remedy, one.hinders)
    if not any(one.hinders for one in problems):
        yield Finding("OVN and Open vSwitch", True)


async def _acceleration() -> Finding:
    from kilonova.compute.virt.libvirt.probe import probe

    verdict = await probe("kvm", _EMULATOR)
    remedy = "enable virtualisation in the firmware or the outer hypervisor; until then guests run in QEMU's emulation"
    return Finding("KVM", verdict.usable, verdict.why, remedy, needed=False)
