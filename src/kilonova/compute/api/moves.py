"""The records of moves: of the whole cloud, and of one server."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import server_row
from kilonova.compute.api.links import limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import as_time
from kilonova.compute.errors import MarkerUnknown
from kilonova.compute.microversions import v
from kilonova.compute.store import migrations_log
from kilonova.kernel.clock import iso_micros
from kilonova.kernel.db import Page
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Field, FieldTable, Response, answer

_IN_PROGRESS = frozenset(("queued", "preparing", "running", "post-migrating"))

MOVE = FieldTable(
    Field("id", lambda m: m.number),
    Field("uuid", lambda m: m.id, since=v(59)),
    Field("status", lambda m: m.status),
    Field("instance_uuid", lambda m: m.server_id),
    Field("source_node", lambda m: m.source_node),
    Field("source_compute", lambda m: m.source_host),
    Field("dest_node", lambda m: m.dest_node),
    Field("dest_compute", lambda m: m.dest_host),
    Field("dest_host", lambda m: m.dest_host),
    Field("old_instance_type_id", lambda m: m.old_flavor_id),
    Field("new_instance_type_id", lambda m: m.new_flavor_id),
    Field("migration_type", lambda m: m.kind, since=v(23)),
    Field("created_at", lambda m: iso_micros(m.created_at)),
    Field("updated_at", lambda m: iso_micros(m.updated_at)),
    Field("user_id", lambda m: m.user_id, since=v(80)),
    Field("project_id", lambda m: m.project_id, since=v(80)),
)

_FILTERS = {"status": "status", "instance_uuid": "server_id", "migration_type": "kind", "source_compute": "source_host"}
_FILTERS_80 = {"user_id": "user_id", "project_id": "project_id"}
_STRINGS = {name: {"type": "string"} for name in ("hidden", "host", *_FILTERS)}
_PAGE = {"limit": {"type": "string", "pattern": "^[0-9]*$"}, "marker": {"type": "string", "format": "uuid"}}
_SINCE = {"changes-since": {"type": "string", "format": "date-time"}}
_BEFORE = {"changes-before": {"type": "string", "format": "date-time"}}
_WHO = {name: {"type": "string"} for name in _FILTERS_80}


def _query(*groups: dict[str, Any], strict: bool = True) -> dict[str, Any]:
    keys = {name: schema for group in groups for name, schema in group.items()}
    return {"properties": keys, **({"additionalProperties": False} if strict else {})}


LIST = (
    (None, v(58), _query(_STRINGS, strict=False)),
    (v(59), v(65), _query(_STRINGS, _PAGE, _SINCE)),
    (v(66), v(79), _query(_STRINGS, _PAGE, _SINCE, _BEFORE)),
    (v(80), None, _query(_STRINGS, _PAGE, _SINCE, _BEFORE, _WHO)),
)


async def list_moves(request: ComputeRequest) -> Response:
    """GET /os-migrations"""
    names = {**_FILTERS, **(_FILTERS_80 if request.version >= v(80) else {})}
    equal = {column: request.q(name) for name, column in names.items() if request.q(name)}
    pages = request.version >= v(59)
    limit, marker = limit_of(request), request.q("marker") if pages else None
    async with request.service.db.read() as tx:
        after = None
        if marker:
            last = await migrations_log.find(tx, marker)
            if last is None:
                raise MarkerUnknown(marker=marker)
            after = {"number": last.number}
        found = await migrations_log.page(
            tx,
            Page((("number", "desc"),), limit, after),
            equal=equal,
            host=request.q("host"),
            changed_since=as_time(request.q("changes-since"), "changes-since") if pages else None,
            changed_before=as_time(request.q("changes-before"), "changes-before") if pages else None,
        )
    body: dict[str, Any] = {"migrations": MOVE.render_all(found, request.version)}
    following = next_link(request, "os-migrations", found, limit, found[-1].id) if pages and found else []
    if following:
        body["migrations_links"] = following
    return answer(body)


async def list_moves_of_server(request: ComputeRequest) -> Response:
    """GET /servers/{id}/migrations: those under way"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
        found = await migrations_log.page(tx, Page((("number", "asc"),)), equal={"server_id": row.id})
    going = [m for m in found if m.kind == "live-migration" and m.status in _IN_PROGRESS]
    return answer({"migrations": MOVE.render_all(going, request.version)})


async def show_move_of_server(request: ComputeRequest) -> Response:
    """GET /servers/{id}/migrations/{migration}"""
    key = request.params["migration_id"]
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
        found = await migrations_log.page(tx, Page((("number", "asc"),)), equal={"server_id": row.id})
    for move in found:
        if str(move.number) == key and move.kind == "live-migration" and move.status in _IN_PROGRESS:
            return answer({"migration": MOVE.render(move, request.version)})
    raise NotFound(f"In-progress live migration {key} is not found for server {row.id}.")
