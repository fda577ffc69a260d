"""Servers: list, show, update, delete. Making one is in create_server.py; actions are in actions/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.compute.api.access import check_may_change, server_row, write
from kilonova.compute.api.links import bases, limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.server_fields import (
    ATTRIBUTES,
    HOST_STATUS,
    SERVER,
    SERVER_ALONE,
    SERVER_BRIEF,
    SERVER_CHANGED,
    SPECS,
    Frame,
    ServerView,
    finish,
)
from kilonova.compute.api.server_filters import filters_of, sort_of
from kilonova.compute.api.values import as_address
from kilonova.compute.errors import MarkerUnknown
from kilonova.compute.microversions import v
from kilonova.compute.model import operations
from kilonova.compute.model.states import TaskState
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import groups, hosts, servers
from kilonova.kernel.db import Page, Row, Transaction
from kilonova.kernel.web import FieldTable, Response, answer, no_content


async def list_servers(request: ComputeRequest) -> Response:
    """GET /servers"""
    rows, limit = await _page(request, "servers:index:get_all_tenants", detailed=False)
    frame = Frame(bases(request))
    shown = SERVER_BRIEF.render_all([ServerView(row, frame) for row in rows], request.version)
    return _list(request, shown, rows, limit, "servers")


async def list_servers_in_detail(request: ComputeRequest) -> Response:
    """GET /servers/detail"""
    rows, limit = await _page(request, "servers:detail:get_all_tenants", detailed=True)
    states = await _host_states(request, rows)
    frame = _frame(request, states)
    readers = SERVER.readers(request.version, SERVER.hidden_from(request.may))
    shown = []
    for row in rows:
        view = ServerView(row, frame)
        shown.append(finish({name: read(view) for name, read in readers}, view))
    return _list(request, shown, rows, limit, "servers/detail")


def _list(
    request: ComputeRequest, shown: list[dict[str, Any]], rows: Sequence[Row[Any]], limit: int, path: str
) -> Response:
    body: dict[str, Any] = {"servers": shown}
    following = next_link(request, path, rows, limit, rows[-1].id) if rows else []
    if following:
        body["servers_links"] = following
    return answer(body)


async def _page(request: ComputeRequest, all_rule: str, *, detailed: bool) -> tuple[Sequence[Row[Any]], int]:
    limit, marker = limit_of(request), request.q("marker")
    by = filters_of(request, PREFIX + all_rule)
    sort = sort_of(request)
    if by is None or limit == 0:
        return [], limit
    async with request.service.db.read() as tx:
        after = None
        if marker:
            project = by.project_id if not request.context.is_admin else None
            after = await servers.sort_values(tx, marker, project, [key for key, _ in sort])
            if after is None:
                raise MarkerUnknown(marker=marker)
        page = Page(sort, limit, after)
        if not detailed:
            return await servers.ids_and_names(tx, by, page), limit
        return await servers.page(tx, by, page, bulky=_sees_user_data(request)), limit


def _sees_user_data(request: ComputeRequest) -> bool:
    return request.version >= v(3) and request.may(ATTRIBUTES)


def _frame(request: ComputeRequest, states: dict[str, str]) -> Frame:
    return Frame(bases(request), request.context.is_admin, request.may(SPECS), states)


async def _host_states(
    request: ComputeRequest, rows: Sequence[Row[Any]], tx: Transaction | None = None
) -> dict[str, str]:
    """UP, DOWN or MAINTENANCE by host, when the caller gets to see it."""
    names = {row.host for row in rows if row.host}
    if request.version < v(16) or not names or not request.may(HOST_STATUS):
        return {}
    if tx is None:
        async with request.service.db.read() as read:
            agents = await hosts.agents(read, names)
    else:
        agents = await hosts.agents(tx, names)
    now, down_after = request.service.clock.now(), request.service.settings.service_down_s
    return {
        name: ("MAINTENANCE" if a.disabled else "UP" if a.is_up(now, down_after) else "DOWN")
        if (a := agents.get(name)) is not None
        else "UNKNOWN"
        for name in names
    }


async def show_server(request: ComputeRequest) -> Response:
    """GET /servers/{id}"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx, bulky=_sees_user_data(request), plain=True)
        shown = await render_one(request, tx, row, SERVER_ALONE)
    return answer({"server": shown})


async def render_one(request: ComputeRequest, tx: Transaction, row: Row[Any], fields: FieldTable) -> dict[str, Any]:
    """One server (a plain row) as the wire has it."""
    frame = _frame(request, await _host_states(request, [row], tx))
    if request.version >= v(71):
        frame.groups = {row.id: tuple(await groups.of_server(tx, row.id))}
    view = ServerView(row, frame)
    return finish(fields.render(view, request.version, fields.hidden_from(request.may)), view)


async def update_server(request: ComputeRequest) -> Response:
    """PUT /servers/{id}"""
    ask = request.body["server"]
    columns = {
        "name": "name",
        "description": "description",
        "hostname": "hostname",
        "accessIPv4": "access_ipv4",
        "accessIPv6": "access_ipv6",
        "OS-DCF:diskConfig": "disk_config",
    }
    values = {columns[key]: as_address(value) if "IP" in key else value for key, value in ask.items()}
    async with request.service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        await servers.change(tx, row.id, request.service.clock.now(), values)
        row = await server_row(request, tx, bulky=_sees_user_data(request), plain=True)
        shown = await render_one(request, tx, row, SERVER_CHANGED)
    if request.version < v(75):
        shown.pop("security_groups", None)
    return answer({"server": shown})


async def delete_server(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}"""
    await remove(request, "delete", forced=False)
    return no_content()


async def remove(request: ComputeRequest, name: str, *, forced: bool) -> None:
    """Ask for the end of a server. It overtakes whatever is being done to it; asked twice, it is done once."""
    service = request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        check_may_change(request, row, name)
        if row.task_state == TaskState.DELETING:
            return
        await servers.change(tx, row.id, service.clock.now(), {"task_state": str(TaskState.DELETING)})
        await write(request, tx, operations.DELETE, row.id, operations.Delete(forced=forced), overtakes=True)
