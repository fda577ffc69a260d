"""Roles, what they imply, and who was given them where."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, select

from kilonova.identity.model.nouns import Assignment, Role
from kilonova.identity.store.records import Records, pairs, value_of
from kilonova.identity.store.tables import assignments, implied_roles, roles
from kilonova.kernel.db import Transaction

ROLES: Records[Role] = Records(roles, Role)
_columns = select(
    assignments.c.actor_type,
    assignments.c.actor_id,
    assignments.c.target_type,
    assignments.c.target_id,
    assignments.c.role_id,
    assignments.c.inherited,
)
_of_actors = _columns.where(assignments.c.actor_id.in_(bindparam("ids", expanding=True)))


async def role_named(tx: Transaction, name: str, domain_id: str | None = None) -> Role | None:
    """The global role of that name, or that of a domain."""
    return await ROLES.one(tx, roles.c.name == name, roles.c.namespace == (domain_id or ""))


async def implications(tx: Transaction) -> dict[str, list[str]]:
    """Prior role id -> implied role ids, for all."""
    found: dict[str, list[str]] = {}
    statement = select(implied_roles.c.prior_role_id, implied_roles.c.implied_role_id)
    for prior, implied in await pairs(tx, statement):
        found.setdefault(prior, []).append(implied)
    return found


async def imply(tx: Transaction, prior_id: str, implied_id: str) -> None:
    """Raises Duplicate when it is so already."""
    await tx.run(insert(implied_roles), {"prior_role_id": prior_id, "implied_role_id": implied_id})


async def stop_implying(tx: Transaction, prior_id: str, implied_id: str) -> bool:
    """Whether it was so."""
    statement = delete(implied_roles).where(
        implied_roles.c.prior_role_id == prior_id, implied_roles.c.implied_role_id == implied_id
    )
    return await tx.run(statement) > 0


async def assignments_of(tx: Transaction, actor_ids: list[str]) -> list[Assignment]:
    """All assignments of these users and groups."""
    return [value_of(Assignment, row) for row in await tx.all(_of_actors, {"ids": actor_ids})]


async def assignments_where(tx: Transaction, **members: Any) -> list[Assignment]:
    """Assignments whose members have these values; a list stands for any of its values."""
    conditions: list[ColumnElement[bool]] = []
    for name, value in members.items():
        column = assignments.c[name]
        conditions.append(column.in_(value) if isinstance(value, (list, tuple, set)) else column == value)
    statement = _columns.where(*conditions).order_by(
        assignments.c.target_type, assignments.c.target_id, assignments.c.actor_id, assignments.c.role_id
    )
    return [value_of(Assignment, row) for row in await tx.all(statement)]


async def grant(tx: Transaction, one: Assignment) -> bool:
    """Assign; whether it is new."""
    if await tx.first(_columns.where(_same(one))) is not None:
        return False
    await tx.run(insert(assignments), asdict(one))
    return True


async def ungrant(tx: Transaction, one: Assignment) -> bool:
    """Take away; whether it was there."""
    return await tx.run(delete(assignments).where(_same(one))) > 0


async def has_grant(tx: Transaction, one: Assignment) -> bool:
    """Whether exactly this assignment exists."""
    return await tx.first(_columns.where(_same(one))) is not None


def _same(one: Assignment) -> ColumnElement[bool]:
    return and_(*(assignments.c[name] == value for name, value in asdict(one).items()))
