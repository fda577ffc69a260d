"""The bus over RabbitMQ: calls in quorum queues, notes and wake-ups in queues that live as long as their listener.

* A topic is one durable quorum queue; all who serve the topic take from it, each at most ``limit`` at a time. A call is
  confirmed to its caller by the broker, carries its deadline, and is acknowledged when its handler is done and the
  answer is on its way: who dies before that has the call delivered again, perhaps to another. What kills its server
  again and again, has outlived its deadline or cannot be read ends in the dead-letter queue.
* Notes and wake-ups are sent by a task of their own from a queue with a limit: telling never waits, and what cannot be
  sent is dropped. A wake-up also rings in the process that sends it, so with the broker away a process still wakes
  itself.
* One task owns the connection. With the broker away calls fail at once as Unreachable; a call under way when the
  connection breaks fails as TimedOut, since nobody can know how far it came. Whatever is served or listened to is put
  in place again when the broker is back.

Nothing imports this module but a process that was given the address of a broker: aio-pika is an optional extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aio_pika
import msgspec
from aio_pika.exceptions import AMQPError, DeliveryError

from kilonova.kernel.bus.call import (
    A,
    Call,
    Handler,
    Listener,
    Note,
    Q,
    RequestFrame,
    TimedOut,
    Unreachable,
    answer,
    pack_request,
    unpack_reply,
)
from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.db.transaction import refuse_in_transaction
from kilonova.kernel.ids import new_hex

LOG = logging.getLogger(__name__)

CONNECT_WITHIN_S, FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 0.2, 5.0
DELIVERIES, LONGEST_QUEUE, LONGEST_DEAD = 5, 100_000, 10_000
UNUSED_QUEUE_GOES_AFTER_S = 7 * 24 * 3600
UNSENT_NOTES = 1000
KNOWN_FOR_S = 1.0
DIRECT_REPLY = "amq.rabbitmq.reply-to"

_BROKEN = (AMQPError, ConnectionError, OSError, RuntimeError)


class _NoteFrame(msgspec.Struct, array_like=True, omit_defaults=True):
    """A note on its way; without a name it is a wake-up."""

    topic: str
    name: str = ""
    body: bytes = b""


_pack_note = msgspec.msgpack.Encoder().encode
_read_note = msgspec.msgpack.Decoder(_NoteFrame).decode
_read_request = msgspec.msgpack.Decoder(RequestFrame).decode


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A call that was given up: where it was sent, what it asked, on whose behalf, and why it is here."""

    topic: str
    call: str
    request_id: str
    reason: str


@dataclass(eq=False)
class _Server:
    """One who serves a topic, and the channel its calls come by while the connection lives."""

    topic: str
    handlers: dict[str, tuple[Call[Any, Any], Handler]]
    limit: int
    close: Callable[[], None] = field(default=lambda: None)
    closed: bool = False
    channel: Any = None
    cancel: Callable[[], Any] | None = None
    placed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Hearing:
    """One who listens to the notes (or waits for the wake-ups) of a topic."""

    topic: str
    hear: Callable[[_NoteFrame], None]
    close: Callable[[], None] = field(default=lambda: None)
    placed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Link:
    """One life of the connection."""

    connection: Any
    calls: Any
    notes: Any
    note_exchange: Any
    note_queue: Any
    lost: asyncio.Event
    replies: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)
    served_until: dict[str, float] = field(default_factory=dict)


