"""Quotas and limits on the wire. Networks' limits are the network service's own: always -1 here, and gone later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.compute.api.values import BOOLEAN, closed
from kilonova.compute.microversions import v
from kilonova.kernel.microversion import Version


@dataclass(frozen=True, slots=True)
class Row:
    """A limited thing: our name for it, its word on the wire, the last microversion that tells of it."""

    name: str
    word: str
    until: Version | None = None


_NETWORK_UNTIL, _FILES_UNTIL = v(35), v(56)

ROWS: tuple[Row, ...] = (
    Row("instances", "instances"),
    Row("cores", "cores"),
    Row("ram", "ram"),
    Row("metadata_items", "metadata_items"),
    Row("key_pairs", "key_pairs"),
    Row("server_groups", "server_groups"),
    Row("server_group_members", "server_group_members"),
    Row("injected_files", "injected_files", _FILES_UNTIL),
    Row("injected_file_content_bytes", "injected_file_content_bytes", _FILES_UNTIL),
    Row("injected_file_path_length", "injected_file_path_bytes", _FILES_UNTIL),
    Row("floating_ips", "floating_ips", _NETWORK_UNTIL),
    Row("fixed_ips", "fixed_ips", _NETWORK_UNTIL),
    Row("security_groups", "security_groups", _NETWORK_UNTIL),
    Row("security_group_rules", "security_group_rules", _NETWORK_UNTIL),
)


def rows_at(version: Version) -> list[Row]:
    """What this microversion tells of."""
    return [row for row in ROWS if row.until is None or version <= row.until]


def limits_shown(limits: Mapping[str, int], version: Version) -> dict[str, int]:
    """Limits by their words."""
    return {row.word: limits.get(row.name, -1) for row in rows_at(version)}


def use_shown(limits: Mapping[str, int], used: Mapping[str, int], version: Version) -> dict[str, Any]:
    """Limits and what is used of them, by their words."""
    return {
        row.word: {"limit": limits.get(row.name, -1), "in_use": used.get(row.name, 0), "reserved": 0}
        for row in rows_at(version)
    }


_LIMIT: dict[str, Any] = {
    "type": ["integer", "string"],
    "pattern": "^-?[0-9]{1,10}$",
    "minimum": -1,
    "maximum": 0x7FFFFFFF,
}


def _update(minor: int) -> dict[str, Any]:
    keys = {row.word: _LIMIT for row in rows_at(v(minor))}
    return closed({"quota_set": closed({**keys, "force": BOOLEAN})}, "quota_set")


def _update_class(minor: int) -> dict[str, Any]:
    keys = {row.word: _LIMIT for row in rows_at(v(minor))}
    return closed({"quota_class_set": closed(keys)}, "quota_class_set")


UPDATE = ((None, v(35), _update(35)), (v(36), v(56), _update(56)), (v(57), None, _update(57)))
UPDATE_CLASS = (
    (None, v(49), _update_class(35)),
    (v(50), v(56), _update_class(56)),
    (v(57), None, _update_class(57)),
)

ABSOLUTE: tuple[tuple[str, str, Version | None], ...] = (
    ("maxServerMeta", "metadata_items", None),
    ("maxTotalInstances", "instances", None),
    ("maxTotalCores", "cores", None),
    ("maxTotalRAMSize", "ram", None),
    ("maxTotalKeypairs", "key_pairs", None),
    ("maxServerGroups", "server_groups", None),
    ("maxServerGroupMembers", "server_group_members", None),
    ("maxPersonality", "injected_files", _FILES_UNTIL),
    ("maxPersonalitySize", "injected_file_content_bytes", _FILES_UNTIL),
    ("maxImageMeta", "metadata_items", v(38)),
    ("maxTotalFloatingIps", "floating_ips", _NETWORK_UNTIL),
    ("maxSecurityGroups", "security_groups", _NETWORK_UNTIL),
    ("maxSecurityGroupRules", "security_group_rules", _NETWORK_UNTIL),
)
USED: tuple[tuple[str, str, Version | None], ...] = (
    ("totalInstancesUsed", "instances", None),
    ("totalCoresUsed", "cores", None),
    ("totalRAMUsed", "ram", None),
    ("totalServerGroupsUsed", "server_groups", None),
    ("totalFloatingIpsUsed", "floating_ips", _NETWORK_UNTIL),
    ("totalSecurityGroupsUsed", "security_groups", _NETWORK_UNTIL),
)
