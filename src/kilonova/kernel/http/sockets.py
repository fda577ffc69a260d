"""Requests over real sockets, by httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from kilonova.kernel.http.client import Content, Reply, StreamReply, Unreachable


class Sockets:
    """Transport over TCP (or TLS). ``verify``: False, True or the path of a CA bundle. Redirects are not followed."""

    def __init__(self, *, verify: bool | str = True, max_connections: int = 100):
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=20)
        self._client = httpx.AsyncClient(verify=verify, limits=limits, timeout=None, trust_env=False)  # noqa: S113 - the client's own

    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> Reply:
        try:
            reply = await self._client.request(method, url, headers=headers, content=content)
        except httpx.HTTPError as error:
            raise Unreachable(url=url.split("?")[0], why=str(error) or type(error).__name__) from error
        return Reply(reply.status_code, {k.lower(): v for k, v in reply.headers.items()}, reply.content)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, headers: dict[str, str], content: Content
    ) -> AsyncIterator[StreamReply]:
        try:
            async with self._client.stream(method, url, headers=headers, content=content) as reply:
                found = {k.lower(): v for k, v in reply.headers.items()}
                yield StreamReply(reply.status_code, found, reply.aiter_bytes())
        except httpx.HTTPError as error:
            raise Unreachable(url=url.split("?")[0], why=str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
