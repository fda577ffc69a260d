"""From what the cloud wants (a guest order) to what a driver needs (a GuestSpec). Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from kilonova.compute.calls import GuestOrder, Nic
from kilonova.compute.virt.driver import BackingImage, DiskBus, DiskSpec, GuestSpec, NicModel, NicSpec

GIB, MIB = 1024**3, 1024**2

_DISK_BUSES = ("virtio", "scsi", "ide", "sata", "usb")
_NIC_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3", "ne2k_pci")
_VIDEO_MODELS = ("virtio", "vga", "cirrus", "qxl", "none")


def guest_spec(order: GuestOrder, directory: Path, backing: BackingImage | None) -> GuestSpec:
    """The whole guest. ``directory``: where its files go; ``backing``: the cached image, None for a diskless
    or volume-booted guest. Image properties under upstream's names choose the devices.
    """
    properties = order.image.properties
    bus = _disk_bus(properties.get("hw_disk_bus"))
    return GuestSpec(
        uuid=order.server_id,
        name=order.guest_name,
        title=order.title,
        vcpus=order.flavor.vcpus,
        ram_mib=order.flavor.ram_mib,
        disks=tuple(_disks(order, directory, backing, bus)),
        nics=tuple(nic_spec(nic, _one_of(properties.get("hw_vif_model"), _NIC_MODELS)) for nic in order.nics),
        labels=(
            ("flavor", order.flavor.name),
            ("image", order.image.image_id),
            ("project", order.persona.project_id),
        ),
        config_drive=str(directory / "disk.config") if order.config_drive else None,
        firmware="uefi" if properties.get("hw_firmware_type") == "uefi" else "bios",
        secure_boot=properties.get("os_secure_boot") == "required",
        machine=properties.get("hw_machine_type") or None,
        kernel_args=properties.get("os_command_line", ""),
        rng=order.flavor.extra_specs.get("hw_rng:allowed", "true").lower() != "false",
        agent_channel=properties.get("hw_qemu_guest_agent", "yes").lower() not in ("no", "false", "0"),
        video=cast(Any, _one_of(properties.get("hw_video_model"), _VIDEO_MODELS)),
    )


def nic_spec(nic: Nic, model: str = "virtio") -> NicSpec:
    """One card. The name of its tap comes from the port, as upstream's does, so it can be found again."""
    return NicSpec(
        port_id=nic.port_id,
        mac=nic.mac,
        tap=tap_name(nic.port_id),
        mtu=nic.mtu,
        model=cast(NicModel, model),
        vnet_hdr=nic.vnet_hdr,
        bridge=nic.bridge,
    )


def tap_name(port_id: str) -> str:
    """At most 14 characters: the kernel allows 15."""
    return f"tap{port_id[:11]}"


def _disks(order: GuestOrder, directory: Path, backing: BackingImage | None, bus: DiskBus) -> list[DiskSpec]:
    disks = []
    if backing is not None:
        disks.append(
            DiskSpec(
                path=str(directory / "disk"),
                format="qcow2",
                size_bytes=order.flavor.disk_gib * GIB,
                backing=backing,
                bus=bus,
                boot_order=1,
            )
        )
    for number, size_gib in enumerate(_ephemeral_gib(order)):
        disks.append(
            DiskSpec(path=str(directory / f"disk.eph{number}"), format="qcow2", size_bytes=size_gib * GIB, bus=bus)
        )
    if order.flavor.swap_mib:
        size = order.flavor.swap_mib * MIB
        disks.append(DiskSpec(path=str(directory / "disk.swap"), format="raw", size_bytes=size, bus=bus))
    return disks


def disk_count(order: GuestOrder) -> int:
    """How many disks the order's guest has, its config drive among them."""
    made = bool(order.image.image_id) + len(_ephemeral_gib(order)) + bool(order.flavor.swap_mib)
    return made + bool(order.config_drive)


def _ephemeral_gib(order: GuestOrder) -> list[int]:
    asked = [
        device.size_gib or 0
        for device in order.block_devices
        if device.source == "blank" and device.destination == "local" and device.guest_format != "swap"
    ]
    if asked:
        return [size for size in asked if size > 0]
    return [order.flavor.ephemeral_gib] if order.flavor.ephemeral_gib else []


def _disk_bus(name: str | None) -> DiskBus:
    return cast(DiskBus, _one_of(name, _DISK_BUSES))


def _one_of(name: str | None, known: tuple[str, ...]) -> str:
    """The asked-for model if the driver has it, else virtio."""
    return name if name in known else known[0]
