"""Role based access: sharing networks, groups and subnet pools with single projects or everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.db import Duplicate, Row
from kilonova.network import errors
from kilonova.network.drivers.driver import Kind
from kilonova.network.store import networks, sharing
from kilonova.network.workflows.change import Change


async def create_policy(change: Change, ask: Mapping[str, Any]) -> str:
    """Share an object; the policy's id."""
    await change.check_quota(ask["project_id"], "rbac_policy")
    action, kind = ask["action"], ask["object_type"]
    if action == sharing.EXTERNAL and kind != "network":
        raise errors.InvalidInput(reason=f"action '{action}' is not valid for objects of type '{kind}'")
    try:
        policy_id = await sharing.give(
            change.tx,
            object_type=kind,
            object_id=ask["object_id"],
            action=action,
            target=ask["target_project"],
            project_id=ask["project_id"],
        )
    except Duplicate:
        raise errors.DuplicateRbacPolicy() from None
    _touch(change, kind, action, ask["object_id"])
    return policy_id


async def update_policy(change: Change, row: Row[Any], target: str) -> None:
    """Share with somebody else."""
    await _refuse_needed(change, row)
    try:
        await sharing.retarget(change.tx, row.id, target)
    except Duplicate:
        raise errors.DuplicateRbacPolicy() from None


async def delete_policy(change: Change, row: Row[Any]) -> None:
    """Share no longer. Raises RbacPolicyInUse while others use the object because of it."""
    await _refuse_needed(change, row)
    await sharing.remove(change.tx, row.id)
    _touch(change, row.object_type, row.action, row.object_id)


def _touch(change: Change, kind: str, action: str, object_id: str) -> None:
    if kind == "network" and action == sharing.EXTERNAL:
        change.touch(Kind.NETWORK, object_id)


async def _refuse_needed(change: Change, row: Row[Any]) -> None:
    if row.object_type != "network":
        return
    given = await sharing.of_object(change.tx, row.object_id)
    others = [p for p in given if p.action == row.action and p.id != row.id]
    if row.action == sharing.EXTERNAL:
        if not others and await networks.has_gateway_ports(change.tx, row.object_id):
            raise errors.RbacPolicyInUse(object_id=row.object_id, reason="gateway ports are on the network")
        return
    network = await networks.facts(change.tx, row.object_id, None)
    if network is None or any(p.target_project == sharing.EVERYBODY for p in others):
        return
    keep = [p.target_project for p in others]
    users = await networks.other_users(change.tx, row.object_id, network.project_id, keep)
    if row.target_project in (sharing.EVERYBODY, *users) and users:
        raise errors.RbacPolicyInUse(object_id=row.object_id, reason=f"projects {', '.join(users)} have ports there")
