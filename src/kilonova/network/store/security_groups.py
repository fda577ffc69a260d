"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, insert, literal, or_, select

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.model.security import Rule
from kilonova.network.store import sharing
from kilonova.network.store.listing import Listing, equals, reader, standard, whole
from kilonova.network.store.tables import (
    default_security_groups,
    port_security_groups,
    security_group_rules,
    security_groups,
)

_shared = sharing.granted(security_groups.c.id, sharing.SHARED)
_is_default = exists().where(default_security_groups.c.security_group_id == security_groups.c.id)

LISTING = Listing(
    select=select(security_groups, _shared.label("shared"), _is_default.label("is_default")),
    key=security_groups.c.id,
    visible=or_(security_groups.c.project_id == reader(), _shared),
    columns=dict(security_groups.c),
    filters={
        **standard(security_groups),
        "shared": sharing.flag_filter(_shared),
        "is_default": sharing.flag_filter(_is_default),
    },
)

_rules = security_group_rules
_of_default = exists().where(default_security_groups.c.security_group_id == _rules.c.security_group_id)

RULES = Listing(
    select=select(
        _rules, security_groups.c.project_id.label("group_project_id"), _of_default.label("of_default_group")
    ).join(security_groups, security_groups.c.id == _rules.c.security_group_id),
    key=_rules.c.id,
    visible=or_(_rules.c.project_id == reader(), security_groups.c.project_id == reader()),
    columns=dict(_rules.c),
    filters={
        **standard(_rules, tags=False),
        "protocol": equals(_rules.c.protocol, str.lower),
        "port_range_min": equals(_rules.c.port_range_min, whole),
        "of_default_group": sharing.flag_filter(_of_default),
    },
)


_OF_GROUPS = (
    select(_rules)
    .where(_rules.c.security_group_id.in_(bindparam("groups", expanding=True)))
    .order_by(_rules.c.created_at, _rules.c.id)
)


async def rules_of(tx: Transaction, group_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The rules of each of the groups."""
    found: dict[str, list[Row[Any]]] = {}
    if not group_ids:
        return found
    for row in await tx.all(_OF_GROUPS, {"groups": list(group_ids)}):
        found.setdefault(row.security_group_id, []).append(row)
    return found


async def default_of(tx: Transaction, project_id: str) -> str | None:
    """A project's default group."""
    return await tx.scalar(_DEFAULT, {"project": project_id})  # type: ignore[no-any-return]


_DEFAULT = select(default_security_groups.c.security_group_id).where(
    default_security_groups.c.project_id == bindparam("project")
)


async def make_default(tx: Transaction, project_id: str, group_id: str) -> None:
    """Make a group the project's default one. Raises Duplicate when it has one."""
    await tx.run(insert(default_security_groups).values(project_id=project_id, security_group_id=group_id))


async def add_rule(tx: Transaction, group_id: str, project_id: str, rule: Rule, description: str, now: datetime) -> str:
    """Add a rule to a group. Raises SecurityGroupRuleExists, which names the rule that is alike."""
    rule_id = new_uuid()
    alike = await tx.scalar(
        select(_rules.c.id).where(_rules.c.security_group_id == group_id, _rules.c.likeness == rule.likeness)
    )
    if alike is not None:
        raise errors.SecurityGroupRuleExists(rule_id=alike)
    try:
        await tx.run(
            insert(_rules).values(
                id=rule_id,
                project_id=project_id,
                description=description,
                security_group_id=group_id,
                direction=rule.direction,
                ethertype=rule.ethertype,
                protocol=rule.protocol,
                port_range_min=rule.port_min,
                port_range_max=rule.port_max,
                remote_ip_prefix=rule.remote_ip_prefix,
                remote_group_id=rule.remote_group_id,
                likeness=rule.likeness,
                created_at=now,
                updated_at=now,
                revision_number=0,
            )
        )
    except Duplicate:
        raise errors.SecurityGroupRuleExists(rule_id="of a request made at the same time") from None
    return rule_id


async def in_use(tx: Transaction, group_id: str) -> bool:
    """Whether a port has the group."""
    link = port_security_groups
    statement = select(literal(1)).select_from(link).where(link.c.security_group_id == group_id)
    return await tx.first(statement.limit(1)) is not None


async def groups_naming(tx: Transaction, group_id: str) -> list[str]:
    """Other groups that have rules with this group as the remote one."""
    statement = select(_rules.c.security_group_id).where(
        _rules.c.remote_group_id == group_id, _rules.c.security_group_id != group_id
    )
    return await tx.column(statement.distinct())


async def drop(tx: Transaction, group_id: str) -> None:
    """Delete a group with its rules, and the rules of others that name it."""
    await tx.run(
        delete(_rules).where(or_(_rules.c.security_group_id == group_id, _rules.c.remote_group_id == group_id))
    )
    table = default_security_groups
    await tx.run(delete(table).where(table.c.security_group_id == group_id))
    await tx.run(delete(security_groups).where(security_groups.c.id == group_id))


async def names(tx: Transaction, project_id: str, name: str) -> Sequence[Row[Any]]:
    """Groups of a project by name."""
    statement = select(security_groups).where(security_groups.c.project_id == project_id)
    return await tx.all(statement.where(security_groups.c.name == name))
