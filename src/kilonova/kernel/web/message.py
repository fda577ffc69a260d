"""What a handler sees and gives: Request, Response, StreamResponse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from kilonova.kernel.context import Context
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.microversion import NO_VERSION, Version
from kilonova.kernel.policy import Policies

S = TypeVar("S")
Headers = Iterable[tuple[str, str]]

encode = msgspec.json.Encoder().encode


class Disconnected(BadRequest):
    text = "The connection ended before the whole body had come."


@dataclass(slots=True)
class Response:
    """A whole answer. ``headers`` beside Content-Type and Content-Length, which the application sets."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str | None = "application/json"


@dataclass(slots=True)
class StreamResponse:
    """An answer whose body comes in pieces; ``length`` in bytes when known."""

    status: int
    chunks: AsyncIterator[bytes]
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/octet-stream"
    length: int | None = None


def answer(content: Any, status: int = 200, headers: Headers = ()) -> Response:
    """``content`` as JSON; ``msgspec.Raw`` and bytes that are JSON already may be part of it."""
    return Response(status, encode(content), list(headers))


def created(content: Any, headers: Headers = ()) -> Response:
    """201 with JSON."""
    return answer(content, 201, headers)


def accepted(content: Any = None, headers: Headers = ()) -> Response:
    """202, with JSON or without a body."""
    return Response(202, b"", list(headers), None) if content is None else answer(content, 202, headers)


def no_content(headers: Headers = ()) -> Response:
    """204."""
    return Response(204, b"", list(headers), None)


@dataclass(slots=True)
class Request(Generic[S]):
    """One request to a service whose parts are ``service``.

    ``params``: the path's parameters. ``query``: values by name, in order. ``headers``: by lower-case name.
    ``body``: the parsed and validated JSON (None without one). ``version``: the microversion.
    ``url_prefix``: the public base URL of this service, without a slash at the end.
    """

    service: S
    method: str
    path: str
    params: dict[str, str]
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    context: Context
    policies: Policies
    url_prefix: str
    body: Any = None
    version: Version = NO_VERSION
    rule: str | None = None
    allowed: bool = False
    receive: Callable[[], Awaitable[Any]] | None = None
    query_string: str = ""

    def q(self, name: str, default: str | None = None) -> str | None:
        """The last value of a query parameter, as upstream's frameworks take it."""
        values = self.query.get(name)
        return values[-1] if values else default

    def allow(self, target: Mapping[str, Any], rule: str | None = None) -> None:
        """Check the route's rule (or ``rule``) against an object's project and user. Raises PolicyForbids."""
        name = rule or self.rule
        if name is None:
            raise LookupError(f"{self.method} {self.path} names no rule")
        self.policies.check(name, self.context, target)
        self.allowed = True

    def may(self, rule: str, target: Mapping[str, Any] | None = None) -> bool:
        """Whether the caller passes ``rule``; the target is the caller's own project and user unless given."""
        return self.policies.may(rule, self.context, self.own_target() if target is None else target)

    def own_target(self) -> dict[str, Any]:
        """The caller's own project and user, as a target of rules."""
        return {"project_id": self.context.project_id, "user_id": self.context.user_id}

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come. Raises Disconnected when the connection ends early."""
        if self.receive is None:
            return
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected()
            chunk = message.get("body", b"")
            if chunk:
                yield chunk
            if not message.get("more_body", False):
                return
