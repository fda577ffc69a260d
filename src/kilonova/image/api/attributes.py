"""What callers may write of an image: names, types, and the way from wire to Image and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from kilonova.image.api.fields import READ_ONLY, RESERVED, RESERVED_PREFIX
from kilonova.image.config import Settings
from kilonova.image.errors import ReadOnly, Reserved, TooMany
from kilonova.image.model.image import VISIBILITIES, Image
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.microversion import NO_VERSION
from kilonova.kernel.web.schema import Checker

# name on the wire -> attribute of Image
WRITABLE = {
    "name": "name",
    "visibility": "visibility",
    "protected": "protected",
    "os_hidden": "hidden",
    "owner": "owner",
    "container_format": "container_format",
    "disk_format": "disk_format",
    "min_disk": "min_disk_gib",
    "min_ram": "min_ram_mib",
    "tags": "tags",
}
FIXED = frozenset(("id", *WRITABLE, *READ_ONLY))

_COUNT = {"type": "integer", "minimum": 0, "maximum": 2147483647}
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

BODY = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": _UUID},
        "name": {"type": ["string", "null"], "maxLength": 255},
        "visibility": {"type": "string", "enum": list(VISIBILITIES)},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
        "owner": {"type": ["string", "null"], "maxLength": 255},
        "container_format": {"type": ["string", "null"]},
        "disk_format": {"type": ["string", "null"]},
        "min_disk": _COUNT,
        "min_ram": _COUNT,
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
        # Whoever writes these is told by name that they are not to be written.
        **{name: {} for name in sorted(READ_ONLY | RESERVED)},
    },
    "propertyNames": {"minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": "string", "maxLength": 65535},
}

_CHECKER = Checker(BODY, kind="body")


def refuse_names(names: Collection[str]) -> None:
    """Raise ReadOnly or Reserved for names that callers may not write."""
    for name in names:
        if name in READ_ONLY:
            raise ReadOnly(name=name)
        if name in RESERVED or name.startswith(RESERVED_PREFIX):
            raise Reserved(name=name)


def to_wire(image: Image) -> dict[str, Any]:
    """All that a patch may name: the writable attributes and the properties."""
    wire: dict[str, Any] = dict(image.properties)
    wire.update({name: getattr(image, attribute) for name, attribute in WRITABLE.items()})
    wire["tags"] = list(image.tags)
    return wire


def from_wire(image: Image, wire: Mapping[str, Any], settings: Settings) -> Image:
    """``image`` with what ``wire`` says (checked by BODY already) and no other properties."""
    values = {WRITABLE[name]: value for name, value in wire.items() if name in WRITABLE}
    if "tags" in values:
        values["tags"] = tuple(sorted(set(values["tags"])))
    properties = {name: value for name, value in wire.items() if name not in WRITABLE and name != "id"}
    changed = replace(image, **values, properties=properties)
    _check(image, changed, settings)
    return changed


def check(wire: Mapping[str, Any]) -> None:
    """Raise Invalid unless ``wire`` fits BODY."""
    _CHECKER.check(wire, NO_VERSION)


def _check(before: Image, after: Image, settings: Settings) -> None:
    for what, value, known in (
        ("container_format", after.container_format, settings.container_formats),
        ("disk_format", after.disk_format, settings.disk_formats),
    ):
        if value is not None and value not in known:
            raise BadRequest(f"{what} {value!r} is not one of {', '.join(known)}.")
    special = ("aki", "ari", "ami")
    pair = (after.container_format, after.disk_format)
    if any(one in special for one in pair) and None not in pair and pair[0] != pair[1]:
        raise BadRequest(
            f"Where one of disk_format ({pair[1]}) and container_format ({pair[0]}) is {', '.join(special)}, "
            "the other must be the same."
        )
    check_count("tags", len(after.tags), len(before.tags), settings.tag_quota)
    check_count("properties", len(after.properties), len(before.properties), settings.property_quota)


def check_count(what: str, count: int, before: int, limit: int | None) -> None:
    """Raise TooMany when a count grows beyond its limit; an image that is over it already may shrink."""
    if limit is not None and count > limit and count > before:
        raise TooMany(what=what, count=count, limit=limit)
