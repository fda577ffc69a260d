"""Builds the HTTP side of compute from its parts."""

from __future__ import annotations

from pathlib import Path

from kilonova.compute.api.parts import Parts
from kilonova.compute.microversions import RANGE
from kilonova.compute.policies import RULES
from kilonova.compute.routes import ROUTES
from kilonova.kernel.policy import Policies
from kilonova.kernel.web import NOVA, ServiceApp
from kilonova.kernel.web.app import ASGIApp, Authenticate, Receive, Scope, Send, build_app

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
        strict_slashes=True,
        extra_request_id_header="x-compute-request-id",
    )
    return with_old_version(build_app(spec, parts))


def with_old_version(app: ASGIApp) -> ASGIApp:
    """Serves ``/v2`` as what 2.1 is without microversions: a header that asks for one is not looked at."""
    named = (b"openstack-api-version", RANGE.legacy_header.lower().encode() if RANGE.legacy_header else b"")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        path = str(scope.get("path", "")).removeprefix(root)
        if scope["type"] == "http" and path.startswith("/v2/") and path.strip("/") != "v2":
            headers = [pair for pair in scope["headers"] if pair[0].lower() not in named]
            scope = {**scope, "path": f"{root}/v2.1{path.removeprefix('/v2')}", "headers": headers}
        await app(scope, receive, send)

    return serve
