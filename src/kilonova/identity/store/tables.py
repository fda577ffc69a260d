"""The tables of identity. Ids are 32 hexadecimal digits, except ``default`` and regions, which users may name.

``namespace`` columns make names unique where the owner may be absent (domains, global roles): SQL does not compare
NULLs. ``extra`` keeps members that users put on an object beyond the known ones, as upstream does.
"""

from __future__ import annotations

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

from kilonova.kernel.db import JsonText, UtcDateTime

metadata = MetaData()


def _id(name: str = "id", **options: object) -> Column[str]:
    return Column(name, String(64), primary_key=True, **options)  # type: ignore[arg-type]


def _of(name: str, target: str, *, nullable: bool = False, key: bool = False) -> Column[str]:
    return Column(name, String(64), ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=nullable, primary_key=key)


projects = Table(
    "projects",
    metadata,
    _id(),
    Column("name", String(64), nullable=False),
    _of("domain_id", "projects", nullable=True),
    _of("parent_id", "projects", nullable=True),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    Column("options", JsonText, nullable=False),
    Column("extra", JsonText, nullable=False),
    Column("namespace", String(64), nullable=False),
    UniqueConstraint("namespace", "name"),
)
Index("projects_parent", projects.c.parent_id)
Index("projects_domain", projects.c.domain_id)

project_tags = Table(
    "project_tags",
    metadata,
    _of("project_id", "projects", key=True),
    Column("name", String(255), primary_key=True),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    _of("domain_id", "projects"),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", String(64)),
    Column("options", JsonText, nullable=False),
    Column("extra", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

passwords = Table(
    "passwords",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _of("user_id", "users"),
    Column("hash", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)
Index("passwords_user", passwords.c.user_id)

failed_logins = Table(
    "failed_logins",
    metadata,
    _of("user_id", "users", key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    _id(),
    Column("name", String(64), nullable=False),
    _of("domain_id", "projects"),
    Column("description", Text, nullable=False),
    Column("extra", JsonText, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

memberships = Table("memberships", metadata, _of("group_id", "groups", key=True), _of("user_id", "users", key=True))
Index("memberships_user", memberships.c.user_id)

roles = Table(
    "roles",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    _of("domain_id", "projects", nullable=True),
    Column("description", Text),
    Column("options", JsonText, nullable=False),
    Column("extra", JsonText, nullable=False),
    Column("namespace", String(64), nullable=False),
    UniqueConstraint("namespace", "name"),
)

implied_roles = Table(
    "implied_roles",
    metadata,
    _of("prior_role_id", "roles", key=True),
    _of("implied_role_id", "roles", key=True),
)

assignments = Table(
    "assignments",
    metadata,
    Column("actor_type", String(8), primary_key=True),
    Column("actor_id", String(64), primary_key=True),
    Column("target_type", String(8), primary_key=True),
    Column("target_id", String(64), primary_key=True),
    _of("role_id", "roles", key=True),
    Column("inherited", Boolean, primary_key=True),
)
Index("assignments_target", assignments.c.target_id)
Index("assignments_actor", assignments.c.actor_id)

regions = Table(
    "regions",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("description", Text, nullable=False),
    Column("parent_region_id", String(255), ForeignKey("regions.id")),
    Column("extra", JsonText, nullable=False),
)

services = Table(
    "services",
    metadata,
    _id(),
    Column("type", String(255), nullable=False),
    Column("name", String(255)),
    Column("description", Text),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JsonText, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    _id(),
    _of("service_id", "services"),
    Column("interface", String(8), nullable=False),
    Column("region_id", String(255), ForeignKey("regions.id")),
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JsonText, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    _id(),
    _of("user_id", "users"),
    Column("project_id", String(64)),
    Column("type", String(255), nullable=False),
    Column("blob", Text, nullable=False),
    Column("extra", JsonText, nullable=False),
)

access_rules = Table(
    "access_rules",
    metadata,
    _id(),
    _of("user_id", "users"),
    Column("service", String(64), nullable=False),
    Column("path", String(128), nullable=False),
    Column("method", String(16), nullable=False),
)

application_credentials = Table(
    "application_credentials",
    metadata,
    _id(),
    _of("user_id", "users"),
    _of("project_id", "projects"),
    Column("name", String(255), nullable=False),
    Column("secret_hash", String(255), nullable=False),
    Column("description", Text),
    Column("expires_at", UtcDateTime),
    Column("unrestricted", Boolean, nullable=False),
    Column("role_ids", JsonText, nullable=False),
    Column("access_rule_ids", JsonText, nullable=False),
    UniqueConstraint("user_id", "name"),
)

trusts = Table(
    "trusts",
    metadata,
    _id(),
    _of("trustor_user_id", "users"),
    _of("trustee_user_id", "users"),
    _of("project_id", "projects", nullable=True),
    Column("impersonation", Boolean, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("remaining_uses", Integer),
    Column("redelegated_trust_id", String(64)),
    Column("redelegation_count", Integer, nullable=False),
    Column("allow_redelegation", Boolean, nullable=False),
    Column("role_ids", JsonText, nullable=False),
    Column("extra", JsonText, nullable=False),
)

registered_limits = Table(
    "registered_limits",
    metadata,
    _id(),
    _of("service_id", "services"),
    Column("region_id", String(255), ForeignKey("regions.id")),
    Column("resource_name", String(255), nullable=False),
    Column("default_limit", BigInteger, nullable=False),
    Column("description", Text),
    Column("namespace", String(255), nullable=False),
    UniqueConstraint("service_id", "namespace", "resource_name"),
)

limits = Table(
    "limits",
    metadata,
    _id(),
    _of("registered_limit_id", "registered_limits"),
    _of("project_id", "projects", nullable=True),
    _of("domain_id", "projects", nullable=True),
    Column("resource_limit", BigInteger, nullable=False),
    Column("description", Text),
    Column("owner", String(64), nullable=False),
    UniqueConstraint("registered_limit_id", "owner"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(64)),
    Column("project_id", String(64)),
    Column("domain_id", String(64)),
    Column("trust_id", String(64)),
    Column("audit_id", String(32)),
    Column("audit_chain_id", String(32)),
    Column("issued_before", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=False),
)

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
