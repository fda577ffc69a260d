"""Whether a write of allocations is permitted, and what it changes in the inventories. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kilonova.placement.errors import DoesNotFit
from kilonova.placement.model.provider import Inventory

Place = tuple[str, str]
"""Provider uuid and resource class: where an amount is taken."""


class Unsaid:
    """For what clients of older microversions do not say."""


UNSAID: Final = Unsaid()


@dataclass(frozen=True, slots=True)
class Claim:
    """All that a consumer shall have from now on; empty ``allocations`` remove it.

    ``generation``: what the client believes the consumer's to be, None for a consumer that does not exist yet.
    """

    consumer: str
    allocations: Mapping[str, Mapping[str, int]]
    project_id: str
    user_id: str
    generation: int | Unsaid | None = UNSAID
    consumer_type: str | Unsaid = UNSAID

    def amounts(self) -> Iterable[tuple[Place, int]]:
        """Each place with its amount."""
        for provider, resources in self.allocations.items():
            for resource_class, amount in resources.items():
                yield (provider, resource_class), amount


@dataclass(frozen=True, slots=True)
class Held:
    """One allocation as stored."""

    consumer: str
    provider: str
    resource_class: str
    used: int

    @property
    def place(self) -> Place:
        """Where it is taken."""
        return self.provider, self.resource_class


@dataclass(slots=True)
class Balance:
    """How the use of each place changes."""

    change: Counter[Place] = field(default_factory=Counter)

    @classmethod
    def of(cls, claims: Iterable[Claim], held: Iterable[Held]) -> Balance:
        """From what the consumers hold to what they claim."""
        balance = cls()
        for one in held:
            balance.change[one.place] -= one.used
        for claim in claims:
            for place, amount in claim.amounts():
                balance.change[place] += amount
        return balance


def check(claims: Iterable[Claim], balance: Balance, inventories: Mapping[Place, Inventory]) -> None:
    """Raise DoesNotFit unless each amount obeys the units of its inventory and no capacity is exceeded.

    On an inventory that is over its capacity already (it was made smaller under its users), a write is permitted that
    takes no more than before: otherwise nobody could move away in parts.
    """
    for claim in claims:
        for place, amount in claim.amounts():
            provider, resource_class = place
            inventory = inventories.get(place)
            if inventory is None:
                raise DoesNotFit(why=f"resource provider '{provider}' has no inventory of '{resource_class}'.")
            if not inventory.allows(amount):
                raise DoesNotFit(
                    why=f"{amount} of '{resource_class}' on resource provider '{provider}' would violate inventory "
                    f"constraints: from {inventory.min_unit} to {inventory.max_unit} in steps of "
                    f"{inventory.step_size}."
                )
            more = balance.change[place]
            if more > 0 and inventory.used + more > inventory.capacity:
                raise DoesNotFit(
                    why=f"'{resource_class}' on resource provider '{provider}': the requested amount would exceed "
                    f"the capacity {inventory.capacity}, of which {inventory.used} is used."
                )
