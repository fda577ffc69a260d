"""Members: the projects that images are shared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update

from kilonova.image.model.image import Member
from kilonova.image.store.tables import members
from kilonova.kernel.db import Transaction

_ONE = select(members).where(
    members.c.image_id == bindparam("image_id"), members.c.project_id == bindparam("project_id")
)


async def get(tx: Transaction, image_id: str, project_id: str) -> Member | None:
    """The membership of a project, or None."""
    row = await tx.first(_ONE, {"image_id": image_id, "project_id": project_id})
    return None if row is None else Member(**row._mapping)


async def of_image(tx: Transaction, image_id: str) -> Sequence[Member]:
    """All members, the oldest first."""
    rows = await tx.all(
        select(members).where(members.c.image_id == image_id).order_by(members.c.created_at, members.c.project_id)
    )
    return [Member(**row._mapping) for row in rows]


async def count(tx: Transaction, image_id: str) -> int:
    """How many members an image has."""
    return int(await tx.scalar(select(func.count()).select_from(members).where(members.c.image_id == image_id)) or 0)


async def add(tx: Transaction, member: Member) -> None:
    """A new member. Raises Duplicate when it is one already."""
    await tx.run(
        insert(members).values(
            image_id=member.image_id,
            project_id=member.project_id,
            status=member.status,
            created_at=member.created_at,
            updated_at=member.updated_at,
        )
    )


async def set_status(tx: Transaction, image_id: str, project_id: str, status: str, now: datetime) -> bool:
    """Change what the member thinks; False when it is none (any more)."""
    return (
        await tx.run(
            update(members)
            .where(members.c.image_id == image_id, members.c.project_id == project_id)
            .values(status=status, updated_at=now)
        )
        > 0
    )


async def remove(tx: Transaction, image_id: str, project_id: str) -> bool:
    """Stop sharing; False when it was no member."""
    return await tx.run(delete(members).where(members.c.image_id == image_id, members.c.project_id == project_id)) > 0
