"""Images by id: reading, writing, deleting. Deleted ones are rows that no query here finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, select

from kilonova.image.model.image import DELETED, Image
from kilonova.image.store.tables import images, members, properties, tags, tasks
from kilonova.kernel.db import Transaction, update_where_generation

_COLUMNS = tuple(c for c in images.c if c.name != "deleted_at")
_GENERATION = select(images.c.generation).where(images.c.id == bindparam("id"), images.c.deleted_at.is_(None))
_SOME = select(*_COLUMNS).where(images.c.id.in_(bindparam("ids", expanding=True)), images.c.deleted_at.is_(None))
_PROPERTIES = select(properties).where(properties.c.image_id.in_(bindparam("ids", expanding=True)))
_TAGS = select(tags).where(tags.c.image_id.in_(bindparam("ids", expanding=True))).order_by(tags.c.tag)
_STORED = tuple(c.name for c in _COLUMNS)


async def generation(tx: Transaction, image_id: str) -> int | None:
    """The generation of an image, or None where there is none."""
    found = await tx.scalar(_GENERATION, {"id": image_id})
    return None if found is None else int(found)


async def get(tx: Transaction, image_id: str) -> Image | None:
    """One image with its properties and tags, or None."""
    return (await load(tx, [image_id])).get(image_id)


async def load(tx: Transaction, ids: Sequence[str]) -> dict[str, Image]:
    """Those of the images ``ids`` that there are, by id."""
    if not ids:
        return {}
    wanted = {"ids": list(ids)}
    rows = await tx.all(_SOME, wanted)
    named: dict[str, dict[str, str | None]] = {}
    for row in await tx.all(_PROPERTIES, wanted):
        named.setdefault(row.image_id, {})[row.name] = row.value
    tagged: dict[str, list[str]] = {}
    for row in await tx.all(_TAGS, wanted):
        tagged.setdefault(row.image_id, []).append(row.tag)
    return {
        row.id: Image(**row._mapping, properties=named.get(row.id, {}), tags=tuple(tagged.get(row.id, ())))
        for row in rows
    }


async def add(tx: Transaction, image: Image) -> None:
    """A new image. Raises Duplicate when the id was ever used."""
    await tx.run(insert(images).values(**_row(image)))
    await _add_properties(tx, image.id, image.properties)
    await _add_tags(tx, image.id, image.tags)


async def change(tx: Transaction, before: Image, after: Image) -> None:
    """Write what differs. Raises StaleGeneration when somebody else changed the image since ``before`` was read."""
    old, new = _row(before), _row(after)
    changed = {name: value for name, value in new.items() if old[name] != value and name != "generation"}
    await update_where_generation(
        tx, images, key={"id": before.id}, generation=before.generation, values=changed, what="image"
    )
    if dict(after.properties) != dict(before.properties):
        gone = [name for name in before.properties if after.properties.get(name, 0) != before.properties[name]]
        await tx.run(delete(properties).where(properties.c.image_id == before.id, properties.c.name.in_(gone)))
        await _add_properties(
            tx,
            before.id,
            {n: v for n, v in after.properties.items() if n in gone or n not in before.properties},
        )
    if set(after.tags) != set(before.tags):
        gone = [tag for tag in before.tags if tag not in after.tags]
        await tx.run(delete(tags).where(tags.c.image_id == before.id, tags.c.tag.in_(gone)))
        await _add_tags(tx, before.id, [tag for tag in after.tags if tag not in before.tags])


async def remove(tx: Transaction, image: Image, now: datetime) -> None:
    """Delete an image; its id stays taken. Raises StaleGeneration when it changed meanwhile."""
    await update_where_generation(
        tx,
        images,
        key={"id": image.id},
        generation=image.generation,
        values={"status": DELETED, "deleted_at": now, "updated_at": now, "blob_id": None},
        what="image",
    )
    for table in (properties, tags, members, tasks):
        await tx.run(delete(table).where(table.c.image_id == image.id))


async def used_bytes(tx: Transaction, owner: str) -> int:
    """Bytes of data that the images of a project hold."""
    found = await tx.scalar(
        select(func.sum(images.c.size_bytes)).where(
            images.c.owner == owner, images.c.deleted_at.is_(None), images.c.blob_id.is_not(None)
        )
    )
    return int(found or 0)


async def counts(tx: Transaction, owner: str) -> tuple[int, int]:
    """How many images a project has, and how many of them wait for data or get it."""
    by_status: Select[Any] = (
        select(images.c.status, func.count())
        .where(images.c.owner == owner, images.c.deleted_at.is_(None))
        .group_by(images.c.status)
    )
    found: dict[str, int] = {status: count for status, count in map(tuple, await tx.all(by_status))}
    coming = sum(found.get(status, 0) for status in ("saving", "uploading", "importing"))
    return sum(found.values()), coming


async def blobs(tx: Transaction) -> set[str]:
    """All blobs that images name."""
    return set(await tx.column(select(images.c.blob_id).where(images.c.blob_id.is_not(None))))


def _row(image: Image) -> dict[str, Any]:
    return {name: getattr(image, name) for name in _STORED}


async def _add_properties(tx: Transaction, image_id: str, named: Mapping[str, str | None]) -> None:
    await tx.run(insert(properties), [{"image_id": image_id, "name": n, "value": v} for n, v in named.items()])


async def _add_tags(tx: Transaction, image_id: str, some: Iterable[str]) -> None:
    await tx.run(insert(tags), [{"image_id": image_id, "tag": tag} for tag in some])
