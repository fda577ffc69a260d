"""Which servers lived in a span of time: the ground of usage reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select

from kilonova.compute.store.tables import servers
from kilonova.kernel.db import Transaction

COLUMNS = (
    servers.c.id,
    servers.c.number,
    servers.c.name,
    servers.c.project_id,
    servers.c.vm_state,
    servers.c.flavor,
    servers.c.launched_at,
    servers.c.terminated_at,
)


async def lived(tx: Transaction, start: datetime, end: datetime, project_id: str | None = None) -> Sequence[Row[Any]]:
    """Servers that were launched before `end` and not terminated before `start`, by project and age."""
    wanted = (
        select(*COLUMNS)
        .where(
            servers.c.launched_at.is_not(None),
            servers.c.launched_at < end,
            or_(servers.c.terminated_at.is_(None), servers.c.terminated_at >= start),
        )
        .order_by(servers.c.project_id, servers.c.number)
    )
    if project_id is not None:
        wanted = wanted.where(servers.c.project_id == project_id)
    return await tx.all(wanted)
