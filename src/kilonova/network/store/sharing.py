"""Role based access: who else may see or use an object. Sharing with everybody is a policy for ``*``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, insert, literal, or_, select

from kilonova.kernel.db import Transaction
from kilonova.kernel.ids import new_uuid
from kilonova.network.store.listing import Filter, Listing, equals, flag, reader, standard
from kilonova.network.store.tables import rbac_policies

SHARED, EXTERNAL = "access_as_shared", "access_as_external"
EVERYBODY = "*"
OBJECT_TYPES = ("network", "security_group", "subnetpool")

LISTING = Listing(
    select=select(rbac_policies),
    key=rbac_policies.c.id,
    visible=rbac_policies.c.project_id == reader(),
    columns=dict(rbac_policies.c),
    filters={**standard(rbac_policies, tags=False), "target_tenant": equals(rbac_policies.c.target_project)},
)


def granted(object_id: ColumnElement[str], action: str, *, anybody: bool = False) -> ColumnElement[bool]:
    """Whether the reader (or, with ``anybody``, anyone at all) was given ``action`` on the object."""
    clause = and_(rbac_policies.c.object_id == object_id, rbac_policies.c.action == action)
    if not anybody:
        clause = and_(clause, rbac_policies.c.target_project.in_((reader(), EVERYBODY)))
    return exists().where(clause)


def flag_filter(holds: ColumnElement[bool]) -> Filter:
    """A filter over something computed that is true or false."""
    return Filter(
        lambda values: or_(and_(holds, values_contain(values, True)), and_(~holds, values_contain(values, False))), flag
    )


def values_contain(values: Any, value: bool) -> ColumnElement[bool]:
    """Whether the list parameter holds ``value``."""
    return literal(value).in_(values)


async def give(tx: Transaction, *, object_type: str, object_id: str, action: str, target: str, project_id: str) -> str:
    """Record that ``target`` (a project, or everybody) may do ``action``. Raises Duplicate."""
    policy_id = new_uuid()
    await tx.run(
        insert(rbac_policies).values(
            id=policy_id,
            project_id=project_id,
            object_type=object_type,
            object_id=object_id,
            action=action,
            target_project=target,
        )
    )
    return policy_id


async def take(tx: Transaction, object_id: str, action: str | None = None, target: str | None = None) -> None:
    """Forget what was given on an object: all of it, or one action, or one action of one target."""
    statement = delete(rbac_policies).where(rbac_policies.c.object_id == object_id)
    if action is not None:
        statement = statement.where(rbac_policies.c.action == action)
    if target is not None:
        statement = statement.where(rbac_policies.c.target_project == target)
    await tx.run(statement)


async def of_object(tx: Transaction, object_id: str) -> Sequence[Row[Any]]:
    """All that was given on an object."""
    return await tx.all(select(rbac_policies).where(rbac_policies.c.object_id == object_id))


async def find(tx: Transaction, policy_id: str) -> Row[Any] | None:
    """One policy."""
    return await tx.first(select(rbac_policies).where(rbac_policies.c.id == policy_id))


async def retarget(tx: Transaction, policy_id: str, target: str) -> None:
    """Give to somebody else. Raises Duplicate."""
    await tx.run(rbac_policies.update().where(rbac_policies.c.id == policy_id).values(target_project=target))


async def remove(tx: Transaction, policy_id: str) -> None:
    """Forget one policy."""
    await tx.run(delete(rbac_policies).where(rbac_policies.c.id == policy_id))
