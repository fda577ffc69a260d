"""What answers a guest at 169.254.169.254: find out which server asks, and pass the question on to compute.

Who asks is known from the network the question came in by and the source address, which the fence against spoofing
vouches for; what the guest says of itself in headers is dropped. Compute believes us by the signature.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kilonova.kernel.errors import Error
from kilonova.kernel.http import Client

LOG = logging.getLogger(__name__)

MOST_BODY_BYTES = 64 * 1024
OURS = ("x-instance-id", "x-tenant-id", "x-instance-id-signature", "x-forwarded-for", "x-metadata-provider",
        "x-metadata-provider-signature")  # fmt: skip
HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection",
              "proxy-authorization", "content-length", "expect", "host")  # fmt: skip

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asker:
    """The server behind an address."""

    server_id: str
    project_id: str


FindAsker = Callable[[str], Asker | None]
"""The server that has this source address on the network; None when no port has it."""


@dataclass(frozen=True, slots=True)
class MetadataProxy:
    """The ASGI application of one network. `compute` is a client of compute's metadata service."""

    find: FindAsker
    compute: Client
    secret: str = field(repr=False)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        source = scope["client"][0] if scope.get("client") else ""
        asker = self.find(source)
        if asker is None:
            LOG.warning("metadata: no port of this network has the address %s", source)
            await _say(send, 404, "No server with this address is known on this network.")
            return
        body = await _whole_body(receive)
        if body is None:
            await _say(send, 413, f"More than {MOST_BODY_BYTES} bytes are not taken.")
            return
        started = False
        try:
            async with self.compute.stream(
                scope["method"],
                _path(scope),
                headers=self._headers(scope["headers"], asker, source),
                content=body or None,
            ) as reply:
                started = True
                await _pass_on(send, reply.status, reply.headers.items(), reply.chunks)
        except Error as error:
            LOG.error("metadata: compute's metadata service did not answer: %s", error.message)
            if started:
                raise
            await _say(send, 503, "The metadata service cannot be reached now. Try again later.")

    def _headers(self, given: Iterable[tuple[bytes, bytes]], asker: Asker, source: str) -> dict[str, str]:
        kept = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
        kept = {name: value for name, value in kept.items() if name not in OURS and name not in HOP_BY_HOP}
        return {
            "accept": "*/*",
            **kept,
            "x-forwarded-for": source,
            "x-instance-id": asker.server_id,
            "x-tenant-id": asker.project_id,
            "x-instance-id-signature": sign(self.secret, asker.server_id),
        }


def sign(secret: str, server_id: str) -> str:
    """HMAC-SHA256 of the server's id, in hex: what compute checks."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()


def _path(scope: Message) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string") or b""
    path: str = raw.decode("latin-1").partition("?")[0]
    return path + ("?" + query.decode("latin-1") if query else "")


async def _whole_body(receive: Receive) -> bytes | None:
    """None when it is too long or the guest went away."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _pass_on(send: Send, status: int, headers: Iterable[tuple[str, str]], chunks: AsyncIterator[bytes]) -> None:
    kept = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if _is_end_to_end(name)]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_end_to_end(name: str) -> bool:
    return name.lower() == "content-length" or name.lower() not in (*HOP_BY_HOP, "content-encoding")


async def _say(send: Send, status: int, text: str) -> None:
    body = (text + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
