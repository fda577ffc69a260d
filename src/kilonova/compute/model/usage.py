"""How much of a span of time servers were there, and what they took in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kilonova.compute.model.flavors import FlavorSnapshot


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """One server within a span. `hours` within the span only; `uptime_s` since its launch."""

    id: str
    name: str
    project_id: str
    vm_state: str
    flavor: FlavorSnapshot
    started_at: datetime
    ended_at: datetime | None
    hours: float
    uptime_s: int

    @property
    def disk_gib(self) -> int:
        return self.flavor.disk_gib + self.flavor.ephemeral_gib


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over servers: each size times the hours it was there."""

    hours: float
    vcpu_hours: float
    ram_mib_hours: float
    disk_gib_hours: float


def hours_within(started: datetime, ended: datetime | None, start: datetime, end: datetime, now: datetime) -> float:
    """For how many hours of the span the server was there; a span that goes beyond now ends now."""
    first = max(started, start)
    last = min(ended or end, end, now)
    return max((last - first).total_seconds(), 0.0) / 3600


def total(servers: Iterable[ServerUsage]) -> Totals:
    """The sums."""
    rows = list(servers)
    return Totals(
        hours=sum(s.hours for s in rows),
        vcpu_hours=sum(s.hours * s.flavor.vcpus for s in rows),
        ram_mib_hours=sum(s.hours * s.flavor.ram_mib for s in rows),
        disk_gib_hours=sum(s.hours * s.disk_gib for s in rows),
    )
