"""Limits and what is used of them. Use is counted where it is needed, inside the transaction that adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, literal, select, update

from kilonova.compute.errors import QuotaExceeded
from kilonova.compute.store.tables import (
    keypairs,
    quota_classes,
    quotas,
    server_group_members,
    server_groups,
    servers,
)
from kilonova.kernel.db import Transaction

WHOLE_PROJECT = ""
DEFAULT_CLASS = "default"


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What a project's (or one user's) servers take."""

    instances: int
    cores: int
    ram: int


_LIMITS = (
    select(quotas.c.user_id, quotas.c.resource, quotas.c.hard_limit)
    .where(
        quotas.c.project_id == bindparam("project"), quotas.c.user_id.in_((literal(WHOLE_PROJECT), bindparam("user")))
    )
    .order_by(quotas.c.user_id)
)
_OF_CLASS = select(quota_classes.c.resource, quota_classes.c.hard_limit).where(
    quota_classes.c.class_name == bindparam("name")
)
_USE = select(
    func.count(), func.coalesce(func.sum(servers.c.vcpus), 0), func.coalesce(func.sum(servers.c.ram_mib), 0)
).where(servers.c.project_id == bindparam("project"), servers.c.deleted.is_(False))
_USE_OF_USER = _USE.where(servers.c.user_id == bindparam("user"))


async def limits(
    tx: Transaction, defaults: Mapping[str, int], project_id: str, user_id: str | None = None
) -> dict[str, int]:
    """The limits that hold: the user's own, else the project's, else the default class, else the options."""
    return (await _both_limits(tx, defaults, project_id, user_id))[1]


async def _both_limits(
    tx: Transaction, defaults: Mapping[str, int], project_id: str, user_id: str | None
) -> tuple[dict[str, int], dict[str, int]]:
    """The limits of the project, and those of one user in it."""
    everyone = await class_limits(tx, defaults)
    own: dict[str, int] = {}
    for row in await tx.all(_LIMITS, {"project": project_id, "user": user_id or WHOLE_PROJECT}):
        (everyone if row.user_id == WHOLE_PROJECT else own)[row.resource] = row.hard_limit
    return everyone, {**everyone, **own}


async def class_limits(tx: Transaction, defaults: Mapping[str, int], class_name: str = DEFAULT_CLASS) -> dict[str, int]:
    """The limits of a class, from the options where it sets none."""
    rows = await tx.all(_OF_CLASS, {"name": class_name})
    return {**defaults, **{row.resource: row.hard_limit for row in rows}}


async def server_use(tx: Transaction, project_id: str, user_id: str | None = None) -> ServerUse:
    """What servers take now; those being built and those in error count too."""
    given = {"project": project_id}
    row = await tx.first(
        _USE if user_id is None else _USE_OF_USER, given if user_id is None else {**given, "user": user_id}
    )
    return ServerUse(*(int(amount) for amount in row)) if row is not None else ServerUse(0, 0, 0)


async def group_use(tx: Transaction, project_id: str) -> int:
    """How many server groups a project has."""
    return int(await tx.scalar(select(func.count()).where(server_groups.c.project_id == project_id)))


async def member_use(tx: Transaction, group_number: int) -> int:
    """How many living servers are members of a group."""
    return int(
        await tx.scalar(
            select(func.count()).where(
                server_group_members.c.group_number == group_number,
                servers.c.id == server_group_members.c.server_id,
                servers.c.deleted.is_(False),
            )
        )
    )


async def keypair_use(tx: Transaction, user_id: str) -> int:
    """How many key pairs a user has."""
    return int(await tx.scalar(select(func.count()).where(keypairs.c.user_id == user_id)))


def check_room(limit: int, used: int, asked: int, what: str) -> None:
    """Raises QuotaExceeded when `asked` more would be above `limit` (-1: there is none)."""
    if limit >= 0 and used + asked > limit:
        raise QuotaExceeded(what=what, asked=asked, used=used, limit=limit)


async def check_servers(
    tx: Transaction,
    defaults: Mapping[str, int],
    project_id: str,
    user_id: str,
    *,
    count: int,
    least: int,
    vcpus: int,
    ram_mib: int,
) -> int:
    """How many of `count` servers of this size there is room for. Raises QuotaExceeded when fewer than
    `least`.

    Run it in the transaction that inserts the servers: those of one project are one at a time, so no two can
    take the same room.
    """
    await tx.alone("quota", project_id)
    everyone, mine = await _both_limits(tx, defaults, project_id, user_id)
    pairs = [(everyone, await server_use(tx, project_id))]
    if mine != everyone:
        pairs.append((mine, await server_use(tx, project_id, user_id)))
    room = count
    for limit, use in pairs:
        for name, used, each in (
            ("instances", use.instances, 1),
            ("cores", use.cores, vcpus),
            ("ram", use.ram, ram_mib),
        ):
            if limit[name] >= 0 and each > 0:
                room = min(room, (limit[name] - used) // each)
                if room < least:
                    raise QuotaExceeded(what=name, asked=each * least, used=used, limit=limit[name])
    return room


async def set_limit(tx: Transaction, project_id: str, user_id: str, resource: str, limit: int) -> None:
    """Set one limit of a project, or of one user in it."""
    key = (quotas.c.project_id == project_id, quotas.c.user_id == user_id, quotas.c.resource == resource)
    if not await tx.run(update(quotas).where(*key).values(hard_limit=limit)):
        await tx.run(insert(quotas).values(project_id=project_id, user_id=user_id, resource=resource, hard_limit=limit))


async def set_class_limit(tx: Transaction, class_name: str, resource: str, limit: int) -> None:
    """Set one limit of a class."""
    key = (quota_classes.c.class_name == class_name, quota_classes.c.resource == resource)
    if not await tx.run(update(quota_classes).where(*key).values(hard_limit=limit)):
        await tx.run(insert(quota_classes).values(class_name=class_name, resource=resource, hard_limit=limit))


async def forget(tx: Transaction, project_id: str, user_id: str | None) -> None:
    """Back to the defaults: a whole project with all its users, or one user."""
    wanted: Any = delete(quotas).where(quotas.c.project_id == project_id)
    if user_id is not None:
        wanted = wanted.where(quotas.c.user_id == user_id)
    await tx.run(wanted)
