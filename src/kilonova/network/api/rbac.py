"""RBAC policies over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.db import Row
from kilonova.kernel.web import Request
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import REQUIRED, at_birth, both, shown
from kilonova.network.api.collection import Parent, Resource, Wire, reader_of
from kilonova.network.service import Network
from kilonova.network.store import networks, security_groups, sharing, subnets
from kilonova.network.store.listing import Listing
from kilonova.network.workflows import rbac as work
from kilonova.network.workflows.change import Change

_OBJECTS: Mapping[str, tuple[Listing, type[Exception]]] = {
    "network": (networks.LISTING, errors.NetworkNotFound),
    "security_group": (security_groups.LISTING, errors.SecurityGroupNotFound),
    "subnetpool": (subnets.POOLS, errors.SubnetPoolNotFound),
}

ATTRIBUTES = (
    shown("id"),
    shown("tenant_id", becomes="project_id"),
    shown("project_id"),
    at_birth("object_type", {"enum": list(sharing.OBJECT_TYPES)}, REQUIRED),
    at_birth("object_id", rows.ID, REQUIRED),
    at_birth("action", {"enum": [sharing.SHARED, sharing.EXTERNAL]}, REQUIRED),
    both("target_tenant", {**rows.text(), "minLength": 1}, becomes="target_tenant"),
    both("target_project", {**rows.text(), "minLength": 1}),
)


def view(row: Row[Any], related: Any) -> Wire:
    """A policy on the wire."""
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "action": row.action,
        "target_tenant": row.target_project,
        "target_project": row.target_project,
    }


def _target(ask: Mapping[str, Any]) -> str:
    named = {ask[name] for name in ("target_tenant", "target_project") if ask.get(name) is not None}
    if len(named) != 1:
        raise errors.HTTPBadRequest(reason="exactly one target must be named: target_tenant")
    return str(named.pop())


async def _object(change: Change, request: Request[Network], ask: Mapping[str, Any]) -> Parent:
    listing, missing = _OBJECTS[ask["object_type"]]
    found = await listing.one(change.tx, reader_of(request.context), ask["object_id"])
    if found is None:
        raise missing(id=ask["object_id"])  # type: ignore[call-arg]
    if not request.context.is_admin and found.project_id != request.context.project_id:
        raise errors.PolicyNotAuthorized(rule="rule:create_rbac_policy")
    return Parent(found)


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    return await work.create_policy(change, {**ask, "target_project": _target(ask)})


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_policy(change, row, _target(ask))


POLICIES = Resource(
    name="rbac_policy",
    plural="rbac_policies",
    attributes=ATTRIBUTES,
    listing=sharing.LISTING,
    missing=errors.RbacPolicyNotFound,
    view=view,
    parent=_object,
    make=_make,
    alter=_alter,
    remove=work.delete_policy,
    taggable=False,
)
