"""Builds the image service from its parts."""

from __future__ import annotations

from pathlib import Path

from kilonova.image.config import Settings
from kilonova.image.drivers.blobs import BlobStore
from kilonova.image.drivers.files import Files
from kilonova.image.janitor import SWEEPS
from kilonova.image.policies import RULES
from kilonova.image.routes import ROUTES
from kilonova.image.service import ImageService
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.policy import Policies
from kilonova.kernel.service import Service
from kilonova.kernel.tasks import Sweeper
from kilonova.kernel.web import GLANCE, ServiceApp, build_app
from kilonova.kernel.web.app import Authenticate

MIGRATIONS = Path(__file__).parent / "store" / "migrations"


def build(
    settings: Settings,
    db: Database,
    clock: Clock,
    *,
    authenticate: Authenticate,
    policy_file: Path | None = None,
    blobs: BlobStore | None = None,
) -> Service:
    """The image service on ``db``, whose schema must be there (``kernel.db.upgrade`` with :data:`MIGRATIONS`)."""
    parts = ImageService(db=db, clock=clock, settings=settings, blobs=blobs or Files(settings.data_folder))
    spec = ServiceApp(
        name="image",
        routes=ROUTES,
        dialect=GLANCE,
        policies=Policies(RULES, file=policy_file, enforce_scope=True),
        authenticate=authenticate,
        strict_slashes=True,
    )
    return Service(
        name="image",
        app=build_app(spec, parts),
        parts=parts,
        background=[Sweeper(SWEEPS, parts, clock).run],
        close=db.close,
    )
