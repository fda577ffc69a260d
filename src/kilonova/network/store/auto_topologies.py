"""The network and router that were made for a project that asked for any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.network.store.standard import Clash
from kilonova.network.store.tables import auto_topologies as table
from kilonova.network.store.tables import subnetpools


async def find(tx: Transaction, project_id: str) -> Row[Any] | None:
    """What was made for a project."""
    return await tx.first(select(table).where(table.c.project_id == project_id))


async def keep(tx: Transaction, project_id: str, network_id: str, router_id: str) -> None:
    """Note what was made. Raises Clash when another request did at the same time."""
    try:
        await tx.run(insert(table).values(project_id=project_id, network_id=network_id, router_id=router_id))
    except Duplicate:
        raise Clash() from None


async def forget(tx: Transaction, project_id: str) -> None:
    """Nothing is made for the project any more."""
    await tx.run(delete(table).where(table.c.project_id == project_id))


async def default_pools(tx: Transaction) -> Sequence[Row[Any]]:
    """The subnet pools that subnets come from when none is named."""
    return await tx.all(select(subnetpools).where(subnetpools.c.is_default).order_by(subnetpools.c.ip_version))
