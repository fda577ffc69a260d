"""What a row of the northbound database is to us: a value that names the rows it refers to instead of their
uuids.

A row is identified by its table and key: its name where the schema makes names unique, `kilonova:key`
elsewhere. It is owned by one object of the network service (`kilonova:owner`), and held by slots: columns of
other rows that list it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kilonova.network.drivers.driver import Kind

OWNER = "kilonova:owner"
KEY = "kilonova:key"
REVISION = "neutron:revision_number"
NAMES = "kilonova:names"
"""The names of a port, for the agent's name server; the last is the most qualified one."""

NAMED_TABLES = (
    "Logical_Switch",
    "Logical_Switch_Port",
    "Logical_Router",
    "Logical_Router_Port",
    "Port_Group",
    "Gateway_Chassis",
)
"""Tables whose rows are known by their name. The others carry KEY."""

TABLES = (*NAMED_TABLES, "ACL", "NAT", "Logical_Router_Static_Route", "DHCP_Options", "DNS")
ROOT_TABLES = ("Logical_Switch", "Logical_Router", "Port_Group", "DHCP_Options", "DNS")
"""Rows that live without being held. The others vanish when no slot holds them."""

SLOT_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "Logical_Switch": {"ports": "Logical_Switch_Port", "dns_records": "DNS"},
    "Logical_Router": {"ports": "Logical_Router_Port", "nat": "NAT", "static_routes": "Logical_Router_Static_Route"},
    "Logical_Router_Port": {"gateway_chassis": "Gateway_Chassis"},
    "Port_Group": {"ports": "Logical_Switch_Port", "acls": "ACL"},
}
"""Table -> its columns that hold rows of ours -> the table of those."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Logical_Switch": ("name", "other_config", "external_ids"),
    "Logical_Switch_Port": (
        "name", "type", "options", "tag", "addresses", "port_security", "enabled", "dhcpv4_options", "dhcpv6_options",
        "external_ids",
    ),
    "Logical_Router": ("name", "enabled", "options", "external_ids"),
    "Logical_Router_Port": ("name", "mac", "networks", "enabled", "ipv6_ra_configs", "external_ids"),
    "Port_Group": ("name", "external_ids"),
    "Gateway_Chassis": ("name", "chassis_name", "priority", "external_ids"),
    "ACL": ("direction", "priority", "match", "action", "external_ids"),
    "NAT": ("type", "external_ip", "logical_ip", "logical_port", "external_mac", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "policy", "output_port", "external_ids"),
    "DHCP_Options": ("cidr", "options", "external_ids"),
    "DNS": ("records", "external_ids"),
}  # fmt: skip
"""What we write and compare. A wanted row leaves out what shall have its default."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The object a row belongs to."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        kind, _, object_id = text.partition("/")
        known = {one.value for one in Kind}
        return cls(Kind(kind), object_id) if kind in known and object_id else None


@dataclass(frozen=True, slots=True)
class FirstOf:
    """A reference to the first of these rows of `table` that exists; to none when none does."""

    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of another row that lists this one."""

    table: str
    key: str
    column: str


@dataclass(frozen=True, slots=True)
class Row:
    """A wanted row. `columns` has what we decide; columns not named are left to their default."""

    table: str
    key: str
    owner: Owner
    columns: Mapping[str, Any] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()

    def stored(self) -> dict[str, Any]:
        """The columns with the key and the owner in place."""
        columns = dict(self.columns)
        ids = {**columns.get("external_ids", {}), OWNER: str(self.owner)}
        if self.table in NAMED_TABLES:
            columns["name"] = self.key
        else:
            ids[KEY] = self.key
        return {**columns, "external_ids": ids}


def key_of(table: str, real: Mapping[str, Any]) -> str | None:
    """The key of a row as the database has it; None when it is not one of ours."""
    ids = real["external_ids"]
    if OWNER not in ids:
        return None
    key = real["name"] if table in NAMED_TABLES else ids.get(KEY)
    return str(key) if key else None


def owner_of(real: Mapping[str, Any]) -> Owner | None:
    return Owner.parse(real["external_ids"].get(OWNER, ""))


def revision_of(real: Mapping[str, Any]) -> int:
    text = real["external_ids"].get(REVISION, "")
    return int(text) if text.isdecimal() else 0
