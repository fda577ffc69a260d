"""The client: one base URL, one transport, deadlines, and no talking inside a transaction.

The loopback transport goes to the ASGI application directly rather than through httpx, because httpx alone costs
several times what a whole call to one of our services costs; sockets go through httpx. Callers see one shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from kilonova.kernel.context import current
from kilonova.kernel.db.transaction import refuse_in_transaction
from kilonova.kernel.errors import ServiceUnavailable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Params = Mapping[str, Any] | list[tuple[str, str]] | None
Content = bytes | AsyncIterator[bytes] | None


class Unreachable(ServiceUnavailable):
    """No connection, or it broke: whether the request was carried out is not known."""

    text = "{url} cannot be reached: {why}"


class HttpTimeout(Unreachable):
    text = "{url} did not answer within {timeout_s} s"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. ``headers`` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is empty. Raises msgspec.DecodeError."""
        return _decode(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class StreamReply:
    """An answer whose body is read in pieces, within the ``async with`` that gave it."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Carries one request. ``url`` is absolute, query string included."""

    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> Reply: ...

    def stream(
        self, method: str, url: str, headers: dict[str, str], content: Content
    ) -> AbstractAsyncContextManager[StreamReply]: ...


class Client:
    """Requests to one service. ``base_url`` without a slash at the end, e.g. ``http://127.0.0.1:8774/network``."""

    def __init__(self, base_url: str, transport: Transport, *, timeout_s: float = 60.0):
        self.base_url, self._transport, self._timeout_s = base_url.rstrip("/"), transport, timeout_s

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        params: Params = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Send and read the whole answer, whatever its status. Raises Unreachable or HttpTimeout."""
        refuse_in_transaction(f"{method} {self.base_url}{path}")
        url, out, body = self._prepare(path, json, content, headers, params)
        limit = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                return await self._transport.send(method, url, out, body)
        except TimeoutError:
            raise HttpTimeout(url=url.split("?")[0], timeout_s=limit) from None

    def stream(
        self,
        method: str,
        path: str,
        *,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        params: Params = None,
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Send and give the answer while its body is still coming: ``async with client.stream(...) as reply``."""
        refuse_in_transaction(f"{method} {self.base_url}{path}")
        url, out, body = self._prepare(path, None, content, headers, params)
        return self._transport.stream(method, url, out, body)

    def _prepare(
        self, path: str, json: Any, content: Content, headers: Mapping[str, str] | None, params: Params
    ) -> tuple[str, dict[str, str], Content]:
        out = {k.lower(): v for k, v in headers.items()} if headers else {}
        context = current()
        if context is not None and "x-openstack-request-id" not in out:
            out["x-openstack-request-id"] = context.trace_id
        body = content
        if json is not None:
            body = _encode(json)
            out.setdefault("content-type", "application/json")
        out.setdefault("accept", "application/json")
        url = f"{self.base_url}{path}"
        if params:
            url = f"{url}?{urlencode(params, doseq=True)}"
        return url, out, body
