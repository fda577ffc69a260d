"""libvirt's XML for a guest and its devices, from plain values. Pure: no connection, no file is looked at.

Built as a tree and never as text, so a title with a `<` in it is a title. What differs by host (accelerator, processor,
firmware files, where sockets go) comes in `HostChoices`.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from kilonova.compute.virt.driver import BackingImage, DiskSpec, GuestSpec, NicSpec
from kilonova.compute.virt.libvirt.console_logs import NAME as CONSOLE_LOG

NAMESPACE = "https://kilonova.dev/xmlns/guest/1"
"""Of the metadata that marks a domain as one of ours."""

_DEVICE_LETTERS = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """A UEFI build: its code, and the template of its variables."""

    code: str
    variables: str


@dataclass(frozen=True, slots=True)
class HostChoices:
    """What this host is configured for, the same for all its guests. `consoles` is a folder, as QEMU names it."""

    cloud: str
    virt_type: Literal["kvm", "qemu"]
    emulator: str
    consoles: str
    arch: str = "x86_64"
    cpu_mode: str | None = None
    cpu_models: tuple[str, ...] = ()
    machine: str | None = None
    uefi: Firmware | None = None
    secure_boot: Firmware | None = None
    pcie_ports: int = 8
    tb_cache_mib: int = 32
    rng_path: str = "/dev/urandom"
    memory_stats_period_s: int = 10

    def machine_of(self, spec: GuestSpec) -> str:
        return spec.machine or self.machine or ("q35" if spec.firmware == "uefi" else "pc")


def domain(spec: GuestSpec, host: HostChoices, guest_dir: Path) -> str:
    """The whole definition of a guest."""
    machine = host.machine_of(spec)
    root = Element("domain", type=host.virt_type)
    _text(root, "name", spec.name)
    _text(root, "uuid", spec.uuid)
    if title := _one_line(spec.title):
        _text(root, "title", title)
    _metadata(root, spec, host)
    _text(root, "memory", str(spec.ram_mib), unit="MiB")
    _text(root, "vcpu", str(spec.vcpus), placement="static")
    _sysinfo(root, spec)
    _os(root, spec, host, machine, guest_dir)
    _features(root, spec, host)
    _cpu(root, spec, host)
    _clock(root, host)
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(root, event, action)
    devices = SubElement(root, "devices")
    _text(devices, "emulator", host.emulator)
    _disks(devices, spec, machine)
    for interface in spec.nics:
        devices.append(_nic(interface))
    _controllers(devices, spec, host, machine)
    _consoles(devices, spec, host, guest_dir)
    _small_devices(devices, spec, host)
    return tostring(root, encoding="unicode")


def nic(spec: NicSpec) -> str:
    """One interface, for attaching to a guest that exists."""
    return tostring(_nic(spec), encoding="unicode")


def disk(spec: DiskSpec, target: str) -> str:
    """One disk, for attaching; `target` as `vdb`."""
    return tostring(_disk(spec, target), encoding="unicode")


def free_target(bus: str, taken: Iterable[str]) -> str:
    """The first free device name of a bus: `vda`, `vdb` ..."""
    names, used = _target_names(_DEVICE_LETTERS[bus]), set(taken)
    return next(name for name in names if name not in used)


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    child = SubElement(parent, tag, attributes)
    child.text = text
    return child


def _one_line(text: str) -> str:
    """libvirt refuses a title with line breaks, and XML has no control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _metadata(root: Element, spec: GuestSpec, host: HostChoices) -> None:
    guest = SubElement(SubElement(root, "metadata"), f"{{{NAMESPACE}}}guest", cloud=host.cloud)
    for key, value in spec.labels:
        SubElement(guest, f"{{{NAMESPACE}}}label", key=_one_line(key), value=_one_line(value))


def _sysinfo(root: Element, spec: GuestSpec) -> None:
    """What the guest reads from its DMI tables; cloud-init knows the product's name as an OpenStack cloud."""
    system = SubElement(SubElement(root, "sysinfo", type="smbios"), "system")
    entries = {
        "manufacturer": "Kilonova",
        "product": "OpenStack Compute",
        "serial": spec.uuid,
        "uuid": spec.uuid,
        "family": "Virtual Machine",
    }
    for name, value in entries.items():
        _text(system, "entry", value, name=name)


def _os(root: Element, spec: GuestSpec, host: HostChoices, machine: str, guest_dir: Path) -> None:
    system = SubElement(root, "os")
    _text(system, "type", "hvm", arch=host.arch, machine=machine)
    firmware = host.secure_boot if spec.secure_boot else host.uefi
    if spec.firmware == "uefi" and firmware is not None:
        secure = {"secure": "yes"} if spec.secure_boot else {}
        _text(system, "loader", firmware.code, readonly="yes", type="pflash", **secure)
        _text(system, "nvram", str(guest_dir / "nvram.fd"), template=firmware.variables)
    if spec.kernel is not None:
        _text(system, "kernel", spec.kernel)
        if spec.ramdisk is not None:
            _text(system, "initrd", spec.ramdisk)
        _text(system, "cmdline", spec.kernel_args)
    SubElement(system, "smbios", mode="sysinfo")


