"""Lists of images. A statement is built once for each shape of query and kept; values go in as parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, false, literal, or_, select, true

from kilonova.image.model.image import HASH_ALGORITHM, Viewer
from kilonova.image.model.listing import Condition, Query
from kilonova.image.store.tables import images, members, properties, tags
from kilonova.kernel.db import Page, Transaction, paginate

_SORTED = {
    "name": images.c.name,
    "status": images.c.status,
    "container_format": images.c.container_format,
    "disk_format": images.c.disk_format,
    "size": images.c.size_bytes,
    "id": images.c.id,
    "created_at": images.c.created_at,
    "updated_at": images.c.updated_at,
}
_MOST_SHAPES = 200

_shapes: dict[tuple[Any, ...], Select[Any]] = {}


async def find(tx: Transaction, query: Query, viewer: Viewer) -> list[tuple[str, int]]:
    """Ids and generations of one page. Behind a marker that names no image there is nothing."""
    after: Mapping[Any, Any] | None = None
    if query.marker is not None:
        row = await tx.first(
            select(*(c.label(n) for n, c in _SORTED.items())).where(
                images.c.id == query.marker, images.c.deleted_at.is_(None)
            )
        )
        if row is None:
            return []
        after = row._mapping
    rows = await tx.all(_statement(query, viewer, after), _values(query, viewer))
    return [(row.id, row.generation) for row in rows]


def _statement(query: Query, viewer: Viewer, after: Mapping[Any, Any] | None) -> Select[Any]:
    if after is not None:
        return _build(query, viewer, after)
    shape = (
        tuple((c.attribute.partition(":")[0], c.operator) for c in query.conditions),
        query.visibility is None,
        query.visibility == "all",
        query.member_status == "all",
        query.sort,
        viewer.is_admin,
        viewer.project_id is None,
    )
    known = _shapes.get(shape)
    if known is None:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        known = _shapes[shape] = _build(query, viewer, None)
    return known


def _build(query: Query, viewer: Viewer, after: Mapping[Any, Any] | None) -> Select[Any]:
    statement: Select[Any] = select(images.c.id, images.c.generation).where(images.c.deleted_at.is_(None))
    for number, condition in enumerate(query.conditions):
        statement = statement.where(_clause(condition, f"v{number}"))
    statement = statement.where(*_seen(query, viewer))
    statement = paginate(statement, _SORTED, Page(sort=query.sort, after=after))
    return statement.limit(bindparam("most", type_=images.c.min_disk_gib.type))


def _values(query: Query, viewer: Viewer) -> dict[str, Any]:
    values = {f"v{number}": condition.value for number, condition in enumerate(query.conditions)}
    for number, condition in enumerate(query.conditions):
        if condition.attribute.startswith("property:"):
            values[f"n_v{number}"] = condition.attribute.removeprefix("property:")
    return values | {
        "most": query.limit,
        "project": viewer.project_id,
        "visibility": query.visibility,
        "member_status": query.member_status,
    }


def _clause(condition: Condition, name: str) -> ColumnElement[bool]:
    attribute = condition.attribute
    if attribute == "tag":
        return exists().where(tags.c.image_id == images.c.id, tags.c.tag == bindparam(name))
    if attribute.startswith("property:"):
        return exists().where(
            properties.c.image_id == images.c.id,
            properties.c.name == bindparam(f"n_{name}"),
            properties.c.value == bindparam(name),
        )
    if attribute == "hash_algorithm":
        return and_(literal(HASH_ALGORITHM) == bindparam(name), images.c.hash_value.is_not(None))
    column = images.c[attribute]
    if condition.operator == "in":
        return column.in_(bindparam(name, expanding=True))
    value = bindparam(name, type_=column.type)
    match condition.operator:
        case "eq":
            return column == value
        case "neq":
            return or_(column != value, column.is_(None))
        case "lt":
            return column < value
        case "lte":
            return column <= value
        case "gt":
            return column > value
        case _:
            return column >= value


def _seen(query: Query, viewer: Viewer) -> list[ColumnElement[bool]]:
    """What the viewer sees, narrowed to the visibility asked for; unasked, others' community images stay out."""
    mine: ColumnElement[bool] = false() if viewer.project_id is None else images.c.owner == bindparam("project")
    clauses: list[ColumnElement[bool]] = []
    if not viewer.is_admin:
        status = true() if query.member_status == "all" else members.c.status == bindparam("member_status")
        shared = exists().where(members.c.image_id == images.c.id, members.c.project_id == bindparam("project"), status)
        clauses.append(
            or_(
                images.c.visibility.in_(("public", "community")),
                mine,
                and_(images.c.visibility == "shared", shared) if viewer.project_id else false(),
            )
        )
    if query.visibility is None:
        clauses.append(or_(mine, images.c.visibility != "community"))
    elif query.visibility != "all":
        clauses.append(images.c.visibility == bindparam("visibility"))
    return clauses
