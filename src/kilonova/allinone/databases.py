"""The services' databases: where each is, and its schema at the newest revision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kilonova.allinone.state_dir import StateDir
from kilonova.kernel.db import Database, upgrade
from kilonova.kernel.db.schema import head

SERVICES = ("identity", "placement", "image", "network", "compute")


def url(conf: Any, state: StateDir, service: str) -> str:
    """What ``<service>_database.connection`` says, or a file in the state directory."""
    return getattr(conf, f"{service}_database").connection or state.database(service)


def migrations(service: str) -> Path:
    """Where a service keeps its migrations."""
    import kilonova

    return Path(kilonova.__file__).parent / service / "store" / "migrations"


def upgrade_all(conf: Any, state: StateDir) -> Iterator[tuple[str, str | None, str]]:
    """Bring each schema up; yields service, revision before, revision now. Blocking."""
    for service in SERVICES:
        folder = migrations(service)
        yield service, upgrade(url(conf, state, service), folder), head(folder)


def connect(conf: Any, state: StateDir, service: str, *, synchronous: bool) -> Database:
    """A service's database."""
    return Database(url(conf, state, service), name=service, synchronous=synchronous)
