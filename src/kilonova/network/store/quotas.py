"""Quotas: limits that differ from the default, and what is used, counted from the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, select

from kilonova.kernel.db import Transaction
from kilonova.network.store.tables import (
    floatingips,
    networks,
    ports,
    quotas,
    rbac_policies,
    routers,
    security_group_rules,
    security_groups,
    subnetpools,
    subnets,
)

COUNTED: Mapping[str, Table] = {
    "network": networks,
    "subnet": subnets,
    "subnetpool": subnetpools,
    "port": ports,
    "router": routers,
    "floatingip": floatingips,
    "security_group": security_groups,
    "security_group_rule": security_group_rules,
    "rbac_policy": rbac_policies,
}


_LIMITS = select(quotas.c.resource, quotas.c.limit).where(quotas.c.project_id == bindparam("project"))
_USED = {
    resource: select(func.count()).select_from(table).where(table.c.project_id == bindparam("project"))
    for resource, table in COUNTED.items()
}
_ALL_USED = select(*(wanted.scalar_subquery().label(resource) for resource, wanted in _USED.items()))


async def limits_of(tx: Transaction, project_id: str) -> dict[str, int]:
    """The limits that a project has of its own."""
    rows = await tx.all(_LIMITS, {"project": project_id})
    return {row.resource: row.limit for row in rows}


async def all_limits(tx: Transaction) -> dict[str, dict[str, int]]:
    """Every project that has limits of its own."""
    found: dict[str, dict[str, int]] = {}
    for row in await tx.all(select(quotas).order_by(quotas.c.project_id)):
        found.setdefault(row.project_id, {})[row.resource] = row.limit
    return found


async def keep(tx: Transaction, project_id: str, limits: Mapping[str, int]) -> None:
    """Set some limits of a project."""
    await tx.run(delete(quotas).where(quotas.c.project_id == project_id, quotas.c.resource.in_(list(limits))))
    rows: list[dict[str, Any]] = [{"project_id": project_id, "resource": r, "limit": v} for r, v in limits.items()]
    await tx.run(insert(quotas), rows)


async def forget(tx: Transaction, project_id: str) -> int:
    """Back to the defaults; how many limits were dropped."""
    return await tx.run(delete(quotas).where(quotas.c.project_id == project_id))


async def used(tx: Transaction, project_id: str, resource: str) -> int:
    """How many of a resource a project owns."""
    return int(await tx.scalar(_USED[resource], {"project": project_id}) or 0)


async def all_used(tx: Transaction, project_id: str) -> dict[str, int]:
    """How many of each resource a project owns."""
    row = await tx.first(_ALL_USED, {"project": project_id})
    return {} if row is None else dict(row._mapping)
