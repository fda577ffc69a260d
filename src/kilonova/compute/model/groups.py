"""Server groups: servers that must, or should, or must not share a host."""

from __future__ import annotations

from dataclasses import dataclass, field

AFFINITY, ANTI_AFFINITY = "affinity", "anti-affinity"
SOFT_AFFINITY, SOFT_ANTI_AFFINITY = "soft-affinity", "soft-anti-affinity"
POLICIES = (AFFINITY, ANTI_AFFINITY, SOFT_AFFINITY, SOFT_ANTI_AFFINITY)


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """`max_server_per_host` counts only for anti-affinity; 1 is what plain anti-affinity means."""

    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    max_server_per_host: int | None = None
    members: tuple[str, ...] = field(default=())
