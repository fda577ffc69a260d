"""A resource provider and its inventories, as the search and the checks see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

SHARES_VIA_AGGREGATE = "MISC_SHARES_VIA_AGGREGATE"
"""The trait of a provider whose inventory may be used by all trees that have a provider in one of its aggregates."""

CUSTOM = "CUSTOM_"
"""What the names of classes and traits begin with that operators made."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a provider offers of one resource class, and how much of it is taken (``used``)."""

    resource_class: str
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float
    used: int
    updated_at: datetime
    capacity: int = field(init=False)
    free: int = field(init=False)

    def __post_init__(self) -> None:
        # Amounts are whole, so comparing with the truncated capacity is the same as with the exact product.
        capacity = int((self.total - self.reserved) * self.allocation_ratio)
        object.__setattr__(self, "capacity", capacity)
        object.__setattr__(self, "free", capacity - self.used)

    def gives(self, amount: int) -> bool:
        """Whether a request for ``amount`` obeys the units and fits into what is free."""
        return amount <= self.free and self.allows(amount)

    def allows(self, amount: int) -> bool:
        """Whether the units (smallest, largest, step) permit a request for ``amount``."""
        return self.min_unit <= amount <= self.max_unit and amount % self.step_size == 0


@dataclass(frozen=True, slots=True)
class Provider:
    """A node in a tree of providers. ``root`` is its own uuid when ``parent`` is None."""

    uuid: str
    name: str
    generation: int
    parent: str | None
    root: str
    created_at: datetime
    updated_at: datetime
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()

    @property
    def shares(self) -> bool:
        """Whether other trees may use its inventory through a common aggregate."""
        return SHARES_VIA_AGGREGATE in self.traits
