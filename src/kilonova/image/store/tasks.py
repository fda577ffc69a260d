"""Tasks: what is remembered of imports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, select

from kilonova.image.model.task import Task
from kilonova.image.store.tables import tasks
from kilonova.kernel.db import Page, Transaction, paginate


async def add(tx: Transaction, task: Task) -> None:
    """Remember a task."""
    await tx.run(insert(tasks).values({column.name: getattr(task, column.name) for column in tasks.c}))


async def get(tx: Transaction, task_id: str) -> Task | None:
    """One task, or None."""
    row = await tx.first(select(tasks).where(tasks.c.id == task_id))
    return None if row is None else Task(**row._mapping)


async def of_image(tx: Transaction, image_id: str) -> Sequence[Task]:
    """The tasks of an image, the oldest first."""
    statement: Select[Any] = select(tasks).where(tasks.c.image_id == image_id)
    return await _read(tx, statement.order_by(tasks.c.created_at, tasks.c.id))


async def page(tx: Transaction, limit: int, after: Task | None) -> Sequence[Task]:
    """Tasks of all images, the newest first, those behind ``after``."""
    marker = None if after is None else {"created_at": after.created_at, "id": after.id}
    sort = (("created_at", "desc"), ("id", "desc"))
    columns = {"created_at": tasks.c.created_at, "id": tasks.c.id}
    return await _read(tx, paginate(select(tasks), columns, Page(sort=sort, limit=limit, after=marker)))


async def count_expired(tx: Transaction, now: datetime) -> int:
    """How many tasks need not be remembered any longer."""
    return int(await tx.scalar(select(func.count()).select_from(tasks).where(tasks.c.expires_at < now)) or 0)


async def forget_expired(tx: Transaction, now: datetime) -> int:
    """Delete what need not be remembered any longer; how many."""
    return await tx.run(delete(tasks).where(tasks.c.expires_at < now))


async def _read(tx: Transaction, statement: Select[Any]) -> Sequence[Task]:
    return [Task(**row._mapping) for row in await tx.all(statement)]
