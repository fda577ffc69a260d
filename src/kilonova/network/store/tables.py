"""The tables. Every noun has the standard columns; what belongs to one row only is JSON in that row.

Uniqueness that concurrency could break is a constraint here: an address of a subnet, a MAC of a network, a
segment, a rule of a group, the default group of a project. ``needs`` records what the driver has still to be
told.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from kilonova.kernel.db import JsonText, UtcDateTime

metadata = MetaData()

SEPARATOR = "\x1f"


class TagSet(TypeDecorator[tuple[str, ...]]):
    """Tags as one text, each between separators, so that one tag can be looked for within it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        if isinstance(value, str):
            return value
        return SEPARATOR + "".join(tag + SEPARATOR for tag in value) if value else ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value.strip(SEPARATOR).split(SEPARATOR)) if value else ()


def _standard(*, name: bool = True, tags: bool = True) -> list[Column[Any]]:
    columns: list[Column[Any]] = [Column("id", String(36), primary_key=True)]
    columns.append(Column("project_id", String(255), nullable=False, index=True))
    if name:
        columns.append(Column("name", String(255), nullable=False, default=""))
    columns.append(Column("description", String(255), nullable=False, default=""))
    if tags:
        columns.append(Column("tags", TagSet, nullable=False, default=()))
    columns += [
        Column("revision_number", Integer, nullable=False, default=0),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
    ]
    return columns


def _id(name: str, target: str | None = None, *, nullable: bool = False, index: bool = True) -> Column[Any]:
    if target is None:
        return Column(name, String(36), nullable=nullable, index=index)
    return Column(name, String(36), ForeignKey(target), nullable=nullable, index=index)


networks = Table(
    "networks",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("dns_domain", String(255), nullable=False),
    Column("is_default", Boolean, nullable=False),
    # A segment belongs to one network. Empty text and -1 stand for "none", so that the constraint sees them.
    Column("network_type", String(32), nullable=False),
    Column("physical_network", String(64), nullable=False),
    Column("segmentation_id", Integer, nullable=False),
    Column("availability_zone_hints", JsonText, nullable=False),
    UniqueConstraint("network_type", "physical_network", "segmentation_id", name="uniq_segment"),
)

