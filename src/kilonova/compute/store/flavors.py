"""Queries of flavors, their extra specs and the projects that may use private ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, exists, insert, or_, select, update

from kilonova.compute.errors import FlavorAccessExists, FlavorAccessNotFound, FlavorExists
from kilonova.compute.model.flavors import Flavor
from kilonova.compute.store.tables import flavor_projects, flavors
from kilonova.kernel.db import Duplicate, Page, Transaction, paginate

SORTABLE = {
    "flavorid": flavors.c.flavor_id,
    "name": flavors.c.name,
    "memory_mb": flavors.c.ram_mib,
    "vcpus": flavors.c.vcpus,
    "root_gb": flavors.c.disk_gib,
    "ephemeral_gb": flavors.c.ephemeral_gib,
    "swap": flavors.c.swap_mib,
    "rxtx_factor": flavors.c.rxtx_factor,
    "is_public": flavors.c.is_public,
    "disabled": flavors.c.disabled,
    "created_at": flavors.c.created_at,
    "updated_at": flavors.c.updated_at,
    "id": flavors.c.number,
}
"""What a list can be sorted by, under the names of the wire."""


_USABLE = or_(
    flavors.c.is_public,
    exists().where(
        flavor_projects.c.flavor_number == flavors.c.number, flavor_projects.c.project_id == bindparam("project")
    ),
)


async def page(
    tx: Transaction,
    page: Page,
    *,
    project_id: str | None,
    sees_all: bool,
    public: bool | None,
    min_ram_mib: int = 0,
    min_disk_gib: int = 0,
) -> Sequence[Row[Any]]:
    """A page of flavors that are not disabled. `public` None: both kinds, as far as the project may use them.

    True takes in the private flavors that the project was given, as upstream does: they are among what it may boot.
    """
    given = {"project": project_id, "ram_mib": min_ram_mib, "disk_gib": min_disk_gib}
    if page.after is None:
        first = _first_page(page.sort, page.limit, page.reverse, sees_all, public)
        return await tx.all(first, given)
    return await tx.all(paginate(_among(sees_all, public), SORTABLE, page), given)


@lru_cache(maxsize=200)
def _first_page(
    sort: tuple[tuple[str, str], ...], limit: int | None, reverse: bool, sees_all: bool, public: bool | None
) -> Select[Any]:
    # Kept, as first pages are what is asked for most: building a statement costs several times what running it does.
    return paginate(_among(sees_all, public), SORTABLE, Page(sort, limit, reverse=reverse))


def _among(sees_all: bool, public: bool | None) -> Select[Any]:
    wanted = select(flavors).where(
        flavors.c.ram_mib >= bindparam("ram_mib"), flavors.c.disk_gib >= bindparam("disk_gib")
    )
    if public is not None:
        wanted = wanted.where(_USABLE if public else flavors.c.is_public.is_(False))
    return wanted if sees_all else wanted.where(_USABLE, flavors.c.disabled.is_(False))


async def sort_values(tx: Transaction, flavor_id: str, keys: Sequence[str]) -> Mapping[str, Any] | None:
    """The marker's values of the sort keys; None when there is no such flavor."""
    row = await tx.first(select(*(SORTABLE[k].label(k) for k in keys)).where(flavors.c.flavor_id == flavor_id))
    return None if row is None else dict(row._mapping)


_FIND = select(flavors).where(flavors.c.flavor_id == bindparam("flavor"))
_FIND_USABLE = _FIND.where(_USABLE)


async def find(tx: Transaction, flavor_id: str, *, project_id: str | None, sees_all: bool) -> Row[Any] | None:
    """The flavor's row, or None where the project may not use it."""
    if sees_all:
        return await tx.first(_FIND, {"flavor": flavor_id})
    return await tx.first(_FIND_USABLE, {"flavor": flavor_id, "project": project_id})


def flavor_of(row: Row[Any]) -> Flavor:
    """A row as a value."""
    return Flavor(**row._mapping)


async def insert_flavor(tx: Transaction, values: Mapping[str, Any]) -> int:
    """A new flavor; its number. Raises FlavorExists."""
    for column, what in ((flavors.c.flavor_id, "id"), (flavors.c.name, "name")):
        if await tx.scalar(select(flavors.c.number).where(column == values[column.name])) is not None:
            raise FlavorExists(what=what, value=values[column.name])
    try:
        return await tx.insert_id(insert(flavors), dict(values))
    except Duplicate:
        raise FlavorExists(what="id or name", value=values["flavor_id"]) from None


async def change(tx: Transaction, number: int, now: datetime, values: Mapping[str, Any]) -> None:
    """Set columns of one flavor."""
    await tx.run(update(flavors).where(flavors.c.number == number).values(updated_at=now, **values))


async def remove(tx: Transaction, number: int) -> None:
    """The flavor and who might use it; servers keep their snapshot."""
    await tx.run(delete(flavor_projects).where(flavor_projects.c.flavor_number == number))
    await tx.run(delete(flavors).where(flavors.c.number == number))


async def projects(tx: Transaction, number: int) -> list[str]:
    """The projects that may use a private flavor."""
    return await tx.column(
        select(flavor_projects.c.project_id)
        .where(flavor_projects.c.flavor_number == number)
        .order_by(flavor_projects.c.project_id)
    )


async def add_project(tx: Transaction, number: int, flavor_id: str, project_id: str) -> None:
    """Raises FlavorAccessExists."""
    try:
        await tx.run(insert(flavor_projects).values(flavor_number=number, project_id=project_id))
    except Duplicate:
        raise FlavorAccessExists(id=flavor_id, project_id=project_id) from None


async def remove_project(tx: Transaction, number: int, flavor_id: str, project_id: str) -> None:
    """Raises FlavorAccessNotFound."""
    gone = await tx.run(
        delete(flavor_projects).where(
            flavor_projects.c.flavor_number == number, flavor_projects.c.project_id == project_id
        )
    )
    if not gone:
        raise FlavorAccessNotFound(id=flavor_id, project_id=project_id)
