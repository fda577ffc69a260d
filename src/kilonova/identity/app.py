"""Builds identity from its parts: what it needs comes in as arguments, nothing is read from the outside here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from kilonova.identity.config import Settings
from kilonova.identity.drivers.hasher import Hasher
from kilonova.identity.drivers.keys import KeyRepository
from kilonova.identity.errors import NoSuchToken
from kilonova.identity.policies import RULES
from kilonova.identity.routes import ROUTES
from kilonova.identity.service import IdentityService
from kilonova.identity.subjects import validate
from kilonova.identity.tokens import TokenFormat
from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context
from kilonova.kernel.db import Database
from kilonova.kernel.policy import Policies
from kilonova.kernel.service import Service
from kilonova.kernel.web import KEYSTONE, ServiceApp, build_app
from kilonova.kernel.web.auth import NotAuthenticated

MIGRATIONS = Path(__file__).parent / "store" / "migrations"


def build(
    settings: Settings,
    db: Database,
    clock: Clock,
    *,
    public_url: str,
    changed: Callable[[], None] | None = None,
    policy_file: Path | None = None,
) -> Service:
    """The service, ready to be mounted. The database is upgraded and bootstrapped before.

    ``public_url``: identity's address without ``/v3``, for WWW-Authenticate. ``changed``: called after each committed
    write, because any token that was checked before may hold no more.
    """
    parts = IdentityService(
        db=db,
        clock=clock,
        settings=settings,
        tokens=TokenFormat(KeyRepository(settings.token_keys, max_active_keys=settings.max_active_keys)),
        hasher=Hasher(settings.password_hash_rounds),
        secrets=KeyRepository(settings.credential_keys),
        auth_url=f"{public_url}/v3",
    )
    if changed is not None:
        parts.changed = changed
    spec = ServiceApp(
        name="identity",
        routes=ROUTES,
        dialect=KEYSTONE,
        policies=Policies(RULES, file=policy_file, enforce_scope=True),
        authenticate=_authenticator(parts),
    )

    async def close() -> None:
        parts.hasher.close()
        await db.close()

    return Service("identity", build_app(spec, parts), parts, close=close)


def _authenticator(parts: IdentityService) -> Callable[[Mapping[str, str]], Awaitable[Context]]:
    """Identity checks tokens itself: it is the one that others ask."""
    refusal = {"WWW-Authenticate": f'Keystone uri="{parts.auth_url}"'}

    async def authenticate(headers: Mapping[str, str]) -> Context:
        text = headers.get("x-auth-token")
        if not text:
            raise NotAuthenticated(headers=refusal)
        try:
            held = await validate(parts, text)
        except NoSuchToken:
            raise NotAuthenticated(headers=refusal) from None
        return held.context

    return authenticate
