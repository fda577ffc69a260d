"""Builds the HTTP side of compute from its parts."""

from __future__ import annotations

from pathlib import Path

from kilonova.compute.api.parts import Parts
from kilonova.compute.microversions import RANGE
from kilonova.compute.policies import RULES
from kilonova.compute.routes import ROUTES
from kilonova.kernel.policy import Policies
from kilonova.kernel.web import NOVA, ServiceApp
from kilonova.kernel.web.app import ASGIApp, Authenticate, build_app

MIGRATIONS = Path(__file__).parent / "store" / "migrations"
"""For `kernel.db.upgrade`."""


def build_api(parts: Parts, authenticate: Authenticate, *, policy_file: Path | None = None) -> ASGIApp:
    """The ASGI application. `authenticate` tells who asks; `policy_file` may replace rules and need not exist."""
    spec = ServiceApp(
        name="compute",
        routes=ROUTES,
        dialect=NOVA,
        policies=Policies(RULES, file=policy_file, enforce_scope=True),
        authenticate=authenticate,
        microversions=RANGE,
        extra_request_id_header="x-compute-request-id",
    )
    return build_app(spec, parts)
