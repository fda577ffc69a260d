"""One connection to an OVSDB server: JSON-RPC over a stream, requests matched to replies, echo answered.

A connection that is lost stays lost: whoever needs one again (see `replica`) makes a new client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kilonova.kernel.ovsdb.wire import Schema

LOG = logging.getLogger(__name__)

ECHO_EVERY_S = 20.0
READ_BYTES = 1 << 18
MOST_BYTES = 1 << 29
"""A message longer than this is no message of ours."""

_encode = msgspec.json.Encoder(enc_hook=str).encode
_decoder = json.JSONDecoder()


class OvsdbError(Exception):
    """The database did not do what was asked."""


class Disconnected(OvsdbError):
    """There is no connection (any more). What was asked last may or may not have happened."""


class TransactionFailed(OvsdbError):
    """The transaction was refused and nothing of it happened. `error` is the protocol's word, as "constraint
    violation".
    """

    def __init__(self, error: str, details: str, operation: Any = None):
        super().__init__(f"{error}: {details}" + (f" (at {operation})" if operation is not None else ""))
        self.error = error
        self.details = details


Notified = Callable[[str, list[Any]], None]


class Client:
    """`remote`: "unix:/path" or "tcp:host:port". Use `await Client.connect(...)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, notified: Notified | None):
        self._reader, self._writer = reader, writer
        self._notified = notified
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self.closed = asyncio.Event()
        self._tasks = (
            asyncio.create_task(self._read(), name="ovsdb read"),
            asyncio.create_task(self._keep_alive(), name="ovsdb keep alive"),
        )

    @classmethod
    async def connect(cls, remote: str, notified: Notified | None = None, timeout_s: float = 5.0) -> Client:
        """Raises Disconnected. `notified(method, params)` is called in the order of arrival."""
        kind, _, rest = remote.partition(":")
        try:
            async with asyncio.timeout(timeout_s):
                if kind == "unix":
                    streams = await asyncio.open_unix_connection(rest)
                elif kind == "tcp":
                    host, _, port = rest.rpartition(":")
                    streams = await asyncio.open_connection(host.strip("[]"), int(port))
                else:
                    raise OvsdbError(f"{remote!r} is no address of a database: use unix:PATH or tcp:HOST:PORT")
        except (OSError, TimeoutError) as error:
            raise Disconnected(f"{remote}: {error or 'no answer'}") from error
        return cls(*streams, notified)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(Disconnected("the connection was closed by us"))
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def call(self, method: str, params: Sequence[Any], timeout_s: float = 30.0) -> Any:
        """One request and its result. Raises Disconnected or OvsdbError."""
        if self.closed.is_set():
            raise Disconnected("the connection is lost")
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(_encode({"method": method, "params": params, "id": number}))
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise Disconnected(f"no answer to {method} within {timeout_s:.0f} s") from error
        finally:
            self._waiting.pop(number, None)

    async def schema(self, database: str) -> Schema:
        return Schema.parse(await self.call("get_schema", [database]))

    async def transact(
        self, database: str, operations: Sequence[Mapping[str, Any]], timeout_s: float = 30.0
    ) -> list[Any]:
        """All operations or none. The results, one an operation. Raises TransactionFailed or Disconnected."""
        results: list[Any] = await self.call("transact", [database, *operations], timeout_s)
        for index, result in enumerate(results):
            if result is not None and "error" in result:
                operation = operations[index] if index < len(operations) else None
                raise TransactionFailed(result["error"], result.get("details", ""), operation)
        return results

    async def _read(self) -> None:
        buffer = b""
        problem: Exception = Disconnected("the other side closed the connection")
        try:
            while chunk := await self._reader.read(READ_BYTES):
                buffer += chunk
                if len(buffer) > MOST_BYTES:
                    raise OvsdbError("the other side sends a message without end")
                if buffer.endswith(b"}"):
                    buffer = self._take(buffer)
        except (OSError, OvsdbError, ValueError) as error:
            problem = Disconnected(f"the connection broke: {error}")
        finally:
            self._fail(problem)

    def _take(self, buffer: bytes) -> bytes:
        """Handle the whole messages at the front; return what is left."""
        text, at = buffer.decode(), 0
        while at < len(text):
            try:
                message, end = _decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                return text[at:].encode()
            at = end
            self._receive(message)
        return b""

    def _receive(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            answer = self._waiting.get(message.get("id") or 0)
            if answer is None or answer.done():
                return
            if message.get("error") is not None:
                answer.set_exception(OvsdbError(f"the database refuses: {message['error']}"))
            else:
                answer.set_result(message.get("result"))
        elif method == "echo":
            reply = {"result": message.get("params", []), "error": None, "id": message.get("id")}
            self._writer.write(_encode(reply))
        elif self._notified is not None:
            self._notified(method, message.get("params", []))

    async def _keep_alive(self) -> None:
        while not self.closed.is_set():
            await asyncio.sleep(ECHO_EVERY_S)
            try:
                await self.call("echo", [], timeout_s=ECHO_EVERY_S)
            except OvsdbError as error:
                LOG.warning("ovsdb: giving a connection up: %s", error)
                self._fail(Disconnected("the other side does not answer"))
                return

    def _fail(self, problem: Exception) -> None:
        self.closed.set()
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(problem)
        self._waiting.clear()
