"""The console proxy: noVNC's page, and WebSockets that are joined to the unix socket of a guest's console.

Who may join is told by a token that opens one console once. It is never logged: lines name the server. A WebSocket
that a foreign page opened is refused before its token is looked at, so the token is not spent. Bytes are passed on as
they come, in both directions, with nothing kept: a side that does not read stops the other.

noVNC comes from Debian's package, not from npm: it is the same release for all who install, security updates come
with the system's, and no JavaScript tool is needed on a host. Its folder is an option.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilonova.kernel.web.message import Response
from kilonova.kernel.web.static import StaticFiles
from kilonova.kernel.web.websocket import FAILED, GOING_AWAY, NORMAL, TRY_LATER, Gone, WebSocket

LOG = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

READ_BYTES = 1 << 16
CONNECT_S = 5.0
LONGEST_TOKEN = 255

_PAGE_HEADERS = (
    ("Referrer-Policy", "no-referrer"),  # the page's address has the token in it
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Cache-Control", "no-cache"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a token opens: the console of a server at a unix socket of a host. `kind`: novnc or serial."""

    server_id: str
    kind: str
    host: str
    path: str


Authorize = Callable[[str], Awaitable[Target | None]]
"""Spends a token: what it opens, or None when it is unknown, has ended, or was used."""


@dataclass(slots=True)
class ConsoleProxy:
    """An ASGI application. `kinds`: the kinds of consoles that it joins; `host`: whose sockets it can reach."""

    authorize: Authorize
    host: str
    pages: Path | None = None
    kinds: frozenset[str] = frozenset({"novnc", "serial"})
    allowed_origins: tuple[str, ...] = ()
    most_consoles: int = 200
    _static: StaticFiles | None = field(init=False)
    _joined: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        found = self.pages is not None and self.pages.is_dir()
        self._static = (
            StaticFiles(self.pages, index="vnc.html", headers=_PAGE_HEADERS) if found and self.pages else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._join(WebSocket(scope, receive, send))
        elif scope["type"] == "http":
            await _answer(await self._page(scope), scope["method"], send)

    async def close(self) -> None:
        """End all consoles that are open."""
        for task in self._joined:
            task.cancel()
        if self._joined:
            await asyncio.wait(self._joined, timeout=5)

    # --- pages ---

    async def _page(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return Response(405, b"Only GET works here.\n", [("Allow", "GET, HEAD")], "text/plain")
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/healthcheck":
            return Response(200, b"OK", [], "text/plain")
        if self._static is None:
            return Response(404, b"noVNC is not installed here: install the package novnc.\n", [], "text/plain")
        return await self._static.get(path) or Response(404, b"There is no such page.\n", [], "text/plain")

    # --- consoles ---

    async def _join(self, browser: WebSocket) -> None:
        if not browser.from_own_page(self.allowed_origins):
            LOG.warning("console: refused a WebSocket that a page of another host opened")
            await browser.refuse()
            return
        target = await self._target(browser)
        if target is None:
            await browser.refuse()
            return
        await browser.accept(("binary",))
        task = asyncio.current_task()
        if len(self._joined) >= self.most_consoles or task is None:
            await browser.close(TRY_LATER, "Too many consoles are open.")
            return
        self._joined.add(task)
        try:
            await self._pass_on(browser, target)
        except asyncio.CancelledError:
            await browser.close(GOING_AWAY, "The proxy ends.")
            raise
        finally:
            self._joined.discard(task)

    async def _target(self, browser: WebSocket) -> Target | None:
        token = browser.query("token")
        if not token or len(token) > LONGEST_TOKEN:
            return None
        target = await self.authorize(token)
        if target is None:
            LOG.info("console: refused a token that is unknown, has ended or was used")
        elif target.kind not in self.kinds:
            LOG.info("console of server %s: its kind %s is not offered here", target.server_id, target.kind)
            return None
        return target

    async def _pass_on(self, browser: WebSocket, target: Target) -> None:
        if target.host != self.host:
            LOG.warning("console of server %s: it is on host %s, out of reach", target.server_id, target.host)
            await browser.close(FAILED, "The console is on another host.")
            return
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await connect(Path(target.path))
        except (OSError, TimeoutError) as error:
            LOG.warning("console of server %s: cannot be reached: %s", target.server_id, error)
            await browser.close(FAILED, "The console cannot be reached; is the server running?")
            return
        LOG.info("console of server %s: %s opened", target.server_id, target.kind)
        try:
            code, reason = await _both_ways(browser, reader, writer)
        finally:
            writer.close()
            LOG.info("console of server %s: %s closed", target.server_id, target.kind)
        await browser.close(code, reason)


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A unix socket with a name of any length: through a descriptor of its folder, as names may have 107 characters."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}", limit=READ_BYTES)
    finally:
        os.close(folder)


async def _both_ways(browser: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str]:
    """Until one side ends; the other direction is then cut."""
    up = asyncio.create_task(_to_guest(browser, writer), name="console to guest")
    down = asyncio.create_task(_to_browser(browser, reader), name="console to browser")
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        return (NORMAL, "The server's console has ended.") if down.done() else (NORMAL, "")
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _to_guest(browser: WebSocket, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        async for data in browser.messages():
            writer.write(data)
            await writer.drain()


async def _to_browser(browser: WebSocket, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError, Gone):
        while data := await reader.read(READ_BYTES):
            await browser.send(data)


async def _answer(response: Response, method: str, send: Send) -> None:
    headers = [("content-type", response.content_type or "text/plain"), ("content-length", str(len(response.body)))]
    pairs = [(name.lower().encode(), value.encode()) for name, value in (*headers, *response.headers)]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})
