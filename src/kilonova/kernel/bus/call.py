"""Calls between processes as typed rows: a name, what is asked, what is answered, and how long to wait.

A *call* is asked of one topic and answered by one of those who serve it. It may arrive more than once (a
broker redelivers, a caller asks again), so every handler must be safe to repeat. A *note* goes to all who listen
and may be lost; a *wake-up* is a note without content. Nobody may depend on a note: the truth is in a database.

What crosses the bus is always bytes, also inside one process, so both sides see the same types everywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kilonova.kernel.context import Context, bind, current
from kilonova.kernel.errors import Error

LOG = logging.getLogger(__name__)

Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)


class Call(Generic[Q, A]):
    """One call: ``Call("agent.spawn", SpawnGuest, GuestReport, deadline_s=300)``. Encoders are kept."""

    __slots__ = ("deadline_s", "decode_reply", "decode_request", "encode", "name", "reply", "request")

    def __init__(self, name: str, request: type[Q], reply: type[A], deadline_s: float):
        self.name, self.request, self.reply, self.deadline_s = name, request, reply, deadline_s
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode_request = msgspec.msgpack.Decoder(request).decode
        self.decode_reply = msgspec.msgpack.Decoder(reply).decode

    def __repr__(self) -> str:
        return f"Call({self.name})"


class Note(Generic[Q]):
    """One kind of one-way message: ``Note("agent.report", HostReport)``."""

    __slots__ = ("body", "decode", "encode", "name")

    def __init__(self, name: str, body: type[Q]):
        self.name, self.body = name, body
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(body).decode

    def __repr__(self) -> str:
        return f"Note({self.name})"


Handler = Callable[[Any], Awaitable[Any]]
Listener = Callable[[Any], object]


class CallFailed(Exception):
    """Base of what a caller may meet. ``ran`` says whether the other side may have done the work."""

    ran: bool | None = None


class Unreachable(CallFailed):
    """Nobody serves the topic: nothing was done."""

    ran = False


class TimedOut(CallFailed):
    """No answer in time: the work may or may not have been done. Look before asking again."""


class RemoteFailure(CallFailed):
    """The other side refused or failed. ``code`` is the type name of its error, ``message`` its sentence."""

    ran = True

    def __init__(self, code: str, message: str, status: int = 500, trace: str = ""):
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message, self.status, self.trace = code, message, status, trace


class Serving(Protocol):
    """What ``serve`` and ``listen`` give back."""

    def close(self) -> None:
        """Take no further calls; those under way run on."""


class Bus(Protocol):
    """What every bus does. Topics are plain words: ``conductor``, ``scheduler``, ``agent.HOST``."""

    def serve(self, topic: str, handlers: Mapping[Call[Any, Any], Handler], *, limit: int = 64) -> Serving:
        """Answer calls to ``topic``, at most ``limit`` at a time. Several may share a topic."""

    async def call(self, topic: str, call: Call[Q, A], request: Q, *, deadline_s: float | None = None) -> A:
        """Ask and wait. Raises Unreachable, TimedOut or RemoteFailure."""

    def announce(self, topic: str, note: Note[Q], body: Q) -> None:
        """Tell all who listen to ``topic``; never waits, may be lost."""

    def listen(self, topic: str, listeners: Mapping[Note[Any], Listener]) -> Serving:
        """Run a plain, quick function for each note of ``topic``."""

    def wake(self, topic: str) -> None:
        """Tell those who wait on ``topic`` to look at their journal; never waits, may be lost."""

    def on_wake(self, topic: str, callback: Callable[[], object]) -> Serving:
        """Run a plain, quick ``callback`` at each wake-up of ``topic``."""

    async def close(self) -> None:
        """Stop the calls under way and drop all who serve and listen."""


class RequestFrame(msgspec.Struct, array_like=True, omit_defaults=True):
    """A call on its way: what is asked, and for whom."""

    call: str
    body: bytes
    request_id: str = ""
    global_request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None


class ReplyFrame(msgspec.Struct, array_like=True, omit_defaults=True):
    """An answer on its way: a body, or an error."""

    body: bytes | None = None
    code: str = ""
    message: str = ""
    status: int = 500
    trace: str = ""


_frame = msgspec.msgpack.Encoder().encode
_read_request = msgspec.msgpack.Decoder(RequestFrame).decode
_read_reply = msgspec.msgpack.Decoder(ReplyFrame).decode


def pack_request(call: Call[Q, Any], request: Q) -> bytes:
    """A request as bytes, with the ids of the current context."""
    context = current()
    body = call.encode(request)
    if context is None:
        return _frame(RequestFrame(call.name, body))
    return _frame(
        RequestFrame(
            call.name,
            body,
            context.request_id,
            context.global_request_id,
            context.user_id,
            context.project_id,
        )
    )


async def answer(handlers: Mapping[str, tuple[Call[Any, Any], Handler]], data: bytes) -> bytes:
    """Run the handler for one request frame and pack what it answers or raises. Owns the last ``except``."""
    frame = _read_request(data)
    bind(
        Context(
            request_id=frame.request_id,
            global_request_id=frame.global_request_id,
            user_id=frame.user_id,
            project_id=frame.project_id,
        )
        if frame.request_id
        else None
    )
    row = handlers.get(frame.call)
    if row is None:
        return _frame(ReplyFrame(code="UnknownCall", message=f"{frame.call} is not served here", status=501))
    call, handler = row
    try:
        reply = await handler(call.decode_request(frame.body))
        return _frame(ReplyFrame(call.encode(reply)))
    except Error as error:
        return _frame(ReplyFrame(code=error.type_name, message=error.message, status=error.status))
    except RemoteFailure as error:
        return _frame(ReplyFrame(code=error.code, message=error.message, status=error.status))
    except msgspec.ValidationError as error:
        return _frame(ReplyFrame(code="BadRequest", message=f"{frame.call}: {error}", status=400))
    except Exception as error:
        LOG.exception("%s failed", frame.call)
        return _frame(ReplyFrame(code=type(error).__name__, message=str(error)))


def unpack_reply(call: Call[Any, A], data: bytes) -> A:
    """The answer in a reply frame, or the RemoteFailure it tells of."""
    frame = _read_reply(data)
    if frame.body is None:
        raise RemoteFailure(frame.code, frame.message, frame.status, frame.trace)
    return call.decode_reply(frame.body)
