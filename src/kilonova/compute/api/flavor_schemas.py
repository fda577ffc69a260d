"""What bodies about flavors may hold."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.values import BOOLEAN, NAME, closed, whole
from kilonova.compute.microversions import v

_TEXT = {"type": ["string", "null"], "maxLength": 65535, "pattern": r"^[^\p{C}\p{Zl}\p{Zp}]*$"}
_RXTX: dict[str, Any] = {
    "type": ["number", "string"],
    "pattern": r"^[0-9]{1,38}(\.[0-9]+)?$",
    "exclusiveMinimum": 0,
    "maximum": 3.40282e38,
}
_CREATE: dict[str, Any] = {
    "name": NAME,
    "id": {
        "type": ["string", "number", "null"],
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^(?! )[a-zA-Z0-9. _\-]+(?<! )$",
    },
    "ram": whole(1),
    "vcpus": whole(1),
    "disk": whole(),
    "OS-FLV-EXT-DATA:ephemeral": whole(),
    "swap": whole(),
    "rxtx_factor": _RXTX,
    "os-flavor-access:is_public": BOOLEAN,
}
_NEEDED = ("name", "ram", "vcpus", "disk")


def _create(**more: Any) -> dict[str, Any]:
    return closed({"flavor": closed({**_CREATE, **more}, *_NEEDED)}, "flavor")


CREATE = ((None, v(54), _create()), (v(55), None, _create(description=_TEXT)))
UPDATE = closed({"flavor": closed({"description": _TEXT}, "description")}, "flavor")

EXTRA_SPECS = closed(
    {
        "extra_specs": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "patternProperties": {r"^[a-zA-Z0-9\-_:. ]{1,255}$": {"type": ["string", "number"], "maxLength": 255}},
        }
    },
    "extra_specs",
)
EXTRA_SPEC = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "patternProperties": {r"^[a-zA-Z0-9\-_:. ]{1,255}$": {"type": ["string", "number"], "maxLength": 255}},
}

_PROJECT = {"tenant": {"type": "string", "minLength": 1, "maxLength": 255}}
ADD_PROJECT = closed({"addTenantAccess": closed(_PROJECT, "tenant")}, "addTenantAccess")
REMOVE_PROJECT = closed({"removeTenantAccess": closed(_PROJECT, "tenant")}, "removeTenantAccess")

_NUMBERS = {name: {"type": "string"} for name in ("minRam", "minDisk")}
LIST_QUERY: dict[str, Any] = {
    "properties": {
        "limit": {"type": "string", "pattern": "^[0-9]*$"},
        "marker": {"type": "string"},
        "is_public": {"type": "string"},
        "sort_key": {"type": "string"},
        "sort_dir": {"type": "string", "enum": ["asc", "desc"]},
        **_NUMBERS,
    },
}
LIST = ((None, v(74), LIST_QUERY), (v(75), None, {**LIST_QUERY, "additionalProperties": False}))
