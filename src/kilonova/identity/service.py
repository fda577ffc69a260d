"""The parts of identity that handlers find as ``request.service``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from kilonova.identity.config import Settings
from kilonova.identity.drivers.hasher import Hasher
from kilonova.identity.drivers.keys import KeyRepository
from kilonova.identity.facts import Facts, Generation, Memory, read_facts
from kilonova.identity.model.revocation import Event
from kilonova.identity.store import revocations
from kilonova.identity.tokens import TokenFormat
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database, Transaction

if TYPE_CHECKING:
    from kilonova.identity.subjects import Held


def _nobody_listens() -> None:
    """The default of ``changed``."""


@dataclass(slots=True)
class IdentityService:
    """``changed`` is called after each committed write: tokens checked before may not hold any more."""

    db: Database
    clock: Clock
    settings: Settings
    tokens: TokenFormat
    hasher: Hasher
    secrets: KeyRepository
    changed: Callable[[], None] = _nobody_listens
    auth_url: str = ""
    held: Memory[Held] = field(default_factory=Memory)
    _facts: Facts | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that raises the generation, so that no process goes on with what it remembers."""
        async with self.db.transaction() as tx:
            yield tx
            await revocations.bump_generation(tx)
            tx.after_commit(self.changed)

    async def generation(self, tx: Transaction) -> Generation:
        """The current generation: read it before what is remembered under it."""
        return await revocations.read_generation(tx), self.tokens.keys.version

    async def facts(self, tx: Transaction, generation: Generation) -> Facts:
        """The facts of ``generation``, or newer ones."""
        facts = self._facts
        if facts is None or facts.generation != generation:
            facts = self._facts = await read_facts(tx, generation)
        return facts

    async def revoke(self, tx: Transaction, **members: str | None) -> None:
        """Store an event: tokens issued until now that match ``members`` hold no more. Old events go."""
        now = self.clock.now()
        await revocations.revoke(tx, Event(now, now, **members))
        kept = self.settings.token_lifetime_s + self.settings.event_buffer_s
        await revocations.prune(tx, now - timedelta(seconds=kept))
