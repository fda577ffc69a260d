"""The bus inside one process: the same bytes as on a broker, handed over without one."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kilonova.kernel.bus.call import (
    A,
    Call,
    Handler,
    Listener,
    Note,
    Q,
    TimedOut,
    Unreachable,
    answer,
    pack_request,
    unpack_reply,
)
from kilonova.kernel.db.transaction import refuse_in_transaction


@dataclass(eq=False)
class _Server:
    """One who serves a topic: its handlers by name, and how many calls it takes at a time."""

    handlers: dict[str, tuple[Call[Any, Any], Handler]]
    limit: asyncio.Semaphore
    remove: Callable[[], None] = field(default=lambda: None)

    def close(self) -> None:
        self.remove()


@dataclass(eq=False)
class _Listening:
    listeners: dict[str, tuple[Note[Any], Listener]]
    remove: Callable[[], None] = field(default=lambda: None)

    def close(self) -> None:
        self.remove()


@dataclass(eq=False)
class _Waiting:
    callback: Callable[[], object]
    remove: Callable[[], None] = field(default=lambda: None)

    def close(self) -> None:
        self.remove()


class MemoryBus:
    """A bus for one process (and for tests): nothing is lost unless nobody is there to hear it."""

    def __init__(self) -> None:
        self._servers: dict[str, deque[_Server]] = {}
        self._listening: dict[str, list[_Listening]] = {}
        self._waiting: dict[str, list[_Waiting]] = {}
        self._under_way: set[asyncio.Task[bytes]] = set()
        self._names = itertools.count(1)

    def serve(self, topic: str, handlers: Mapping[Call[Any, Any], Handler], *, limit: int = 64) -> _Server:
        by_name = {call.name: (call, handler) for call, handler in handlers.items()}
        server = _Server(by_name, asyncio.Semaphore(limit))
        queue = self._servers.setdefault(topic, deque())
        queue.append(server)
        server.remove = lambda: _discard(queue, server)
        return server

    async def call(self, topic: str, call: Call[Q, A], request: Q, *, deadline_s: float | None = None) -> A:
        refuse_in_transaction(f"call {call.name}")
        servers = self._servers.get(topic)
        if not servers:
            raise Unreachable(f"nobody serves {topic}")
        server = servers[0]
        if len(servers) > 1:
            servers.rotate(-1)
        data = pack_request(call, request)
        task = asyncio.create_task(self._run(server, data), name=f"{call.name} #{next(self._names)}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        wait_s = call.deadline_s if deadline_s is None else deadline_s
        try:
            async with asyncio.timeout(wait_s):
                # As with a broker: a caller that gives up does not stop the work.
                reply = await asyncio.shield(task)
        except TimeoutError:
            raise TimedOut(f"{topic} did not answer {call.name} within {wait_s:g} s") from None
        return unpack_reply(call, reply)

    @staticmethod
    async def _run(server: _Server, data: bytes) -> bytes:
        async with server.limit:
            return await answer(server.handlers, data)

    def announce(self, topic: str, note: Note[Q], body: Q) -> None:
        refuse_in_transaction(f"note {note.name}")
        data = note.encode(body)
        for listening in tuple(self._listening.get(topic, ())):
            row = listening.listeners.get(note.name)
            if row is not None:
                row[1](row[0].decode(data))

    def listen(self, topic: str, listeners: Mapping[Note[Any], Listener]) -> _Listening:
        listening = _Listening({note.name: (note, listener) for note, listener in listeners.items()})
        queue = self._listening.setdefault(topic, [])
        queue.append(listening)
        listening.remove = lambda: _discard(queue, listening)
        return listening

    def wake(self, topic: str) -> None:
        for waiting in tuple(self._waiting.get(topic, ())):
            waiting.callback()

    def on_wake(self, topic: str, callback: Callable[[], object]) -> _Waiting:
        waiting = _Waiting(callback)
        queue = self._waiting.setdefault(topic, [])
        queue.append(waiting)
        waiting.remove = lambda: _discard(queue, waiting)
        return waiting

    async def close(self) -> None:
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        self._servers.clear()
        self._listening.clear()
        self._waiting.clear()


def _discard(queue: Any, item: object) -> None:
    if item in queue:
        queue.remove(item)
