"""The console proxies of a cloud, from their parts: tokens are spent in compute's database."""

from __future__ import annotations

from kilonova.compute.console.config import Settings
from kilonova.compute.console.proxy import Authorize, ConsoleProxy, Target
from kilonova.compute.store import console_tokens
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database


def spend_tokens(db: Database, clock: Clock) -> Authorize:
    """Tokens as compute's API writes them: each opens its console once."""

    async def authorize(token: str) -> Target | None:
        async with db.transaction() as tx:
            row = await console_tokens.use(tx, token, clock.now())
        if row is None:
            return None
        return Target(row.server_id, row.console_type, row.host, row.internal_access_path or "")

    return authorize


def build_novnc(settings: Settings, authorize: Authorize, host: str) -> ConsoleProxy:
    """For screens, with noVNC's pages: what `[vnc] novncproxy_base_url` leads to."""
    return ConsoleProxy(
        authorize, host, settings.pages, kinds=frozenset({"novnc"}), allowed_origins=settings.allowed_origins
    )


def build_serial(settings: Settings, authorize: Authorize, host: str) -> ConsoleProxy:
    """For serial lines: what `[serial_console] base_url` leads to."""
    return ConsoleProxy(authorize, host, kinds=frozenset({"serial"}), allowed_origins=settings.allowed_origins)
