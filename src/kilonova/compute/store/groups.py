"""Queries of server groups and their members."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select

from kilonova.compute.store.tables import server_group_members, server_groups, servers
from kilonova.kernel.db import Page, Transaction, paginate

_COLUMNS = {"number": server_groups.c.number}


async def page(tx: Transaction, project_id: str | None, page: Page) -> Sequence[Row[Any]]:
    """A page of groups, of one project or (None) of all."""
    wanted: Select[Any] = select(server_groups)
    if project_id is not None:
        wanted = wanted.where(server_groups.c.project_id == project_id)
    return await tx.all(paginate(wanted, _COLUMNS, page))


async def find(tx: Transaction, group_id: str, project_id: str | None = None) -> Row[Any] | None:
    """One group, or None; `project_id` None: whose ever it is."""
    wanted: Select[Any] = select(server_groups).where(server_groups.c.id == group_id)
    if project_id is not None:
        wanted = wanted.where(server_groups.c.project_id == project_id)
    return await tx.first(wanted)


async def members(tx: Transaction, numbers: Collection[int]) -> dict[int, list[str]]:
    """The living servers of these groups, by the group's number."""
    rows = await tx.all(
        select(server_group_members.c.group_number, server_group_members.c.server_id)
        .where(
            server_group_members.c.group_number.in_(list(numbers)),
            servers.c.id == server_group_members.c.server_id,
            servers.c.deleted.is_(False),
        )
        .order_by(servers.c.number)
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row.group_number, []).append(row.server_id)
    return found


_OF_SERVER = select(server_groups.c.id).where(
    server_group_members.c.server_id == bindparam("server"),
    server_groups.c.number == server_group_members.c.group_number,
)


async def of_server(tx: Transaction, server_id: str) -> list[str]:
    """The ids of the groups that a server is in."""
    return await tx.column(_OF_SERVER, {"server": server_id})


async def insert_group(tx: Transaction, values: Mapping[str, Any]) -> int:
    """A new group; its number."""
    return await tx.insert_id(insert(server_groups), dict(values))


async def remove(tx: Transaction, number: int) -> None:
    """The group; its servers stay."""
    await tx.run(delete(server_group_members).where(server_group_members.c.group_number == number))
    await tx.run(delete(server_groups).where(server_groups.c.number == number))


async def add_members(tx: Transaction, number: int, server_ids: Sequence[str], user_id: str) -> None:
    """New members."""
    rows = [{"group_number": number, "server_id": one, "user_id": user_id} for one in server_ids]
    await tx.run(insert(server_group_members), rows)


_LEAVE = delete(server_group_members).where(server_group_members.c.server_id == bindparam("server"))


async def leave(tx: Transaction, server_id: str) -> None:
    """A server leaves all groups: called when it is deleted."""
    await tx.run(_LEAVE, {"server": server_id})