class AmqpBus:
    """A `Bus` over the broker at ``url`` (``amqp://`` or ``amqps://``); ``prefix`` keeps clouds on one broker apart."""

    def __init__(self, url: str, *, prefix: str = "kilonova", clock: Clock | None = None, ssl_context: Any = None):
        self._url, self._prefix, self._ssl = url, prefix, ssl_context
        self._clock = clock or SystemClock()
        self._id = new_hex()
        self._servers: list[_Server] = []
        self._hearings: list[_Hearing] = []
        self._link: _Link | None = None
        self._tried, self._up = asyncio.Event(), asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._unsent: deque[_NoteFrame] = deque(maxlen=UNSENT_NOTES)
        self._unsent_wakes: OrderedDict[str, None] = OrderedDict()
        self._something_to_send = asyncio.Event()

    # Serving and calling

    def serve(self, topic: str, handlers: Mapping[Call[Any, Any], Handler], *, limit: int = 64) -> _Server:
        server = _Server(topic, {call.name: (call, handler) for call, handler in handlers.items()}, limit)
        self._servers.append(server)
        server.close = lambda: self._stop_serving(server)
        self._start()
        if self._link is not None:
            self._spawn(self._place_server(self._link, server))
        return server

    async def call(self, topic: str, call: Call[Q, A], request: Q, *, deadline_s: float | None = None) -> A:
        refuse_in_transaction(f"call {call.name}")
        wait_s = call.deadline_s if deadline_s is None else deadline_s
        data = pack_request(call, request)
        try:
            async with asyncio.timeout(wait_s):
                return unpack_reply(call, await self._ask(topic, call.name, data, wait_s))
        except TimeoutError:
            raise TimedOut(f"{topic} did not answer {call.name} within {wait_s:g} s") from None

    async def _ask(self, topic: str, name: str, data: bytes, wait_s: float) -> bytes:
        link = await self._reach()
        queue = self._queue(topic)
        if not await self._is_served(link, queue):
            raise Unreachable(f"nobody serves {topic}")
        number = new_hex()
        reply = asyncio.get_running_loop().create_future()
        link.replies[number] = reply
        message = aio_pika.Message(
            data,
            type=name,
            correlation_id=number,
            reply_to=DIRECT_REPLY,
            expiration=max(wait_s, 0.001),  # nobody waits for it after that
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        try:
            await link.calls.default_exchange.publish(message, queue, mandatory=True)
            return await reply  # type: ignore[no-any-return]
        except DeliveryError as error:
            raise Unreachable(f"the broker did not take {name} for {topic}: {error}") from None
        except _BROKEN as error:
            raise TimedOut(f"the broker went away during {name}: {error}") from None
        finally:
            link.replies.pop(number, None)

    async def _reach(self) -> _Link:
        """The connection. Waits for the first try only: with the broker away nobody waits."""
        self._start()
        await self._tried.wait()
        if self._link is None:
            raise Unreachable("the message broker is away")
        return self._link

    async def _is_served(self, link: _Link, queue: str) -> bool:
        """Whether somebody takes from the queue: a yes is believed for a second, a no is asked again."""
        if link.served_until.get(queue, 0.0) > self._clock.monotonic():
            return True
        try:
            channel = await link.connection.channel()  # the broker closes it when there is no such queue
            try:
                declared = await channel.declare_queue(queue, passive=True)
                served = bool(declared.declaration_result.consumer_count)
            finally:
                with contextlib.suppress(*_BROKEN):
                    await channel.close()
        except aio_pika.exceptions.ChannelNotFoundEntity:
            served = False
        except _BROKEN as error:
            raise Unreachable(f"the message broker is away: {error}") from None
        if served:
            link.served_until[queue] = self._clock.monotonic() + KNOWN_FOR_S
        return served

    async def _take_reply(self, link: _Link, message: Any) -> None:
        reply = link.replies.get(message.correlation_id)
        if reply is not None and not reply.done():
            reply.set_result(message.body)

    async def _take_call(self, server: _Server, message: Any) -> None:
        task = asyncio.current_task()
        if server.closed or task is None:
            await message.nack(requeue=True)
            return
        self._under_way.add(task)
        try:
            try:
                data = await answer(server.handlers, message.body)
            except msgspec.DecodeError:
                LOG.error("what came to %s cannot be read; it is in the dead-letter queue", server.topic)
                await message.reject(requeue=False)
                return
            if message.reply_to:
                reply = aio_pika.Message(data, correlation_id=message.correlation_id)
                await message.channel.basic_publish(
                    data, routing_key=message.reply_to, properties=reply.properties, mandatory=False
                )
            await message.ack()
        except _BROKEN as error:
            LOG.info("the answer to %s could not be sent (%s); the call will come again", message.type, error)
        finally:
            self._under_way.discard(task)

    def _stop_serving(self, server: _Server) -> None:
        if server.closed:
            return
        server.closed = True
        self._servers.remove(server)
        if self._link is not None:
            self._link.served_until.pop(self._queue(server.topic), None)
        if server.cancel is not None:
            self._spawn(_quietly(server.cancel))

    # Notes and wake-ups

    def announce(self, topic: str, note: Note[Q], body: Q) -> None:
        refuse_in_transaction(f"note {note.name}")
        self._start()
        if self._link is not None:
            self._unsent.append(_NoteFrame(topic, note.name, note.encode(body)))
            self._something_to_send.set()

    def listen(self, topic: str, listeners: Mapping[Note[Any], Listener]) -> _Hearing:
        by_name = {note.name: (note, listener) for note, listener in listeners.items()}

        def hear(frame: _NoteFrame) -> None:
            row = by_name.get(frame.name)
            if row is not None:
                row[1](row[0].decode(frame.body))

        return self._hear(topic, hear)

    def wake(self, topic: str) -> None:
        for hearing in tuple(self._hearings):
            if hearing.topic == topic:
                hearing.hear(_NoteFrame(topic))
        self._start()
        if self._link is not None and len(self._unsent_wakes) < UNSENT_NOTES:
            self._unsent_wakes[topic] = None  # one is as good as many
            self._something_to_send.set()

    def on_wake(self, topic: str, callback: Callable[[], object]) -> _Hearing:
        def hear(frame: _NoteFrame) -> None:
            if not frame.name:
                callback()

        return self._hear(topic, hear)

    def _hear(self, topic: str, hear: Callable[[_NoteFrame], None]) -> _Hearing:
        hearing = _Hearing(topic, hear)
        self._hearings.append(hearing)

        def close() -> None:
            if hearing in self._hearings:
                self._hearings.remove(hearing)

        hearing.close = close
        self._start()
        if self._link is not None:
            self._spawn(self._place_hearing(self._link, hearing))
        return hearing

    async def _take_note(self, message: Any) -> None:
        try:
            frame = _read_note(message.body)
        except msgspec.DecodeError:
            LOG.error("a note that cannot be read was dropped")
            return
        if not frame.name and message.app_id == self._id:
            return  # rung already, by ourselves
        for hearing in tuple(self._hearings):
            if hearing.topic == frame.topic:
                try:
                    hearing.hear(frame)
                except Exception:
                    LOG.exception("a listener of %s failed", frame.topic)

    async def _send_notes(self, link: _Link) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._unsent_wakes or self._unsent:
                if self._unsent_wakes:
                    frame = _NoteFrame(self._unsent_wakes.popitem(last=False)[0])
                else:
                    frame = self._unsent.popleft()
                message = aio_pika.Message(_pack_note(frame), app_id=self._id, expiration=60)
                await link.note_exchange.publish(message, frame.topic, mandatory=False)

    # The connection

    async def ready(self, within_s: float = 30.0) -> None:
        """Wait until the broker is there and all that is served and listened to is in place. Raises Unreachable."""
        self._start()
        try:
            async with asyncio.timeout(within_s):
                await self._up.wait()
                for item in self._placeable():
                    await item.placed.wait()
        except TimeoutError:
            raise Unreachable(f"the message broker did not answer within {within_s:g} s") from None

    @property
    def is_up(self) -> bool:
        """Whether the broker is connected, for health checks."""
        return self._link is not None

    def _placeable(self) -> list[_Server | _Hearing]:
        return [*self._servers, *self._hearings]

    def _start(self) -> None:
        if self._owner is None:
            self._owner = asyncio.get_running_loop().create_task(self._own_connection(), name="bus connection")

    async def _own_connection(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            link: _Link | None = None
            sender: asyncio.Task[None] | None = None
            try:
                link = await self._connect()
                for server in tuple(self._servers):
                    await self._place_server(link, server)
                for hearing in tuple(self._hearings):
                    await self._place_hearing(link, hearing)
                self._link, pause_s = link, FIRST_PAUSE_S
                self._tried.set()
                self._up.set()
                LOG.info("the message broker is there")
                sender = asyncio.create_task(self._send_notes(link), name="bus notes")
                lost = asyncio.create_task(link.lost.wait(), name="bus lost")
                await asyncio.wait({lost, sender}, return_when=asyncio.FIRST_COMPLETED)
                lost.cancel()
                LOG.warning("the message broker went away")
            except (*_BROKEN, TimeoutError) as error:
                LOG.warning("the message broker cannot be reached: %s", error or type(error).__name__)
            finally:
                self._lose(link)
                if sender is not None:
                    sender.cancel()
                if link is not None:
                    await _quietly(link.connection.close)
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _lose(self, link: _Link | None) -> None:
        self._link = None
        self._tried.set()
        self._up.clear()
        self._unsent.clear()
        self._unsent_wakes.clear()
        for item in self._placeable():
            item.placed.clear()
        for reply in link.replies.values() if link is not None else ():
            if not reply.done():
                reply.set_exception(ConnectionError("no answer came before"))

    async def _connect(self) -> _Link:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            connection = await aio_pika.connect(self._url, ssl_context=self._ssl, heartbeat=10)
            lost = asyncio.Event()

            async def _is_lost(*_why: object) -> None:
                lost.set()

            connection.close_callbacks.add(_is_lost)
            try:
                return await self._furnish(connection, lost)
            except BaseException:
                await _quietly(connection.close)
                raise

    async def _furnish(self, connection: Any, lost: asyncio.Event) -> _Link:
        calls = await connection.channel(publisher_confirms=True, on_return_raises=True)
        notes = await connection.channel(publisher_confirms=False)
        dead = await notes.declare_exchange(f"{self._prefix}.dead", "fanout", durable=True)
        kept = {"x-queue-type": "quorum", "x-max-length": LONGEST_DEAD}
        await (await notes.declare_queue(f"{self._prefix}.dead", durable=True, arguments=kept)).bind(dead)
        exchange = await notes.declare_exchange(f"{self._prefix}.notes", "direct", durable=True)
        short = {"x-max-length": UNSENT_NOTES}
        queue = await notes.declare_queue(
            f"{self._prefix}.notes.{new_hex()}", exclusive=True, auto_delete=True, arguments=short
        )
        await queue.consume(self._take_note, no_ack=True)
        link = _Link(connection, calls, notes, exchange, queue, lost)
        replies = await calls.get_queue(DIRECT_REPLY, ensure=False)
        await replies.consume(partial(self._take_reply, link), no_ack=True)
        return link

    async def _place_server(self, link: _Link, server: _Server) -> None:
        if server.closed:
            return
        channel = await link.connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=server.limit)
        queue = await channel.declare_queue(
            self._queue(server.topic),
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERIES,
                "x-max-length": LONGEST_QUEUE,
                "x-overflow": "reject-publish",
                "x-dead-letter-exchange": f"{self._prefix}.dead",
                "x-expires": UNUSED_QUEUE_GOES_AFTER_S * 1000,
            },
        )
        tag = await queue.consume(partial(self._take_call, server))
        server.channel = channel
        server.cancel = lambda: queue.cancel(tag)
        server.placed.set()
        if server not in self._servers:  # closed meanwhile
            await _quietly(server.cancel)

    async def _place_hearing(self, link: _Link, hearing: _Hearing) -> None:
        await link.note_queue.bind(link.note_exchange, hearing.topic)
        hearing.placed.set()

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The first ``limit`` calls that were given up; they stay where they are."""
        link = await self._reach()
        channel = await link.connection.channel()
        found: list[DeadLetter] = []
        try:
            queue = await channel.declare_queue(f"{self._prefix}.dead", passive=True)
            while len(found) < limit and (message := await queue.get(fail=False)) is not None:
                found.append(self._dead_letter(message))
        finally:
            await channel.close()  # what was not acknowledged goes back to its place
        return found

    def _dead_letter(self, message: Any) -> DeadLetter:
        deaths = message.headers.get("x-death") or [{}]
        topic = str(message.headers.get("x-first-death-queue", "")).removeprefix(f"{self._prefix}.call.")
        reason = str(deaths[0].get("reason", message.headers.get("x-first-death-reason", "")))
        try:
            frame = _read_request(message.body)
        except msgspec.DecodeError:
            return DeadLetter(topic, "", "", reason)
        return DeadLetter(topic, frame.call, frame.request_id, reason)

    def _queue(self, topic: str) -> str:
        return f"{self._prefix}.call.{topic}"

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for server in self._servers:
            server.closed = True  # the broker hears it by the end of the connection
        self._servers.clear()
        self._hearings.clear()
        tasks = (*self._under_way, *self._tasks, *((self._owner,) if self._owner else ()))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        self._owner = None


async def _quietly(close: Callable[[], Any]) -> None:
    with contextlib.suppress(*_BROKEN, TimeoutError):
        await asyncio.wait_for(close(), 5)


async def _logged(work: Any) -> None:
    try:
        await work
    except _BROKEN as error:
        LOG.info("the broker went away while something was put in place: %s", error)
