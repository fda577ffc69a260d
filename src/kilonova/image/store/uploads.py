"""Data on its way in: what is reserved for it, and that it is alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from kilonova.image.store.tables import uploads
from kilonova.kernel.db import Transaction


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. ``reserved_bytes`` count against the quota of ``owner`` as long as the row is there."""

    blob_id: str
    image_id: str
    owner: str | None
    reserved_bytes: int
    started_at: datetime
    touched_at: datetime


async def add(tx: Transaction, upload: Upload) -> None:
    """Begin."""
    await tx.run(
        insert(uploads).values(
            blob_id=upload.blob_id,
            image_id=upload.image_id,
            owner=upload.owner,
            reserved_bytes=upload.reserved_bytes,
            started_at=upload.started_at,
            touched_at=upload.touched_at,
        )
    )


async def touch(tx: Transaction, blob_id: str, reserved_bytes: int, now: datetime) -> bool:
    """Show life and set what is reserved; False when the upload was given up by others."""
    return (
        await tx.run(
            update(uploads).where(uploads.c.blob_id == blob_id).values(reserved_bytes=reserved_bytes, touched_at=now)
        )
        > 0
    )


async def end(tx: Transaction, blob_id: str) -> bool:
    """Take the upload out; False when it was no longer there."""
    return await tx.run(delete(uploads).where(uploads.c.blob_id == blob_id)) > 0


async def end_of_image(tx: Transaction, image_id: str) -> None:
    """Take all uploads of an image out; those that are under way notice."""
    await tx.run(delete(uploads).where(uploads.c.image_id == image_id))


async def reserved_bytes(tx: Transaction, owner: str, *, but: str) -> int:
    """What uploads of a project reserve, without the upload ``but``."""
    found = await tx.scalar(
        select(func.sum(uploads.c.reserved_bytes)).where(uploads.c.owner == owner, uploads.c.blob_id != but)
    )
    return int(found or 0)


async def silent(tx: Transaction, since: datetime) -> Sequence[Upload]:
    """Uploads that have shown no life after ``since``."""
    rows = await tx.all(select(uploads).where(uploads.c.touched_at < since))
    return [Upload(**row._mapping) for row in rows]


async def blobs(tx: Transaction) -> set[str]:
    """All blobs on their way in."""
    return set(await tx.column(select(uploads.c.blob_id)))
