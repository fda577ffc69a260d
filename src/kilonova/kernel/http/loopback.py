"""Requests to ASGI applications in this very process: same bytes, same path, no socket.

A whole-body call runs in the caller's task, so cancelling the caller cancels the call, and an error of the callee
that it did not turn into an answer becomes a 500 answer, as over a socket. A streamed call runs in a task of its own
with a queue of few pieces between, so that neither side holds a whole body.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from kilonova.kernel import context as contexts
from kilonova.kernel.http.client import Content, Reply, StreamReply

LOG = logging.getLogger(__name__)

Message = dict[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_QUEUE_PIECES = 4


class Loopback:
    """Transport to ``app``; the host of a URL is passed on in the Host header and not otherwise looked at."""

    def __init__(self, app: App):
        self.app = app

    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> Reply:
        status, out, pieces = 500, {}, []

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, out
            if message["type"] == "http.response.start":
                status = message["status"]
                out = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
            else:
                pieces.append(message.get("body", b""))

        caller = contexts.current()
        try:
            await self.app(_scope(method, url, headers, content), _receiver(content), send)
        except Exception:
            LOG.exception("%s %s failed inside the callee", method, url.split("?")[0])
            status, out, pieces = 500, {}, []
        finally:
            contexts.bind(caller)
        return Reply(status, out, b"".join(pieces))

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, headers: dict[str, str], content: Content
    ) -> AsyncIterator[StreamReply]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_PIECES)
        started: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                found = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
                started.set_result((message["status"], found))
                return
            if message.get("body"):
                await queue.put(message["body"])
            if not message.get("more_body", False):
                await queue.put(None)

        async def run() -> None:
            try:
                await self.app(_scope(method, url, headers, content), _receiver(content), send)
            except Exception:
                LOG.exception("%s %s failed inside the callee", method, url.split("?")[0])
                if not started.done():
                    started.set_result((500, {}))
                broken.append(True)
                await queue.put(None)

        async def chunks() -> AsyncIterator[bytes]:
            while (piece := await queue.get()) is not None:
                yield piece
            if broken:
                raise ConnectionResetError("the answer broke off")

        broken: list[bool] = []
        task = asyncio.create_task(run())
        try:
            status, found = await started
            yield StreamReply(status, found, chunks())
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _scope(method: str, url: str, headers: dict[str, str], content: Content) -> dict[str, Any]:
    parts = urlsplit(url)
    raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
    if "host" not in headers:
        raw.append((b"host", parts.netloc.encode("latin-1")))
    if isinstance(content, bytes) and "content-length" not in headers:
        raw.append((b"content-length", str(len(content)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme or "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("latin-1"),
        "query_string": parts.query.encode("latin-1"),
        "root_path": "",
        "headers": raw,
        "client": ("loopback", 0),
        "server": None,
    }


def _receiver(content: Content) -> Callable[[], Awaitable[dict[str, Any]]]:
    if content is None or isinstance(content, bytes):
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": content or b"", "more_body": False}

        return receive
    pieces = content

    async def receive_piece() -> dict[str, Any]:
        try:
            return {"type": "http.request", "body": await anext(pieces), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    return receive_piece
