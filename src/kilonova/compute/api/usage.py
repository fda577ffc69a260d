"""Usage reports: what projects' servers took in a span of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec

from kilonova.compute.api.links import limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import BadValue
from kilonova.compute.microversions import v
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.usage import ServerUsage, hours_within, total
from kilonova.compute.store import usage
from kilonova.kernel.clock import iso_micros, parse_iso
from kilonova.kernel.db import Row
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Response, answer

_KEYS = {name: {"type": "string"} for name in ("start", "end", "detailed")}
_PAGE = {"limit": {"type": "string", "pattern": "^[0-9]*$"}, "marker": {"type": "string"}}
LIST = (
    (None, v(39), {"properties": _KEYS}),
    (v(40), v(74), {"properties": {**_KEYS, **_PAGE}}),
    (v(75), None, {"properties": {**_KEYS, **_PAGE}, "additionalProperties": False}),
)


def _span(request: ComputeRequest) -> tuple[datetime, datetime]:
    now = request.service.clock.now()
    moments = []
    for name, default in (("start", now - timedelta(weeks=4)), ("end", now)):
        text = request.q(name)
        try:
            moments.append(parse_iso(text) if text else default)
        except ValueError:
            raise BadValue(field=name, value=text, why="It must be a time in ISO 8601.") from None
    if moments[0] >= moments[1]:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return moments[0], moments[1]


def _usage(row: Row[Any], start: datetime, end: datetime, now: datetime) -> ServerUsage:
    ended = row.terminated_at
    return ServerUsage(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        vm_state=row.vm_state,
        flavor=msgspec.convert(row.flavor, FlavorSnapshot),
        started_at=row.launched_at,
        ended_at=ended,
        hours=hours_within(row.launched_at, ended, start, end, now),
        uptime_s=int(((ended or now) - row.launched_at).total_seconds()),
    )


def _server(one: ServerUsage) -> dict[str, Any]:
    return {
        "instance_id": one.id,
        "name": one.name,
        "hours": one.hours,
        "flavor": one.flavor.name,
        "vcpus": one.flavor.vcpus,
        "memory_mb": one.flavor.ram_mib,
        "local_gb": one.disk_gib,
        "tenant_id": one.project_id,
        "started_at": iso_micros(one.started_at),
        "ended_at": iso_micros(one.ended_at),
        "state": "terminated" if one.ended_at is not None else one.vm_state,
        "uptime": one.uptime_s,
    }


def _project(
    project_id: str, rows: list[ServerUsage], start: datetime, end: datetime, *, detailed: bool
) -> dict[str, Any]:
    sums = total(rows)
    shown: dict[str, Any] = {
        "tenant_id": project_id,
        "start": iso_micros(start),
        "stop": iso_micros(end),
        "total_hours": sums.hours,
        "total_vcpus_usage": sums.vcpu_hours,
        "total_memory_mb_usage": sums.ram_mib_hours,
        "total_local_gb_usage": sums.disk_gib_hours,
    }
    if detailed:
        shown["server_usages"] = [_server(one) for one in rows]
    return shown


async def _rows(
    request: ComputeRequest, start: datetime, end: datetime, project_id: str | None
) -> tuple[list[ServerUsage], list[dict[str, str]]]:
    now = request.service.clock.now()
    async with request.service.db.read() as tx:
        found = await usage.lived(tx, start, end, project_id)
    rows = [_usage(row, start, end, now) for row in found]
    if request.version < v(40):
        return rows, []
    limit, marker = limit_of(request), request.q("marker")
    if marker:
        at = next((n for n, one in enumerate(rows) if one.id == marker), None)
        if at is None:
            raise BadRequest(f"marker [{marker}] not found")
        rows = rows[at + 1 :]
    page = rows[:limit]
    path = "os-simple-tenant-usage" + (f"/{project_id}" if project_id is not None else "")
    return page, next_link(request, path, page, limit, page[-1].id) if page else []


async def list_usage(request: ComputeRequest) -> Response:
    """GET /os-simple-tenant-usage"""
    start, end = _span(request)
    rows, following = await _rows(request, start, end, None)
    detailed = request.q("detailed") == "1"
    shown = [
        _project(project_id, list(of), start, end, detailed=detailed)
        for project_id, of in groupby(rows, key=lambda one: one.project_id)
    ]
    return answer({"tenant_usages": shown, **({"tenant_usages_links": following} if following else {})})


async def show_usage(request: ComputeRequest) -> Response:
    """GET /os-simple-tenant-usage/{project}"""
    project_id = request.params["usage_project_id"]
    request.allow({"project_id": project_id, "user_id": request.context.user_id})
    start, end = _span(request)
    rows, following = await _rows(request, start, end, project_id)
    shown = _project(project_id, rows, start, end, detailed=True) if rows else {}
    return answer({"tenant_usage": shown, **({"tenant_usage_links": following} if following else {})})
