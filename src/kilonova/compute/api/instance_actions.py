"""What was asked of a server, when, by whom and how it went: the journal as its owner sees it."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import server_row, target_of
from kilonova.compute.api.links import limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import as_time
from kilonova.compute.errors import ActionNotFound, MarkerUnknown
from kilonova.compute.microversions import actions_of_deleted_servers, v
from kilonova.compute.model.operations import ACTION_WORDS
from kilonova.compute.model.servers import hide_host
from kilonova.compute.model.states import ROW
from kilonova.compute.policies import PREFIX
from kilonova.kernel.clock import iso_micros, parse_iso
from kilonova.kernel.tasks.journal import FAILED, Operation
from kilonova.kernel.web import Field, FieldTable, Response, answer

EVENTS = PREFIX + "os-instance-actions:events"
DETAILS = PREFIX + "os-instance-actions:events:details"

_HIDDEN_KINDS = frozenset(("refresh_network",))


def _word(kind: str) -> str:
    row = ROW.get(kind)
    return ACTION_WORDS.get(kind) or (row.action if row is not None else "") or kind


ACTION = FieldTable(
    Field("action", lambda o: _word(o.kind)),
    Field("instance_uuid", lambda o: o.subject),
    Field("request_id", lambda o: o.request_id),
    Field("user_id", lambda o: o.user_id),
    Field("project_id", lambda o: o.project_id),
    Field("start_time", lambda o: iso_micros(o.created_at)),
    Field("message", lambda o: "Error" if o.state == FAILED else o.message),
    Field("updated_at", lambda o: iso_micros(o.updated_at), since=v(58)),
)


def _moment(text: Any) -> str | None:
    return iso_micros(parse_iso(str(text))) if text else None


EVENT = FieldTable(
    Field("event", lambda e: e["name"]),
    Field("start_time", lambda e: _moment(e["start"])),
    Field("finish_time", lambda e: _moment(e.get("finish"))),
    Field("result", lambda e: str(e.get("result", "")).capitalize() or None),
    Field("traceback", lambda e: e.get("trace"), policy=EVENTS),
    Field("host", lambda e: e.get("host"), since=v(62), policy=EVENTS),
    Field("hostId", lambda e: hide_host(e["project_id"], e.get("host")), since=v(62)),
    Field("details", lambda e: e.get("details"), since=v(84), policy=DETAILS),
)

_STRINGS = {"limit": {"type": "string", "pattern": "^[0-9]*$"}, "marker": {"type": "string"}}
_SINCE = {"changes-since": {"type": "string", "format": "date-time"}}
_BEFORE = {"changes-before": {"type": "string", "format": "date-time"}}
LIST: tuple[Any, ...] = (
    (None, v(57), {"properties": {}}),
    (v(58), v(65), {"properties": {**_STRINGS, **_SINCE}, "additionalProperties": False}),
    (v(66), None, {"properties": {**_STRINGS, **_SINCE, **_BEFORE}, "additionalProperties": False}),
)


async def _operations(request: ComputeRequest) -> tuple[Any, list[Operation]]:
    """The server's row and what was asked of it, newest first."""
    gone_too = None if actions_of_deleted_servers(request.version) else False
    async with request.service.db.read() as tx:
        row = await server_row(request, tx, deleted=gone_too)
        every = await request.service.journal.of(tx, row.id)
    return row, [operation for operation in every if operation.kind not in _HIDDEN_KINDS]


async def list_actions(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-instance-actions"""
    _row, found = await _operations(request)
    body: dict[str, Any] = {}
    if request.version >= v(58):
        since, before = (
            as_time(request.q("changes-since"), "changes-since"),
            as_time(request.q("changes-before"), "changes-before"),
        )
        found = [
            o for o in found if (since is None or o.updated_at >= since) and (before is None or o.updated_at <= before)
        ]
        found, links = _page(request, found)
        if links:
            body["links"] = links
    body["instanceActions"] = ACTION.render_all(found, request.version)
    return answer(body)


def _page(request: ComputeRequest, found: list[Operation]) -> tuple[list[Operation], list[dict[str, str]]]:
    limit, marker = limit_of(request), request.q("marker")
    if marker:
        at = next((n for n, operation in enumerate(found) if operation.request_id == marker), None)
        if at is None:
            raise MarkerUnknown(marker=marker)
        found = found[at + 1 :]
    page = found[:limit]
    path = f"servers/{request.params['server_id']}/os-instance-actions"
    return page, next_link(request, path, page, limit, page[-1].request_id) if page else []


async def show_action(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-instance-actions/{request_id}"""
    wanted = request.params["request_id"]
    row, found = await _operations(request)
    operation = next((o for o in found if o.request_id == wanted), None)
    if operation is None:
        raise ActionNotFound(request_id=wanted, id=row.id)
    shown = ACTION.render(operation, request.version)
    target = target_of(row)
    if request.version >= v(51) or request.may(EVENTS, target):
        hidden = EVENT.hidden_from(lambda rule: request.may(rule, target))
        events = [{**event, "project_id": row.project_id} for event in reversed(operation.events)]
        shown["events"] = EVENT.render_all(events, request.version, hidden)
    return answer({"instanceAction": shown})
