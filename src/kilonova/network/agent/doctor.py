"""What a host lacks for networking, and the exact remedy. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kilonova.network.agent.daemons import OVN_SCHEMAS, OVS_SCHEMA
from kilonova.network.agent.probe import has_kernel_datapath, missing_binaries

PACKAGES = {
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "ovn-northd": "ovn-central",
    "ovn-controller": "ovn-host",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`hinders`: without the remedy there is no network; otherwise it is only slower or smaller."""

    what: str
    remedy: str
    hinders: bool = True


def findings() -> list[Finding]:
    """Everything that is not as it should be; empty when all is well."""
    return [*_packages(), *_rights(), *_datapath()]


def _packages() -> Iterator[Finding]:
    missing = missing_binaries(tuple(PACKAGES))
    packages = sorted({PACKAGES[name] for name in missing})
    if missing:
        yield Finding(f"{', '.join(missing)} not installed", f"apt-get install {' '.join(packages)}")
        return
    for schema in (OVS_SCHEMA, OVN_SCHEMAS / "ovn-nb.ovsschema", OVN_SCHEMAS / "ovn-sb.ovsschema"):
        if not schema.exists():
            yield Finding(f"{schema} is missing", "apt-get install --reinstall openvswitch-common ovn-common")


def _rights() -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding("network namespaces and taps need root", "run as root, or set HYPERVISOR=fake")
    elif not Path("/dev/net/tun").exists():
        yield Finding("/dev/net/tun is missing", "modprobe tun")


def _datapath() -> Iterator[Finding]:
    if not has_kernel_datapath():
        yield Finding(
            "the kernel has no Open vSwitch datapath: packets are switched in userspace, at some Gbit/s",
            "use a kernel with the module openvswitch, where that matters",
            hinders=False,
        )
