"""The first schema of identity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.kernel.db import JsonText, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("parent_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("is_domain", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("options", JsonText(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
        sa.Column("namespace", sa.String(64), nullable=False),
        sa.UniqueConstraint("namespace", "name"),
    )
    op.create_index("projects_domain", "projects", ["domain_id"])
    op.create_index("projects_parent", "projects", ["parent_id"])
    op.create_table(
        "regions",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parent_region_id", sa.String(255), sa.ForeignKey("regions.id"), nullable=True),
        sa.Column("extra", JsonText(), nullable=False),
    )
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.String(64), nullable=True),
        sa.Column("project_id", sa.String(64), nullable=True),
        sa.Column("domain_id", sa.String(64), nullable=True),
        sa.Column("trust_id", sa.String(64), nullable=True),
        sa.Column("audit_id", sa.String(32), nullable=True),
        sa.Column("audit_chain_id", sa.String(32), nullable=True),
        sa.Column("issued_before", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "services",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("service_id", sa.String(64), sa.ForeignKey("services.id", ondelete="CASCADE"), nullable=False),
        sa.Column("interface", sa.String(8), nullable=False),
        sa.Column("region_id", sa.String(255), sa.ForeignKey("regions.id"), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("domain_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
        sa.UniqueConstraint("domain_id", "name"),
    )
    op.create_table(
        "project_tags",
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
    )
    op.create_table(
        "registered_limits",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("service_id", sa.String(64), sa.ForeignKey("services.id", ondelete="CASCADE"), nullable=False),
        sa.Column("region_id", sa.String(255), sa.ForeignKey("regions.id"), nullable=True),
        sa.Column("resource_name", sa.String(255), nullable=False),
        sa.Column("default_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.UniqueConstraint("service_id", "namespace", "resource_name"),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("domain_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("options", JsonText(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
        sa.Column("namespace", sa.String(64), nullable=False),
        sa.UniqueConstraint("namespace", "name"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("domain_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("default_project_id", sa.String(64), nullable=True),
        sa.Column("options", JsonText(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("domain_id", "name"),
    )
    op.create_table(
        "access_rules",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("path", sa.String(128), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
    )
    op.create_table(
        "application_credentials",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("secret_hash", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("role_ids", JsonText(), nullable=False),
        sa.Column("access_rule_ids", JsonText(), nullable=False),
        sa.UniqueConstraint("user_id", "name"),
    )
    op.create_table(
        "assignments",
        sa.Column("actor_type", sa.String(8), primary_key=True),
        sa.Column("actor_id", sa.String(64), primary_key=True),
        sa.Column("target_type", sa.String(8), primary_key=True),
        sa.Column("target_id", sa.String(64), primary_key=True),
        sa.Column("role_id", sa.String(64), sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("inherited", sa.Boolean(), primary_key=True),
    )
    op.create_index("assignments_actor", "assignments", ["actor_id"])
    op.create_index("assignments_target", "assignments", ["target_id"])
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=True),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
    )
    op.create_table(
        "implied_roles",
        sa.Column("prior_role_id", sa.String(64), sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("implied_role_id", sa.String(64), sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_table(
        "limits",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column(
            "registered_limit_id",
            sa.String(64),
            sa.ForeignKey("registered_limits.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("domain_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("resource_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.UniqueConstraint("registered_limit_id", "owner"),
    )
    op.create_table(
        "memberships",
        sa.Column("group_id", sa.String(64), sa.ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("memberships_user", "memberships", ["user_id"])
    op.create_table(
        "passwords",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("hash", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
    )
    op.create_index("passwords_user", "passwords", ["user_id"])
    op.create_table(
        "trusts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("trustor_user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("trustee_user_id", sa.String(64), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("remaining_uses", sa.Integer(), nullable=True),
        sa.Column("redelegated_trust_id", sa.String(64), nullable=True),
        sa.Column("redelegation_count", sa.Integer(), nullable=False),
        sa.Column("allow_redelegation", sa.Boolean(), nullable=False),
        sa.Column("role_ids", JsonText(), nullable=False),
        sa.Column("extra", JsonText(), nullable=False),
    )
    op.bulk_insert(sa.table("generation", sa.column("id"), sa.column("value")), [{"id": 1, "value": 1}])
