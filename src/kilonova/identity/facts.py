"""What is true until the next write: facts read once a generation, and tokens found valid under them.

Every write of identity raises the generation in the same transaction. What is remembered here carries the generation
(and the state of the key repository) it was read under, and is used only while that is still the current one, so that
several processes on one database stay right without talking to each other. The end of a token is looked at by whoever
uses it, each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from kilonova.identity.model.nouns import Endpoint, Role, Service
from kilonova.identity.model.revocation import Event
from kilonova.identity.model.roles import Implications, with_implied
from kilonova.identity.store import revocations, roles
from kilonova.identity.store.catalog import ENDPOINTS, SERVICES
from kilonova.kernel.db import Transaction

V = TypeVar("V")
Generation = tuple[int, int]
MOST_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Facts:
    """Small tables that every token needs."""

    generation: Generation
    roles: Mapping[str, Role]
    implications: Implications
    services: tuple[Service, ...]
    endpoints: tuple[Endpoint, ...]
    events: tuple[Event, ...]

    def effective(self, role_ids: tuple[str, ...] | list[str]) -> tuple[Role, ...]:
        """Global roles that these amount to; roles of a domain count only for what they imply."""
        found = (self.roles.get(i) for i in with_implied(role_ids, self.implications))
        return tuple(r for r in found if r is not None and r.domain_id is None)


class Memory(Generic[V]):
    """Values by key, all of one generation; forgotten together. Bounded: the oldest goes first."""

    def __init__(self, most: int = MOST_REMEMBERED):
        self._generation: Generation | None = None
        self._known: dict[str, V] = {}
        self._most = most

    def get(self, key: str, generation: Generation) -> V | None:
        """The value remembered under ``generation``, or None."""
        return self._known.get(key) if generation == self._generation else None

    def put(self, key: str, generation: Generation, value: V) -> None:
        """Remember; values of another generation are dropped."""
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = value

    def drop(self, key: str) -> None:
        """Forget one."""
        self._known.pop(key, None)


async def read_facts(tx: Transaction, generation: Generation) -> Facts:
    """All facts, fresh."""
    return Facts(
        generation,
        {role.id: role for role in await roles.ROLES.where(tx)},
        await roles.implications(tx),
        tuple(await SERVICES.where(tx)),
        tuple(await ENDPOINTS.where(tx)),
        tuple(await revocations.events(tx)),
    )
