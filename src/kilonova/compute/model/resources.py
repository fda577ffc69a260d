"""What a server takes from its host, as resource classes and traits: computed from flavor and image alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.servers import ImageSnapshot

_RESOURCE = re.compile(r"resources:([A-Z0-9_]+)\Z")
_TRAIT = re.compile(r"trait:([A-Z0-9_]+)\Z")


@dataclass(frozen=True, slots=True)
class Need:
    """Amounts by resource class, and traits that the host must, or must not, have."""

    resources: dict[str, int]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


def disk_gib_of(flavor: FlavorSnapshot, *, from_image: bool) -> int:
    """Disk that a server takes on its host: root (unless on a volume), ephemeral and swap, rounded up."""
    root = flavor.disk_gib if from_image else 0
    return root + flavor.ephemeral_gib + -(-flavor.swap_mib // 1024)


def need_of(flavor: FlavorSnapshot, image: ImageSnapshot) -> Need:
    """What to ask of Placement. Extra specs ``resources:CLASS`` override (0 removes), ``trait:NAME`` =
    required or forbidden; an image asks with ``trait:NAME`` = required.
    """
    resources = {
        "VCPU": flavor.vcpus,
        "MEMORY_MB": flavor.ram_mib,
        "DISK_GB": disk_gib_of(flavor, from_image=bool(image.image_id)),
    }
    required: list[str] = []
    forbidden: list[str] = []
    for key, value in flavor.extra_specs.items():
        if (resource := _RESOURCE.match(key)) and value.isdigit():
            resources[resource[1]] = int(value)
        elif trait := _TRAIT.match(key):
            {"required": required, "forbidden": forbidden}.get(value, []).append(trait[1])
    for key, value in image.properties.items():
        if (trait := _TRAIT.match(key)) and value == "required":
            required.append(trait[1])
    return Need(
        {name: amount for name, amount in resources.items() if amount > 0},
        tuple(dict.fromkeys(required)),
        tuple(dict.fromkeys(forbidden)),
    )
