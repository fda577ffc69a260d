"""Flavors: the sizes of servers. A server keeps a snapshot, so a later change of the flavor does not touch
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FlavorSnapshot:
    """What a server remembers of its flavor. Swap is in MiB, disks in GiB, memory in MiB."""

    flavor_id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    rxtx_factor: float = 1.0
    extra_specs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size that can be asked for. `flavor_id` is what users name; `number` is the row's own."""

    number: int
    flavor_id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int
    swap_mib: int
    rxtx_factor: float
    is_public: bool
    disabled: bool
    description: str | None
    extra_specs: dict[str, str]
    created_at: datetime
    updated_at: datetime | None

    def snapshot(self) -> FlavorSnapshot:
        """What a server made from this flavor keeps."""
        return FlavorSnapshot(
            flavor_id=self.flavor_id,
            name=self.name,
            vcpus=self.vcpus,
            ram_mib=self.ram_mib,
            disk_gib=self.disk_gib,
            ephemeral_gib=self.ephemeral_gib,
            swap_mib=self.swap_mib,
            rxtx_factor=self.rxtx_factor,
            extra_specs=dict(self.extra_specs),
        )
