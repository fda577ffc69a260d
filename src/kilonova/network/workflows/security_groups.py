"""Security groups: the default one of each project, rules, and what a change reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Duplicate, Row
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.drivers.driver import Kind
from kilonova.network.model import security
from kilonova.network.store import security_groups, sharing, standard, tables
from kilonova.network.store.standard import Clash
from kilonova.network.workflows.change import Change

DEFAULT = "default"


async def ensure_default(change: Change, project_id: str) -> str:
    """The project's default group, made when it is first needed; its id."""
    found = await security_groups.default_of(change.tx, project_id)
    if found is not None:
        return found
    group_id = await _add(change, project_id, DEFAULT, "Default security group", (), stateful=True)
    try:
        await security_groups.make_default(change.tx, project_id, group_id)
    except Duplicate:
        raise Clash() from None
    await _add_first_rules(change, project_id, group_id, default=True)
    return group_id


async def create_group(change: Change, ask: Mapping[str, Any]) -> str:
    """Make a group with the rules every group begins with; its id. The project gets its default group first."""
    project_id = ask["project_id"]
    if project_id:
        await ensure_default(change, project_id)
    if ask["name"].lower() == DEFAULT:
        raise errors.SecurityGroupDefaultAlreadyExists()
    await change.check_quota(project_id, "security_group")
    await change.check_quota(project_id, "security_group_rule", 2)
    group_id = await _add(change, project_id, ask["name"], ask["description"], ask["tags"], stateful=ask["stateful"])
    await _add_first_rules(change, project_id, group_id, default=False)
    return group_id


async def _add(
    change: Change, project_id: str, name: str, description: str, tags: Sequence[str], *, stateful: bool
) -> str:
    group_id = new_uuid()
    values = {
        "id": group_id,
        "project_id": project_id,
        "name": name,
        "description": description,
        "tags": tags,
        "stateful": stateful,
    }
    await standard.add(change.tx, tables.security_groups, values, change.now)
    change.touch(Kind.SECURITY_GROUP, group_id)
    return group_id


async def _add_first_rules(change: Change, project_id: str, group_id: str, *, default: bool) -> None:
    for rule in security.first_rules(group_id, default=default):
        await security_groups.add_rule(change.tx, group_id, project_id, rule, "", change.now)


async def update_group(change: Change, row: Row[Any], ask: Mapping[str, Any]) -> None:
    """Change a group; the default group keeps its name."""
    if row.is_default and "name" in ask and ask["name"] != row.name:
        raise errors.SecurityGroupCannotUpdateDefault()
    if ask.get("name", row.name).lower() == DEFAULT and not row.is_default:
        raise errors.SecurityGroupDefaultAlreadyExists()
    if "stateful" in ask and ask["stateful"] != row.stateful and await security_groups.in_use(change.tx, row.id):
        raise errors.SecurityGroupInUse(id=row.id)
    await standard.change(change.tx, tables.security_groups, row.id, ask, change.now)
    change.touch(Kind.SECURITY_GROUP, row.id)


async def delete_group(change: Change, row: Row[Any]) -> None:
    """Delete a group that no port has; rules of other groups that name it go too. Admins may take a default group."""
    await standard.find(change.tx, tables.security_groups, row.id)
    if await security_groups.in_use(change.tx, row.id):
        raise errors.SecurityGroupInUse(id=row.id)
    if row.is_default and not change.context.is_admin:
        raise errors.SecurityGroupCannotRemoveDefault()
    naming = await security_groups.groups_naming(change.tx, row.id)
    await security_groups.drop(change.tx, row.id)
    await sharing.take(change.tx, row.id)
    for group_id in naming:
        await standard.change(change.tx, tables.security_groups, group_id, {}, change.now)
    change.touch(Kind.SECURITY_GROUP, row.id, *naming)


async def create_rule(change: Change, group: Row[Any], ask: Mapping[str, Any], remote: Row[Any] | None) -> str:
    """Add a rule to a group. ``remote``: the remote group, when the rule names one."""
    await change.check_quota(ask["project_id"], "security_group_rule")
    rule = security.check_rule(
        security.Rule(
            direction=ask["direction"],
            ethertype=ask["ethertype"],
            protocol=ask["protocol"],
            port_min=ask["port_range_min"],
            port_max=ask["port_range_max"],
            remote_ip_prefix=ask["remote_ip_prefix"],
            remote_group_id=remote.id if remote is not None else None,
        )
    )
    rule_id = await security_groups.add_rule(
        change.tx, group.id, ask["project_id"], rule, ask["description"], change.now
    )
    await standard.change(change.tx, tables.security_groups, group.id, {}, change.now)
    change.touch(Kind.SECURITY_GROUP, group.id)
    if remote is not None:
        change.touch(Kind.SECURITY_GROUP, remote.id)
    return rule_id


async def delete_rule(change: Change, row: Row[Any]) -> None:
    """Take a rule away."""
    await standard.drop(change.tx, tables.security_group_rules, row.id)
    await standard.change(change.tx, tables.security_groups, row.security_group_id, {}, change.now)
    change.touch(Kind.SECURITY_GROUP, row.security_group_id)
