"""Every table of compute. A change here comes with a migration in migrations/versions.

A server is one row, with all that a list of servers shows in it, so that a page of a hundred is one
statement. What is a value of the server alone (metadata, snapshots of flavor and image, network cards) is
JSON in that row; what other rows point at has its own table. `vcpus` and `ram_mib` are copied out of the
flavor so that quota is one sum.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from kilonova.kernel.db import JsonText, UtcDateTime
from kilonova.kernel.tasks.journal import operations_table

metadata = MetaData()

UUID = String(36)
NAME = String(255)

servers = Table(
    "servers",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),
    Column("generation", Integer, nullable=False, default=0),
    Column("project_id", NAME, nullable=False),
    Column("user_id", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("description", NAME),
    Column("hostname", NAME, nullable=False),
    Column("vm_state", String(32), nullable=False),
    Column("task_state", String(64)),
    Column("power_state", Integer, nullable=False, default=0),
    Column("progress", Integer, nullable=False, default=0),
    Column("host", NAME),
    Column("node", NAME),
    Column("zone", NAME),  # of the host it is on; before that the one asked for
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("launched_at", UtcDateTime),
    Column("terminated_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("flavor_id", NAME, nullable=False),
    Column("flavor", JsonText, nullable=False),  # model.flavors.FlavorSnapshot
    Column("image_id", String(36), nullable=False, default=""),
    Column("image", JsonText, nullable=False),  # model.servers.ImageSnapshot
    Column("spec", JsonText, nullable=False),  # model.servers.ServerSpec
    Column("vifs", JsonText, nullable=False),  # [model.servers.Vif]
    Column("addresses", Text, nullable=False, default=""),  # ",10.0.0.4,fd00::4,": derived from vifs, to be searched
    Column("metadata", JsonText, nullable=False),
    Column("tags", Text, nullable=False, default=""),  # ",one,two,": a tag cannot hold a comma
    Column("fault", JsonText),  # model.servers.Fault
    Column("locked_by", String(16)),  # owner | admin
    Column("locked_reason", NAME),
    Column("reservation_id", NAME, nullable=False, default=""),
    Column("launch_index", Integer, nullable=False, default=0),
    Column("key_name", NAME),
    Column("key_type", String(16)),
    Column("public_key", Text),
    Column("user_data", Text),
    Column("config_drive", Boolean, nullable=False, default=False),
    Column("access_ipv4", String(39)),
    Column("access_ipv6", String(39)),
    Column("disk_config", String(8), nullable=False, default="MANUAL"),
    Column("root_device", NAME, nullable=False, default="/dev/vda"),
    Column("security_groups", JsonText, nullable=False),  # [name]
    Index("servers_of_project", "project_id", "deleted", "created_at", "number"),
    Index("servers_by_age", "deleted", "created_at", "number"),
    Index("servers_on_host", "host", "deleted"),
    Index("servers_of_reservation", "reservation_id"),
    Index("servers_changed", "updated_at"),
    sqlite_autoincrement=True,
)

flavors = Table(
    "flavors",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("flavor_id", NAME, nullable=False, unique=True),
    Column("name", NAME, nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("disk_gib", Integer, nullable=False),
    Column("ephemeral_gib", Integer, nullable=False, default=0),
    Column("swap_mib", Integer, nullable=False, default=0),
    Column("rxtx_factor", Float, nullable=False, default=1.0),
    Column("is_public", Boolean, nullable=False, default=True),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("description", Text),
    Column("extra_specs", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
)

flavor_projects = Table(
    "flavor_projects",
    metadata,
    Column("flavor_number", Integer, ForeignKey("flavors.number", ondelete="CASCADE"), primary_key=True),
    Column("project_id", NAME, primary_key=True),
)

keypairs = Table(
    "keypairs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("user_id", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("type", String(16), nullable=False, default="ssh"),
    Column("fingerprint", NAME, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "name"),
)

services = Table(
    "services",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),
    Column("host", NAME, nullable=False),
    Column("binary", NAME, nullable=False),
    Column("topic", NAME, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("disabled_reason", NAME),
    Column("forced_down", Boolean, nullable=False, default=False),
    Column("last_seen_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    UniqueConstraint("host", "binary"),
)

compute_nodes = Table(
    "compute_nodes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),  # also the uuid of its resource provider
    Column("host", NAME, nullable=False),
    Column("hypervisor_hostname", NAME, nullable=False),
    Column("hypervisor_type", String(32), nullable=False),
    Column("hypervisor_version", Integer, nullable=False, default=0),
    Column("host_ip", String(39), nullable=False, default=""),
    Column("vcpus", Integer, nullable=False, default=0),
    Column("vcpus_used", Integer, nullable=False, default=0),
    Column("ram_mib", Integer, nullable=False, default=0),
    Column("ram_used_mib", Integer, nullable=False, default=0),
    Column("disk_gib", Integer, nullable=False, default=0),
    Column("disk_used_gib", Integer, nullable=False, default=0),
    Column("disk_available_least_gib", Integer),
    Column("running_servers", Integer, nullable=False, default=0),
    Column("workload", Integer, nullable=False, default=0),
    Column("cpu_info", JsonText, nullable=False),
    Column("supported", JsonText, nullable=False),  # [[arch, hypervisor, vm mode]]
    Column("uptime", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    UniqueConstraint("host", "hypervisor_hostname"),
)

aggregates = Table(
    "aggregates",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),
    Column("name", NAME, nullable=False, unique=True),
    Column("metadata", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    sqlite_autoincrement=True,
)

aggregate_hosts = Table(
    "aggregate_hosts",
    metadata,
    Column("aggregate_number", Integer, ForeignKey("aggregates.number", ondelete="CASCADE"), primary_key=True),
    Column("host", NAME, primary_key=True, index=True),
)

server_groups = Table(
    "server_groups",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),
    Column("project_id", NAME, nullable=False, index=True),
    Column("user_id", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("max_server_per_host", Integer),
    Column("created_at", UtcDateTime, nullable=False),
)

server_group_members = Table(
    "server_group_members",
    metadata,
    Column("group_number", Integer, ForeignKey("server_groups.number", ondelete="CASCADE"), primary_key=True),
    Column("server_id", UUID, primary_key=True, index=True),
    Column("user_id", NAME, nullable=False),
)

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", NAME, primary_key=True),
    Column("user_id", NAME, primary_key=True, default=""),  # "" for the project's own limit
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
)

quota_classes = Table(
    "quota_classes",
    metadata,
    Column("class_name", NAME, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
)

console_tokens = Table(
    "console_tokens",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("token_hash", String(64), nullable=False, unique=True),  # sha256 hex; the token itself is never kept
    Column("server_id", UUID, nullable=False, index=True),
    Column("console_type", String(32), nullable=False),
    Column("host", NAME, nullable=False),
    Column("port", Integer),
    Column("tls_port", Integer),
    Column("internal_access_path", Text),
    Column("access_url_base", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", UUID, nullable=False, unique=True),
    Column("server_id", UUID, nullable=False, index=True),
    Column("project_id", NAME, nullable=False),
    Column("user_id", NAME, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("source_host", NAME),
    Column("source_node", NAME),
    Column("dest_host", NAME),
    Column("dest_node", NAME),
    Column("old_flavor_id", NAME),
    Column("new_flavor_id", NAME),
    Column("hidden", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
)

operations = operations_table(metadata)
"""What was asked for: the journal, which is also the list of instance actions and their events."""
