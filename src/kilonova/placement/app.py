"""Builds the service from its parts."""

from __future__ import annotations

from pathlib import Path
from random import Random

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.policy import Policies
from kilonova.kernel.service import Service
from kilonova.kernel.web import PLACEMENT, ServiceApp, build_app
from kilonova.kernel.web.app import Authenticate
from kilonova.placement.config import Settings
from kilonova.placement.microversions import SPOKEN
from kilonova.placement.parts import Placement
from kilonova.placement.policies import RULES
from kilonova.placement.routes import ROUTES
from kilonova.placement.store import names
from kilonova.placement.store.snapshot import Snapshot

MIGRATIONS = Path(__file__).parent / "store" / "migrations"

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A reshape of a large tree names every consumer on it."""


async def prepare(db: Database, clock: Clock) -> None:
    """Once at each start, after the migrations: the standard classes and traits of the installed libraries."""
    async with db.transaction() as tx:
        await names.synchronise(tx, clock.now())


def build(
    settings: Settings,
    db: Database,
    clock: Clock,
    *,
    authenticate: Authenticate,
    policy_file: Path | None = None,
    random: Random | None = None,
) -> Service:
    """The service over a database that is migrated (:data:`MIGRATIONS`) and prepared (:func:`prepare`)."""
    parts = Placement(db, Snapshot(db), clock, settings, random or Random())
    spec = ServiceApp(
        name="placement",
        routes=ROUTES,
        dialect=PLACEMENT,
        policies=Policies(RULES, file=policy_file, enforce_scope=True),
        authenticate=authenticate,
        microversions=SPOKEN,
        max_body_bytes=MAX_BODY_BYTES,
    )
    return Service("placement", build_app(spec, parts), parts, close=db.close)
