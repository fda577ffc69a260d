"""From rows to an ASGI application: one dispatcher for every service.

Order for each request: request id, route, token, microversion, method, rule (unless the handler checks its object),
body, handler. Every error leaves in the service's dialect; what is not an Error is logged and leaves as a plain 500
that tells the request id and nothing of the inside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kilonova.kernel import context as contexts
from kilonova.kernel.context import Context
from kilonova.kernel.errors import (
    BadRequest,
    Error,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from kilonova.kernel.ids import is_request_id, new_request_id
from kilonova.kernel.microversion import NO_VERSION, MicroversionRange, Version
from kilonova.kernel.policy import Policies
from kilonova.kernel.web.faults import Dialect, Fault
from kilonova.kernel.web.message import Disconnected, Request, Response, StreamResponse
from kilonova.kernel.web.openapi import describe
from kilonova.kernel.web.route import Leaf, Route, Tree
from kilonova.kernel.web.schema import Checker

LOG = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Authenticate = Callable[[Mapping[str, str]], Awaitable[Context]]
"""Headers in, the caller out. Raises Unauthorized. The request ids of the context are set by the application."""

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class ServiceApp:
    """What makes up the HTTP side of a service.

    ``max_body_bytes``: the largest body that is parsed (raw bodies are the handler's own to bound).
    ``extra_request_id_header``: a second name for the request id in answers (Nova's ``x-compute-request-id``).
    ``strict_slashes``: a path with a slash at its end is another path (Glance).
    ``decorate``: last touch on every answer that was produced, for headers that depend on the request.
    """

    name: str
    routes: tuple[Route, ...]
    dialect: Dialect
    policies: Policies
    authenticate: Authenticate
    microversions: MicroversionRange | None = None
    max_body_bytes: int = 114688
    extra_request_id_header: str | None = None
    server_errors_hint: str = "See the log under request id {request_id}."
    openapi: bool = True
    strict_slashes: bool = False


class InternalError(Error):
    status = 500
    text = "The service met an unexpected condition and could not finish the request. Request id: {request_id}"


@dataclass(slots=True)
class _Checks:
    body: Checker | None
    query: Checker | None


@dataclass(slots=True)
class _Exchange:
    """What is known of one request while it is worked on."""

    scope: Scope
    receive: Receive
    headers: dict[str, str]
    request_id: str
    version: Version = NO_VERSION
    route: Route | None = None
    context: Context = field(default_factory=Context)


def build_app(spec: ServiceApp, service: Any) -> ASGIApp:
    """The ASGI application of a service; ``service`` is what handlers find as ``request.service``.

    Mounted under a prefix, the server sets ``root_path``; routes are relative to it.
    """
    return _Application(spec, service)


class _Application:
    def __init__(self, spec: ServiceApp, service: Any):
        self._spec, self._service = spec, service
        routes = [*spec.routes, *self._own_routes()]
        for route in routes:
            if route.policy is None and not route.public:
                raise ValueError(f"{route.method} {route.path}: a route needs a policy unless it is public")
            if route.policy is not None and route.policy not in spec.policies.rules:
                raise ValueError(f"{route.method} {route.path}: no policy row {route.policy}")
        self._tree = Tree(routes, strict=spec.strict_slashes)
        self._checks = {
            id(route): _Checks(
                Checker(route.body, kind="body") if route.body is not None else None,
                Checker(route.query, kind="query") if route.query is not None else None,
            )
            for route in routes
        }
        self._description: bytes | None = None
        self.routes = tuple(routes)

    def _own_routes(self) -> Iterable[Route]:
        yield Route("GET", "/healthcheck", self._healthcheck, None, "Whether the service answers", public=True)
        if self._spec.openapi:
            yield Route("GET", "/openapi.json", self._openapi, None, "This description", public=True)

    async def _healthcheck(self, request: Request[Any]) -> Response:
        return Response(200, b"OK", [], "text/plain; charset=UTF-8")

    async def _openapi(self, request: Request[Any]) -> Response:
        if self._description is None:
            self._description = msgspec.json.encode(describe(self._spec))
        return Response(200, self._description)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        x = _Exchange(scope, receive, headers, new_request_id())
        try:
            response: Response | StreamResponse = await self._respond(x)
        except Disconnected as gone:
            response = self._fault(x, gone)
        except Error as error:
            response = self._fault(x, error)
        except (OverflowError, UnicodeEncodeError) as error:
            LOG.info("a value that no column can hold: %s", error)
            response = self._fault(x, BadRequest("A value of the request is out of range."))
        except Exception:
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            response = self._fault(x, InternalError(request_id=x.request_id))
        self._add_headers(x, response)
        await _send(response, send, receive, head_only=scope["method"] == "HEAD")
        if LOG.isEnabledFor(logging.DEBUG) or scope["method"] not in ("GET", "HEAD"):
            root, path = scope.get("root_path", ""), self._path(scope)
            LOG.info("%s %s%s %d as %s", scope["method"], root, path, response.status, x.request_id)

    @staticmethod
    def _path(scope: Scope) -> str:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        return path[len(root) :] if root and path.startswith(root) else path

    async def _respond(self, x: _Exchange) -> Response | StreamResponse:
        spec, scope = self._spec, x.scope
        given = x.headers.get("x-openstack-request-id", "")
        global_id = given if is_request_id(given) else None
        found = self._tree.find(self._path(scope))
        method = scope["method"]
        leaf, params = found if found is not None else (None, {})
        rows = _rows(leaf, method)
        if rows and all(row.public for row in rows):
            x.context = Context(request_id=x.request_id, global_request_id=global_id)
        else:
            caller = await spec.authenticate(x.headers)
            x.context = replace(caller, request_id=x.request_id, global_request_id=global_id)
        contexts.bind(x.context)
        if spec.microversions is not None:
            x.version = spec.microversions.min
            x.version = spec.microversions.choose(
                x.headers.get("openstack-api-version"),
                x.headers.get(spec.microversions.legacy_header.lower()) if spec.microversions.legacy_header else None,
            )
        if leaf is None:
            raise NotFound()
        if not rows:
            allowed = ", ".join(sorted(leaf.methods))
            raise MethodNotAllowed(method=method, allowed=allowed, headers={"Allow": allowed})
        request = Request(
            service=self._service,
            method=method,
            path=self._path(scope),
            params=params,
            query=_query(scope),
            query_string=scope.get("query_string", b"").decode("latin-1"),
            headers=x.headers,
            context=x.context,
            policies=spec.policies,
            url_prefix=_url_prefix(scope, x.headers),
            version=x.version,
            receive=x.receive,
        )
        route = await self._choose(x, rows, request)
        x.route = route
        request.rule = route.policy
        checks = self._checks[id(route)]
        if checks.query is not None:
            checks.query.check(request.query, x.version)
        if route.policy is not None and not route.checks_target:
            request.allow(request.own_target())
        if checks.body is not None and not (request.body is None and not route.body_required):
            checks.body.check(request.body, x.version)
        response = await route.handler(request)
        if route.checks_target and not request.allowed and response.status < 400:
            raise RuntimeError(f"{route.method} {route.path}: the handler answered without checking its target")
        return response

    async def _choose(self, x: _Exchange, rows: list[Route], request: Request[Any]) -> Route:
        first = rows[0]
        if first.raw_body:
            _check_content_type(x.headers, first)
            return first
        spoken = [row for row in rows if row.speaks(x.version)]
        if not spoken:
            raise NotFound()
        if request.method in ("POST", "PUT", "PATCH", "DELETE") or "content-length" in x.headers:
            wants = spoken[0].body is not None or spoken[0].action is not None
            request.body = await self._body(x, spoken[0], wants)
        if first.action is None:
            return spoken[0]
        if not isinstance(request.body, dict) or len(request.body) != 1:
            raise BadRequest("The body must be an object with exactly one key: the action.")
        action = next(iter(request.body))
        for row in spoken:
            if row.action == action:
                return row
        raise BadRequest(f"There is no action {action[:100]!r} here in this microversion.")

    async def _body(self, x: _Exchange, route: Route, wants: bool) -> Any:
        limit = self._spec.max_body_bytes
        length = x.headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            raise TooLarge(limit=limit)
        pieces, size = [], 0
        while True:
            message = await x.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected()
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise TooLarge(limit=limit)
            pieces.append(piece)
            if not message.get("more_body", False):
                break
        raw = b"".join(pieces)
        if not raw:
            if wants and route.body_required:
                raise BadRequest("The request needs a JSON body.")
            return None
        if not wants:
            return None
        _check_content_type(x.headers, route)
        try:
            return _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"The body is not valid JSON: {error}") from None

    def _fault(self, x: _Exchange, error: Error) -> Response:
        body, content_type = self._spec.dialect(
            Fault(error, error.status, x.request_id, x.headers.get("accept", ""), x.version)
        )
        if x.version == NO_VERSION and self._spec.microversions is not None:
            x.version = self._spec.microversions.min
        return Response(error.status, body, list(error.headers.items()), content_type)

    def _add_headers(self, x: _Exchange, response: Response | StreamResponse) -> None:
        out = response.headers
        out.append(("x-openstack-request-id", x.request_id))
        if self._spec.extra_request_id_header:
            out.append((self._spec.extra_request_id_header, x.request_id))
        speaks = self._spec.microversions
        if speaks is not None and not (x.route is not None and x.route.public):
            out.append(("openstack-api-version", f"{speaks.service_type} {x.version}"))
            out.append(("vary", "OpenStack-API-Version"))
            if speaks.legacy_header:
                out.append((speaks.legacy_header.lower(), str(x.version)))
                out.append(("vary", speaks.legacy_header))


def _rows(leaf: Leaf | None, method: str) -> list[Route]:
    if leaf is None:
        return []
    rows = leaf.methods.get(method)
    if rows is None and method == "HEAD":
        rows = leaf.methods.get("GET")
    return rows or []


def _query(scope: Scope) -> dict[str, list[str]]:
    raw = scope.get("query_string", b"")
    if not raw:
        return {}
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise BadRequest(f"The query string cannot be read: {error}.") from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _url_prefix(scope: Scope, headers: Mapping[str, str]) -> str:
    host = headers.get("host", "localhost")
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http"))
    return f"{'https' if scheme == 'https' else 'http'}://{host}{scope.get('root_path', '')}"


def _check_content_type(headers: Mapping[str, str], route: Route) -> None:
    declared = headers.get("content-type", "").split(";")[0].strip().lower()
    if declared and declared not in route.content_types and "*/*" not in route.content_types:
        raise UnsupportedMediaType(content_type=declared, supported=" or ".join(route.content_types))


async def _send(response: Response | StreamResponse, send: Send, receive: Receive, *, head_only: bool) -> None:
    headers = [(k.lower().encode("latin-1"), v.encode("latin-1", "replace")) for k, v in response.headers]
    if response.content_type is not None:
        headers.append((b"content-type", response.content_type.encode("latin-1")))
    if isinstance(response, Response):
        if response.status != 204 and not any(k == b"content-length" for k, _v in headers):
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head_only else response.body})
        return
    if response.length is not None:
        headers.append((b"content-length", str(response.length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not head_only:
        await _pour(response.chunks, send, receive)
    await send({"type": "http.response.body", "body": b""})


async def _pour(chunks: AsyncIterator[bytes], send: Send, receive: Receive) -> None:
    """Send the chunks until they end or the client hangs up: servers swallow what nobody reads any more."""
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        async for chunk in chunks:
            if gone.done() and gone.result():
                break
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        gone.cancel()
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


async def _hung_up(receive: Receive) -> bool:
    """Wait for the client's end. False: this transport does not tell it."""
    ended = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return True
        if ended:
            return False
        ended = not message.get("more_body", False)
