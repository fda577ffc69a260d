"""A WebSocket as a handler sees it: who asks and from where, bytes in, bytes out.

Browsers let any page open a WebSocket to any host and send the user's cookies along; what tells a foreign page is the
Origin header alone. So `from_own_page` is to be asked before anything is accepted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

NORMAL, GOING_AWAY, REFUSED, FAILED, TRY_LATER = 1000, 1001, 1008, 1011, 1013


class Gone(Exception):
    """The other side has closed."""


class WebSocket:
    """Over one ASGI connection of type `websocket`. `accept` or `refuse` comes first."""

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self._scope, self._receive, self._send = scope, receive, send
        self.headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        self.path: str = scope["path"]
        self.open = False

    def query(self, name: str) -> str | None:
        """The value of a query parameter that is given exactly once."""
        text = self._scope.get("query_string", b"").decode("latin-1")
        try:
            found = parse_qs(text, max_num_fields=20).get(name, [])
        except ValueError:
            return None
        return found[0] if len(found) == 1 else None

    def from_own_page(self, allowed_hosts: Iterable[str] = ()) -> bool:
        """Whether no browser is behind it, or one that shows a page of this very host (or of one that is allowed)."""
        origin = self.headers.get("origin")
        if origin is None:
            return True
        try:
            came_from = urlsplit(origin)
            own = urlsplit(f"//{self.headers.get('host', '')}").hostname
            host = came_from.hostname
        except ValueError:
            return False
        if came_from.scheme not in ("http", "https") or host is None:
            return False
        return host == own or host in set(allowed_hosts)

    async def accept(self, subprotocols: Iterable[str] = ()) -> None:
        """Say yes, with the first of `subprotocols` that the other side offers."""
        await self._receive()
        offered = self._scope.get("subprotocols", [])
        chosen = next((one for one in subprotocols if one in offered), None)
        await self._send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        self.open = True

    async def refuse(self) -> None:
        """Say no before anything was accepted: the other side sees status 403."""
        await self._receive()
        await self._send({"type": "websocket.close", "code": REFUSED})

    async def messages(self) -> AsyncIterator[bytes]:
        """What comes in, until the other side closes."""
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                self.open = False
                return
            data = message.get("bytes")
            yield data if data is not None else (message.get("text") or "").encode()

    async def send(self, data: bytes) -> None:
        """Raises Gone."""
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except (OSError, RuntimeError) as error:
            self.open = False
            raise Gone() from error

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        if self.open:
            self.open = False
            try:
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
            except (OSError, RuntimeError):
                return