subnetpools = Table(
    "subnetpools",
    metadata,
    *_standard(),
    Column("ip_version", Integer, nullable=False),
    Column("prefixes", JsonText, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("is_default", Boolean, nullable=False),
)

subnets = Table(
    "subnets",
    metadata,
    *_standard(),
    _id("network_id", "networks.id"),
    Column("ip_version", Integer, nullable=False),
    Column("cidr", String(64), nullable=False),
    Column("gateway_ip", String(64)),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_ra_mode", String(20)),
    Column("ipv6_address_mode", String(20)),
    Column("allocation_pools", JsonText, nullable=False),  # [[first, last], ...] as text
    Column("dns_nameservers", JsonText, nullable=False),
    Column("host_routes", JsonText, nullable=False),  # [[destination, nexthop], ...]
    Column("service_types", JsonText, nullable=False),
    Column("dns_publish_fixed_ip", Boolean, nullable=False),
    _id("subnetpool_id", "subnetpools.id", nullable=True),
)

ports = Table(
    "ports",
    metadata,
    *_standard(),
    _id("network_id", "networks.id", index=False),
    Column("mac_address", String(32), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("device_id", String(255), nullable=False, index=True),
    Column("device_owner", String(255), nullable=False, index=True),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("dns_name", String(255), nullable=False),
    Column("dns_domain", String(255), nullable=False),
    Column("allowed_address_pairs", JsonText, nullable=False),
    Column("extra_dhcp_opts", JsonText, nullable=False),
    Column("propagate_uplink_status", Boolean, nullable=False),
    UniqueConstraint("network_id", "mac_address", name="uniq_port_mac"),
)

port_bindings = Table(
    "port_bindings",
    metadata,
    Column("port_id", String(36), ForeignKey("ports.id"), primary_key=True),
    Column("host", String(255), primary_key=True),  # "" while unbound
    Column("status", String(16), nullable=False),  # ACTIVE or INACTIVE; one ACTIVE a port
    Column("vnic_type", String(64), nullable=False),
    Column("profile", JsonText, nullable=False),
    Column("vif_type", String(64), nullable=False),
    Column("vif_details", JsonText, nullable=False),
)

port_addresses = Table(
    "port_addresses",
    metadata,
    Column("port_id", String(36), ForeignKey("ports.id"), nullable=False, index=True),
    Column("network_id", String(36), nullable=False),
    Column("subnet_id", String(36), ForeignKey("subnets.id"), primary_key=True),
    Column("ip_address", String(64), primary_key=True),
    Column("ip_key", String(32), nullable=False),
    Column("place", Integer, nullable=False),  # the order in which the port shows them
    Index("ix_port_addresses_key", "subnet_id", "ip_key"),
    Index("ix_port_addresses_network", "network_id", "ip_address"),
)

port_security_groups = Table(
    "port_security_groups",
    metadata,
    Column("port_id", String(36), ForeignKey("ports.id"), primary_key=True),
    Column("security_group_id", String(36), ForeignKey("security_groups.id"), primary_key=True, index=True),
)

routers = Table(
    "routers",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("enable_snat", Boolean, nullable=False),
    _id("gateway_port_id", "ports.id", nullable=True),
    _id("gateway_network_id", "networks.id", nullable=True),
    Column("routes", JsonText, nullable=False),  # [[destination, nexthop], ...]
    Column("availability_zone_hints", JsonText, nullable=False),
)

router_interfaces = Table(
    "router_interfaces",
    metadata,
    Column("port_id", String(36), ForeignKey("ports.id"), primary_key=True),
    _id("router_id", "routers.id"),
)

floatingips = Table(
    "floatingips",
    metadata,
    *_standard(name=False),
    _id("floating_network_id", "networks.id"),
    _id("floating_port_id", "ports.id"),
    Column("floating_ip_address", String(64), nullable=False, index=True),
    _id("port_id", "ports.id", nullable=True),
    Column("fixed_ip_address", String(64)),
    _id("router_id", "routers.id", nullable=True),
    Column("status", String(16), nullable=False),
    Column("dns_name", String(255), nullable=False),
    Column("dns_domain", String(255), nullable=False),
    UniqueConstraint("floating_network_id", "port_id", "fixed_ip_address", name="uniq_floatingip_target"),
)

security_groups = Table(
    "security_groups",
    metadata,
    *_standard(),
    Column("stateful", Boolean, nullable=False),
)

default_security_groups = Table(
    "default_security_groups",
    metadata,
    Column("project_id", String(255), primary_key=True),
    _id("security_group_id", "security_groups.id"),
)

security_group_rules = Table(
    "security_group_rules",
    metadata,
    *_standard(name=False, tags=False),
    _id("security_group_id", "security_groups.id", index=False),
    Column("direction", String(8), nullable=False),
    Column("ethertype", String(8), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(64)),
    _id("remote_group_id", "security_groups.id", nullable=True),
    Column("likeness", String(255), nullable=False),
    UniqueConstraint("security_group_id", "likeness", name="uniq_rule"),
)

rbac_policies = Table(
    "rbac_policies",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False, index=True),
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("action", String(32), nullable=False),
    Column("target_project", String(255), nullable=False, index=True),
    UniqueConstraint("object_id", "action", "target_project", name="uniq_rbac"),
)

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),
)

auto_topologies = Table(
    "auto_topologies",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("network_id", String(36), nullable=False),
    Column("router_id", String(36), nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agent_type", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("description", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("heartbeat_timestamp", UtcDateTime, nullable=False),
    Column("alive", Boolean, nullable=False),
    Column("configurations", JsonText, nullable=False),
    UniqueConstraint("agent_type", "host", name="uniq_agent"),
)

needs = Table(
    "needs",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("wanted", BigInteger, nullable=False),  # counts the changes; cleared only if it is still what was read
    Column("since", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
)