def _features(root: Element, spec: GuestSpec, host: HostChoices) -> None:
    features = SubElement(root, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    if spec.secure_boot:
        SubElement(features, "smm", state="on")
    if host.virt_type == "qemu":
        _text(SubElement(features, "tcg"), "tb-cache", str(host.tb_cache_mib), unit="MiB")


def _cpu(root: Element, spec: GuestSpec, host: HostChoices) -> None:
    mode = host.cpu_mode or ("host-model" if host.virt_type == "kvm" else "none")
    cpu = SubElement(root, "cpu")
    if mode == "custom" and host.cpu_models:
        cpu.set("mode", "custom")
        cpu.set("match", "exact")
        _text(cpu, "model", host.cpu_models[0], fallback="allow")
    elif mode in ("host-model", "host-passthrough", "maximum"):
        cpu.set("mode", mode)
    SubElement(cpu, "topology", sockets=str(spec.vcpus), cores="1", threads="1")


def _clock(root: Element, host: HostChoices) -> None:
    clock = SubElement(root, "clock", offset="utc")
    if host.virt_type == "kvm":
        SubElement(clock, "timer", name="pit", tickpolicy="delay")
        SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    SubElement(clock, "timer", name="hpet", present="no")


def _disks(devices: Element, spec: GuestSpec, machine: str) -> None:
    taken: list[str] = []
    for one in (*spec.disks, *_config_drive(spec, machine)):
        target = free_target(one.bus, taken)
        taken.append(target)
        devices.append(_disk(one, target))


def _config_drive(spec: GuestSpec, machine: str) -> Iterator[DiskSpec]:
    """A CD-ROM on a bus that small kernels have a driver for, or a disk; never SATA, which many lack."""
    if spec.config_drive is None:
        return
    if spec.config_drive_format == "vfat":
        yield DiskSpec(path=spec.config_drive, format="raw", bus="virtio", read_only=True)
    else:
        bus: Literal["ide", "scsi"] = "ide" if _is_pc(machine) else "scsi"
        yield DiskSpec(path=spec.config_drive, format="raw", bus=bus, device="cdrom", read_only=True)


def _disk(spec: DiskSpec, target: str) -> Element:
    element = Element("disk", type="file", device=spec.device)
    driver = SubElement(element, "driver", name="qemu", type=spec.format)
    if spec.device == "disk":
        driver.set("cache", "none")
        driver.set("discard", "unmap")
    SubElement(element, "source", file=spec.path)
    if spec.backing is not None and spec.format == "qcow2":
        _backing(element, spec.backing)
    SubElement(element, "target", dev=target, bus=spec.bus)
    if spec.read_only:
        SubElement(element, "readonly")
    if spec.serial is not None:
        _text(element, "serial", spec.serial[:20])
    if spec.boot_order is not None:
        SubElement(element, "boot", order=str(spec.boot_order))
    return element


def _backing(disk: Element, image: BackingImage) -> None:
    """Spelled out, so nothing is guessed from content, and left in its owner's hands: guests share the image, and
    none may own it.
    """
    store = SubElement(disk, "backingStore", type="file")
    SubElement(store, "format", type=image.format)
    source = SubElement(store, "source", file=image.path)
    SubElement(source, "seclabel", model="dac", relabel="no")
    SubElement(store, "backingStore")


def _nic(spec: NicSpec) -> Element:
    element = Element("interface", type="ethernet")
    SubElement(element, "mac", address=spec.mac)
    SubElement(element, "target", dev=spec.tap, managed="no")
    SubElement(element, "model", type=spec.model)
    if spec.model == "virtio" and not spec.vnet_hdr:
        driver = SubElement(element, "driver", name="qemu")
        off = dict.fromkeys(("csum", "tso4", "tso6", "ecn", "ufo"), "off")
        SubElement(driver, "host", {**off, "gso": "off"})
        SubElement(driver, "guest", off)
    SubElement(element, "mtu", size=str(spec.mtu))
    SubElement(element, "rom", enabled="no")
    return element


def _controllers(devices: Element, spec: GuestSpec, host: HostChoices, machine: str) -> None:
    buses = {one.bus for one in (*spec.disks, *_config_drive(spec, machine))}
    if "usb" not in buses:
        SubElement(devices, "controller", type="usb", model="none")
    if "scsi" in buses:
        SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    if not _is_pc(machine):
        SubElement(devices, "controller", type="pci", model="pcie-root")
        for _ in range(host.pcie_ports):
            SubElement(devices, "controller", type="pci", model="pcie-root-port")


def _consoles(devices: Element, spec: GuestSpec, host: HostChoices, guest_dir: Path) -> None:
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="bind", path=f"{host.consoles}/{spec.uuid}.serial")
    SubElement(serial, "log", file=str(guest_dir / CONSOLE_LOG), append="on")
    SubElement(serial, "target", port="0")
    if spec.video != "none":
        SubElement(devices, "graphics", type="vnc", socket=f"{host.consoles}/{spec.uuid}.vnc")
        SubElement(SubElement(devices, "video"), "model", type=spec.video)


def _small_devices(devices: Element, spec: GuestSpec, host: HostChoices) -> None:
    if spec.agent_channel:
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    if spec.rng:
        _text(SubElement(devices, "rng", model="virtio"), "backend", host.rng_path, model="random")
    balloon = SubElement(devices, "memballoon", model="virtio")
    if host.memory_stats_period_s:
        SubElement(balloon, "stats", period=str(host.memory_stats_period_s))


def _is_pc(machine: str) -> bool:
    return machine == "pc" or machine.startswith("pc-i440fx")


def _target_names(prefix: str) -> Iterator[str]:
    letters = string.ascii_lowercase
    yield from (prefix + one for one in letters)
    yield from (prefix + one + two for one in letters for two in letters)
