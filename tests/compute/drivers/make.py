"""Builders of valid guests, disks and interfaces; say only what matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from kilonova.compute.virt.driver import DiskSpec, GuestSpec, NicSpec


def spec(driver: Any, number: int = 1, **fields: Any) -> GuestSpec:
    """A guest with one empty disk of 64 MiB in its directory."""
    uuid = fields.pop("uuid", None) or str(uuid4())
    disk = DiskSpec(path=f"{driver.guest_dir(uuid)}/disk", format="qcow2", size_bytes=64 << 20, boot_order=1)
    base = GuestSpec(uuid=uuid, name=f"instance-{number:08x}", vcpus=1, ram_mib=96, disks=(disk,), title="story")
    return replace(base, **fields)


def nic(number: int = 1, **fields: Any) -> NicSpec:
    port_id = str(uuid4())
    base = NicSpec(port_id=port_id, mac=f"fa:16:3e:00:00:{number:02x}", tap=f"tap{port_id[:11]}", mtu=1442)
    return replace(base, **fields)
