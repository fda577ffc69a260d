"""What the machine is: read from libvirt's descriptions and the file system, told as a HostInventory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import os_traits

from kilonova.compute.virt.driver import HostInventory
from kilonova.compute.virt.libvirt.domain_xml import HostChoices

_TRAITS = frozenset(
    {
        "COMPUTE_IMAGE_TYPE_QCOW2",
        "COMPUTE_IMAGE_TYPE_RAW",
        "COMPUTE_NET_ATTACH_INTERFACE",
        "COMPUTE_NET_VIF_MODEL_VIRTIO",
        "COMPUTE_NET_VIF_MODEL_E1000",
        "COMPUTE_NET_VIF_MODEL_E1000E",
        "COMPUTE_NET_VIF_MODEL_RTL8139",
        "COMPUTE_NET_VIF_MODEL_VMXNET3",
        "COMPUTE_NET_VIF_MODEL_NE2K_PCI",
        "COMPUTE_STORAGE_BUS_VIRTIO",
        "COMPUTE_STORAGE_BUS_SCSI",
        "COMPUTE_STORAGE_BUS_IDE",
        "COMPUTE_STORAGE_BUS_SATA",
        "COMPUTE_STORAGE_BUS_USB",
        "COMPUTE_GRAPHICS_MODEL_VIRTIO",
        "COMPUTE_GRAPHICS_MODEL_VGA",
        "COMPUTE_GRAPHICS_MODEL_CIRRUS",
    }
)

_KNOWN_TRAITS = frozenset(os_traits.get_traits())


def inventory(connection: Any, host: HostChoices, hostname: str, disks: Path) -> HostInventory:
    """Blocking. `disks` is the folder that the guests' disks are in."""
    capabilities = fromstring(connection.getCapabilities())  # noqa: S314 - libvirt's own description
    total_mib, available_mib = _memory_mib()
    space = os.statvfs(disks)
    return HostInventory(
        hostname=hostname,
        hypervisor_type=connection.getType(),
        hypervisor_version=connection.getVersion(),
        vcpus=os.cpu_count() or 1,
        ram_mib=total_mib,
        ram_used_mib=total_mib - available_mib,
        disk_gib=space.f_blocks * space.f_frsize >> 30,
        disk_used_gib=(space.f_blocks - space.f_bfree) * space.f_frsize >> 30,
        cpu_info=_cpu_info(capabilities),
        supported=_supported(capabilities, host),
        traits=_TRAITS | _firmware_traits(host) | _cpu_traits(connection, host),
        uptime_s=float(Path("/proc/uptime").read_text().split()[0]),
    )


def _memory_mib() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
    return kib["MemTotal"] >> 10, kib["MemAvailable"] >> 10


def _cpu_info(capabilities: Element) -> dict[str, object]:
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return {"arch": os.uname().machine}
    topology = cpu.find("topology")
    cells = capabilities.findall("host/topology/cells/cell")
    shape = {
        name: int(topology.get(name, "1")) if topology is not None else 1 for name in ("sockets", "cores", "threads")
    }
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "topology": {"cells": max(1, len(cells)), **shape},
        "features": sorted(feature.get("name", "") for feature in cpu.findall("feature")),
    }


def _supported(capabilities: Element, host: HostChoices) -> tuple[tuple[str, str, str], ...]:
    """One row for each architecture that guests can have with the accelerator in use."""
    found = set()
    for guest in capabilities.findall("guest"):
        for arch in guest.findall("arch"):
            kinds = {domain.get("type") for domain in arch.findall("domain")}
            if host.virt_type in kinds and arch.get("name") == host.arch:
                found.add((host.arch, host.virt_type, guest.findtext("os_type", "hvm")))
    return tuple(sorted(found))


def _firmware_traits(host: HostChoices) -> frozenset[str]:
    return frozenset({"COMPUTE_SECURITY_UEFI_SECURE_BOOT"} if host.secure_boot is not None else ())


def _cpu_traits(connection: Any, host: HostChoices) -> frozenset[str]:
    """What guests get of the processor, not what the machine has: emulation with no model chosen offers little."""
    mode = host.cpu_mode or ("host-model" if host.virt_type == "kvm" else "none")
    if mode not in ("host-model", "host-passthrough"):
        return frozenset()
    text = connection.getDomainCapabilities(host.emulator, host.arch, "pc", host.virt_type)
    model = fromstring(text).find("cpu/mode[@name='host-model']")  # noqa: S314
    features = [] if model is None else model.findall("feature[@policy='require']")
    names = {f"HW_CPU_X86_{f.get('name', '').upper().replace('-', '_').replace('.', '')}" for f in features}
    return frozenset(names & _KNOWN_TRAITS)
