"""Migrations: the record of each move of a server from one host to another, or to another size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Migration:
    """One move. `kind`: migration, resize, live-migration or evacuation. `status` in upstream's words."""

    number: int
    id: str
    server_id: str
    project_id: str
    user_id: str
    kind: str
    status: str
    source_host: str | None
    source_node: str | None
    dest_host: str | None
    dest_node: str | None
    old_flavor_id: str | None
    new_flavor_id: str | None
    created_at: datetime
    updated_at: datetime | None
