"""What bodies about servers may hold, by microversion."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.values import (
    BOOLEAN,
    HOSTNAME,
    IP,
    METADATA,
    NAME,
    TAG,
    TEXT,
    UUID,
    closed,
    whole,
)
from kilonova.compute.microversions import v

Schema = dict[str, Any]

_COUNT: Schema = whole(1)
_DISK_CONFIG: Schema = {"type": "string", "enum": ["AUTO", "MANUAL"]}
_DEVICE_OLD: Schema = {
    "virtual_name": {"type": "string", "maxLength": 255},
    "volume_id": UUID,
    "snapshot_id": UUID,
    "volume_size": whole(1),
    "device_name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9._\-r/]*$"},
    "delete_on_termination": BOOLEAN,
    "no_device": {},
    "connection_info": {"type": "string", "maxLength": 16777215},
}
_DEVICE: Schema = {
    **_DEVICE_OLD,
    "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
    "uuid": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9._\-]*$"},
    "image_id": UUID,
    "destination_type": {"type": "string", "enum": ["local", "volume"]},
    "guest_format": {"type": "string", "maxLength": 255},
    "device_type": {"type": "string", "maxLength": 255},
    "disk_bus": {"type": "string", "maxLength": 255},
    "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]{1,9}$"},
}
_HINT_IDS: Schema = {"anyOf": [UUID, {"type": "array", "items": UUID}]}
_HINTS: Schema = {
    "type": "object",
    "properties": {
        "group": UUID,
        "different_host": _HINT_IDS,
        "same_host": _HINT_IDS,
        "query": {"type": ["string", "object"]},
        "target_cell": NAME,
        "different_cell": {"type": ["string", "array"], "items": {"type": "string"}},
        "build_near_host_ip": IP,
        "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"},
    },
    "additionalProperties": True,
}


def _networks(tagged: bool, words: bool) -> Schema:
    one: Schema = {"fixed_ip": IP, "port": {"anyOf": [UUID, {"type": "null"}]}, "uuid": UUID}
    if tagged:
        one["tag"] = TAG
    rows: Schema = {"type": "array", "items": closed(one)}
    return {"anyOf": [rows, {"type": "string", "enum": ["none", "auto"]}]} if words else rows


def _devices(tagged: bool, typed: bool) -> Schema:
    one = dict(_DEVICE)
    if tagged:
        one["tag"] = TAG
    if typed:
        one["volume_type"] = {"type": ["string", "null"], "maxLength": 255}
    return {"type": "array", "items": closed(one)}


def _create_keys(minor: int) -> tuple[Schema, tuple[str, ...]]:
    """Keys of a server in a create request at 2.`minor`, and which of them must be there."""
    tagged = minor == 32 or minor >= 42
    keys: Schema = {
        "name": NAME,
        "imageRef": {"anyOf": [UUID, {"type": "string", "maxLength": 0}]},
        "flavorRef": {"type": ["string", "integer"], "minLength": 1, "maxLength": 255},
        "adminPass": {"type": "string", "maxLength": 255},
        "metadata": METADATA,
        "networks": _networks(tagged or 32 <= minor <= 36, words=minor >= 37),
        "OS-DCF:diskConfig": _DISK_CONFIG,
        "accessIPv4": {"type": "string", "format": "ipv4"},
        "accessIPv6": {"type": "string", "format": "ipv6"},
        "availability_zone": NAME,
        "block_device_mapping": {"type": "array", "items": closed(_DEVICE_OLD)},
        "block_device_mapping_v2": _devices(tagged, typed=minor >= 67),
        "config_drive": BOOLEAN,
        "key_name": NAME,
        "min_count": _COUNT,
        "max_count": _COUNT,
        "return_reservation_id": BOOLEAN,
        "security_groups": {"type": "array", "items": closed({"name": NAME})},
        "user_data": {"type": "string" if minor >= 57 else ["string", "null"], "maxLength": 65535},
    }
    if minor < 57:
        keys["personality"] = {
            "type": "array",
            "items": closed({"path": {"type": "string"}, "contents": {"type": "string"}}),
        }
    if minor >= 19:
        keys["description"] = TEXT
    if minor >= 52:
        keys["tags"] = {"type": "array", "items": TAG, "maxItems": 50}
    if minor >= 63:
        keys["trusted_image_certificates"] = {
            "type": ["array", "null"],
            "minItems": 1,
            "maxItems": 50,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1},
        }
    if minor >= 74:
        keys["host"] = keys["hypervisor_hostname"] = HOSTNAME
    if minor >= 90:
        keys["hostname"] = HOSTNAME
    needed = ("name", "flavorRef", "networks") if minor >= 37 else ("name", "flavorRef")
    return keys, needed


def _create(minor: int) -> Schema:
    keys, needed = _create_keys(minor)
    return closed(
        {
            "server": closed(keys, *needed),
            "os:scheduler_hints": _HINTS,
            "OS-SCH-HNT:scheduler_hints": _HINTS,
        },
        "server",
    )


_STEPS = (1, 19, 32, 33, 37, 42, 52, 57, 63, 67, 74, 90, 94)
"""Minor versions at which the body of a create request changed."""

CREATE = tuple(
    (v(minor), v(until - 1) if until else None, _create(minor))
    for minor, until in zip(_STEPS, (*_STEPS[1:], None), strict=True)
)


def _update(minor: int) -> Schema:
    keys: Schema = {
        "name": NAME,
        "OS-DCF:diskConfig": _DISK_CONFIG,
        "accessIPv4": {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "maxLength": 0}]},
        "accessIPv6": {"anyOf": [{"type": "string", "format": "ipv6"}, {"type": "string", "maxLength": 0}]},
    }
    if minor >= 19:
        keys["description"] = TEXT
    if minor >= 90:
        keys["hostname"] = HOSTNAME
    return closed({"server": closed(keys)}, "server")


UPDATE = ((None, v(18), _update(1)), (v(19), v(89), _update(19)), (v(90), None, _update(90)))

_STRINGS = """
    user_id project_id tenant_id launch_index image_ref image kernel_id ramdisk_id hostname key_name
    power_state vm_state task_state host node flavor reservation_id launched_at terminated_at
    availability_zone name display_name description display_description locked_by uuid root_device_name
    config_drive access_ip_v4 access_ip_v6 auto_disk_config progress all_tenants soft_deleted deleted
    status ip ip6 created_at block_device_mapping services metadata system_metadata info_cache
    security_groups pci_devices marker sort_key
""".split()  # noqa: SIM905
_LIST: Schema = {
    **{name: {"type": "string"} for name in _STRINGS},
    "sort_dir": {"type": "string", "enum": ["asc", "desc"]},
    "limit": {"type": "string", "pattern": "^[0-9]*$"},
    "changes-since": {"type": "string", "format": "date-time"},
}
_TAGS: Schema = {name: {"type": "string"} for name in ("tags", "tags-any", "not-tags", "not-tags-any")}
_BEFORE: Schema = {"changes-before": {"type": "string", "format": "date-time"}}
_LOCKED: Schema = {"locked": {"type": "string"}}

LIST = (
    (None, v(25), {"properties": _LIST}),
    (v(26), v(65), {"properties": {**_LIST, **_TAGS}}),
    (v(66), v(72), {"properties": {**_LIST, **_TAGS, **_BEFORE}}),
    (v(73), v(74), {"properties": {**_LIST, **_TAGS, **_BEFORE, **_LOCKED}}),
    (
        v(75),
        None,
        {"properties": {**_LIST, **_TAGS, **_BEFORE, **_LOCKED}, "additionalProperties": False},
    ),
)
