"""Revocation events, and the generation: the counter that says that anything in identity has changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from kilonova.identity.model.revocation import Event
from kilonova.identity.store.records import value_of
from kilonova.identity.store.tables import generation, revocations
from kilonova.kernel.db import Transaction

_generation = select(generation.c.value).where(generation.c.id == 1)
_bump = update(generation).where(generation.c.id == 1).values(value=generation.c.value + 1)
_events = select(
    revocations.c.issued_before,
    revocations.c.revoked_at,
    revocations.c.user_id,
    revocations.c.project_id,
    revocations.c.domain_id,
    revocations.c.trust_id,
    revocations.c.audit_id,
    revocations.c.audit_chain_id,
).order_by(revocations.c.id)


async def read_generation(tx: Transaction) -> int:
    """The counter as last committed."""
    return int(await tx.scalar(_generation))


async def bump_generation(tx: Transaction) -> None:
    """Tell all processes that something changed."""
    await tx.run(_bump)


async def revoke(tx: Transaction, event: Event) -> None:
    """Store an event."""
    await tx.run(insert(revocations), asdict(event))


async def events(tx: Transaction) -> list[Event]:
    """All events, the oldest first."""
    return [value_of(Event, row) for row in await tx.all(_events)]


async def prune(tx: Transaction, revoked_before: datetime) -> int:
    """Forget events whose tokens have all expired; how many."""
    return await tx.run(delete(revocations).where(revocations.c.revoked_at < revoked_before))
