"""Agents: the hosts that carry ports, as the driver last told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, true, update

from kilonova.kernel.db import Transaction
from kilonova.kernel.ids import new_uuid
from kilonova.network.store.listing import Listing, standard
from kilonova.network.store.tables import agents

LISTING = Listing(
    select=select(agents),
    key=agents.c.id,
    visible=true(),
    columns=dict(agents.c),
    filters=standard(agents, tags=False),
)


async def all_of(tx: Transaction) -> Sequence[Row[Any]]:
    """Every agent."""
    return await tx.all(select(agents))


async def report(
    tx: Transaction, agent_type: str, host: str, *, alive: bool, configurations: Mapping[str, Any], now: datetime
) -> None:
    """Note what the driver says of a host; makes the row at the first time."""
    match = (agents.c.agent_type == agent_type) & (agents.c.host == host)
    values: dict[str, Any] = {"alive": alive, "configurations": dict(configurations)}
    if alive:
        values["heartbeat_timestamp"] = now
    if await tx.run(update(agents).where(match).values(**values)) == 0:
        first = {"created_at": now, "started_at": now, "heartbeat_timestamp": now, "admin_state_up": True}
        await tx.run(
            insert(agents).values(
                **{**first, **values}, id=new_uuid(), agent_type=agent_type, host=host, description=""
            )
        )


async def change(tx: Transaction, agent_id: str, values: Mapping[str, Any]) -> None:
    """Change what an operator may change."""
    await tx.run(update(agents).where(agents.c.id == agent_id).values(**values))


async def drop(tx: Transaction, agent_id: str) -> None:
    """Forget an agent."""
    await tx.run(delete(agents).where(agents.c.id == agent_id))
