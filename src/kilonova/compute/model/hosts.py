"""Hosts, the agents and other services on them, aggregates of them, and the zones that aggregates make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

ZONE_KEY = "availability_zone"
"""The key in an aggregate's metadata that makes it an availability zone."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A process of ours that reports that it lives, under upstream's name for it (`nova-compute` ...)."""

    number: int
    id: str
    host: str
    binary: str
    topic: str
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime | None

    def is_up(self, now: datetime, down_after_s: float) -> bool:
        """Heard of lately, and not forced down by the operator."""
        if self.forced_down:
            return False
        seen = self.last_seen_at or self.created_at
        return abs(now - seen) <= timedelta(seconds=down_after_s)


@dataclass(frozen=True, slots=True)
class Host:
    """A computer that runs an agent: its hypervisor and what is there and used, as the agent last said.

    `id` is also the uuid of its resource provider.
    """

    number: int
    id: str
    host: str
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    vcpus_used: int
    ram_mib: int
    ram_used_mib: int
    disk_gib: int
    disk_used_gib: int
    disk_available_least_gib: int | None
    running_servers: int
    workload: int
    cpu_info: dict[str, object]
    supported: tuple[tuple[str, str, str], ...]
    uptime: str | None
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A named set of hosts with metadata."""

    number: int
    id: str
    name: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime | None
    hosts: tuple[str, ...] = field(default=())

    @property
    def zone(self) -> str | None:
        """The availability zone it makes, if it makes one."""
        return self.metadata.get(ZONE_KEY)


def zones_of_hosts(aggregates: Iterable[Aggregate]) -> Mapping[str, str]:
    """The zone of each host that is in one; every other host is in the default zone."""
    return {host: zone for a in aggregates if (zone := a.zone) for host in a.hosts}
