"""The console proxies of a cloud, from their parts: tokens are spent in compute's database."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

from kilonova.compute.console.config import Settings
from kilonova.compute.console.proxy import Authorize, ConsoleProxy, Target
from kilonova.compute.store import console_tokens
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.web.listen import serve_socket


def spend_tokens(db: Database, clock: Clock) -> Authorize:
    """Tokens as compute's API writes them: each opens its console once."""

    async def authorize(token: str) -> Target | None:
        async with db.transaction() as tx:
            row = await console_tokens.use(tx, token, clock.now())
        if row is None:
            return None
        return Target(row.server_id, row.console_type, row.host, row.internal_access_path or "")

    return authorize


def build(settings: Settings, authorize: Authorize, host: str) -> ConsoleProxy:
    """For consoles of every kind, on a port that serves other things as well."""
    return ConsoleProxy(authorize, host, settings.pages, allowed_origins=settings.allowed_origins)


def build_novnc(settings: Settings, authorize: Authorize, host: str) -> ConsoleProxy:
    """For screens, with noVNC's pages: what `[vnc] novncproxy_base_url` leads to."""
    return ConsoleProxy(
        authorize, host, settings.pages, kinds=frozenset({"novnc"}), allowed_origins=settings.allowed_origins
    )


def build_serial(settings: Settings, authorize: Authorize, host: str) -> ConsoleProxy:
    """For serial lines: what `[serial_console] base_url` leads to."""
    return ConsoleProxy(authorize, host, kinds=frozenset({"serial"}), allowed_origins=settings.allowed_origins)


@dataclass(slots=True)
class Consoles:
    """Both proxies on ports of their own. `start` raises OSError when one of them is taken."""

    settings: Settings
    authorize: Authorize
    host: str
    serial: bool = False
    _proxies: list[ConsoleProxy] = field(default_factory=list)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def start(self) -> None:
        settings = self.settings
        await self._serve(build_novnc(settings, self.authorize, self.host), settings.vnc_host, settings.vnc_port)
        if self.serial:
            proxy = build_serial(settings, self.authorize, self.host)
            await self._serve(proxy, settings.serial_host, settings.serial_port)

    async def stop(self) -> None:
        """Close the ports and end the consoles that are open."""
        for server in self._servers:
            server.close()
        for proxy in self._proxies:
            await proxy.close()
        self._servers, self._proxies = [], []

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(one.getsockname()[1] for server in self._servers for one in server.sockets)

    async def _serve(self, proxy: ConsoleProxy, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            listening = socket.create_server((address, port), family=family)
        except OSError as error:
            why = f"the console proxy cannot listen on {address} port {port}: {error.strerror}"
            raise OSError(error.errno, why) from error
        connections = 2 * proxy.most_consoles + 100
        self._servers.append(await serve_socket(proxy, listening, most_connections=connections, websockets=True))
        self._proxies.append(proxy)
