"""Hypervisors: what agents report of their hosts. Administrators only."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.hypervisor_fields import BRIEF, DETAIL, UPTIME, HypervisorView
from kilonova.compute.api.links import limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import query_bool
from kilonova.compute.errors import HostNotFound, MarkerUnknown
from kilonova.compute.microversions import service_by_uuid, v
from kilonova.compute.model.hosts import Host
from kilonova.compute.store import hosts, servers
from kilonova.kernel.db import Page, Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.web import FieldTable, Response, answer

_BY_NUMBER = (("number", "asc"),)


async def _views(
    request: ComputeRequest, tx: Transaction, found: list[Host], *, with_servers: bool
) -> list[HypervisorView]:
    names = {host.host for host in found}
    agents = await hosts.agents(tx, names) if names else {}
    on: dict[str, list[Any]] = {}
    if with_servers and names:
        for row in await servers.briefs_on_hosts(tx, names):
            on.setdefault(row.host, []).append(row)
    now, down_after = request.service.clock.now(), request.service.settings.service_down_s
    return [
        HypervisorView(host, agent, agent.is_up(now, down_after), on.get(host.host, []) if with_servers else None)
        for host in found
        if (agent := agents.get(host.host)) is not None
    ]


async def _page(request: ComputeRequest, fields: FieldTable, path: str) -> Response:
    pattern = request.q("hypervisor_hostname_pattern") if service_by_uuid(request.version) else None
    pages = request.version >= v(33)
    limit, marker = limit_of(request), request.q("marker") if pages else None
    if pattern is not None and (marker or request.q("limit")):
        raise BadRequest("Paging does not go together with hypervisor_hostname_pattern.")
    with_servers = query_bool(request.q("with_servers"), "with_servers")
    async with request.service.db.read() as tx:
        after = None
        if marker:
            last = await hosts.find_host(tx, _key(request, marker))
            if last is None:
                raise MarkerUnknown(marker=marker)
            after = {"number": last.number}
        page = Page(_BY_NUMBER, limit if pages and request.q("limit") else None, after)
        found = await hosts.list_hosts(tx, page, pattern=pattern)
        if pattern is not None and not found:
            raise HostNotFound(host=pattern)
        views = await _views(request, tx, found, with_servers=with_servers)
    body: dict[str, Any] = {"hypervisors": [_render(request, fields, view) for view in views]}
    if pages and request.q("limit") and found:
        last = found[-1]
        key = last.id if service_by_uuid(request.version) else last.number
        following = next_link(request, path, found, limit, key)
        if following:
            body["hypervisors_links"] = following
    return answer(body)


def _render(request: ComputeRequest, fields: FieldTable, view: HypervisorView) -> dict[str, Any]:
    shown = fields.render(view, request.version)
    if view.servers is None or (not view.servers and request.version < v(75)):
        shown.pop("servers", None)
    return shown


def _key(request: ComputeRequest, text: str) -> str | int:
    """How hosts are named: by uuid from 2.53 on, by number before. Raises HostNotFound, BadRequest."""
    if service_by_uuid(request.version):
        if not is_uuid(text):
            raise BadRequest(f"Invalid uuid {text}")
        return text
    if not text.isdecimal() or len(text) > 9:
        raise HostNotFound(host=text)
    return int(text)


async def list_hypervisors(request: ComputeRequest) -> Response:
    """GET /os-hypervisors"""
    return await _page(request, BRIEF, "os-hypervisors")


async def list_hypervisors_in_detail(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/detail"""
    return await _page(request, DETAIL, "os-hypervisors/detail")


async def _one(request: ComputeRequest, *, with_servers: bool) -> HypervisorView:
    key = request.params["hypervisor_id"]
    async with request.service.db.read() as tx:
        host = await hosts.find_host(tx, _key(request, key))
        views = [] if host is None else await _views(request, tx, [host], with_servers=with_servers)
    if not views:
        raise HostNotFound(host=key)
    return views[0]


async def show_hypervisor(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/{id}"""
    view = await _one(request, with_servers=query_bool(request.q("with_servers"), "with_servers"))
    return answer({"hypervisor": _render(request, DETAIL, view)})


async def uptime(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/{id}/uptime"""
    view = await _one(request, with_servers=False)
    if not view.is_up:
        raise BadRequest("The host is down, so its uptime is not known.")
    return answer({"hypervisor": UPTIME.render(view, request.version)})


async def statistics(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/statistics"""
    async with request.service.db.read() as tx:
        found = await hosts.list_hosts(tx, Page(_BY_NUMBER))
        views = [v for v in await _views(request, tx, found, with_servers=False) if not v.service.disabled]
    every = [view.host for view in views]
    sums = {
        "count": len(every),
        "vcpus": sum(h.vcpus for h in every),
        "vcpus_used": sum(h.vcpus_used for h in every),
        "memory_mb": sum(h.ram_mib for h in every),
        "memory_mb_used": sum(h.ram_used_mib for h in every),
        "free_ram_mb": sum(h.ram_mib - h.ram_used_mib for h in every),
        "local_gb": sum(h.disk_gib for h in every),
        "local_gb_used": sum(h.disk_used_gib for h in every),
        "free_disk_gb": sum(h.disk_gib - h.disk_used_gib for h in every),
        "disk_available_least": sum(h.disk_available_least_gib or 0 for h in every),
        "running_vms": sum(h.running_servers for h in every),
        "current_workload": sum(h.workload for h in every),
    }
    return answer({"hypervisor_statistics": sums})


async def _named(request: ComputeRequest, *, with_servers: bool) -> Response:
    pattern = request.params["hypervisor_id"]
    async with request.service.db.read() as tx:
        found = await hosts.list_hosts(tx, Page(_BY_NUMBER), pattern=pattern)
        views = await _views(request, tx, found, with_servers=with_servers)
    if not views:
        raise HostNotFound(f"No hypervisor matching '{pattern}' could be found.")
    return answer({"hypervisors": [_render(request, BRIEF, view) for view in views]})


async def search(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/{pattern}/search"""
    return await _named(request, with_servers=False)


async def servers_of(request: ComputeRequest) -> Response:
    """GET /os-hypervisors/{pattern}/servers"""
    return await _named(request, with_servers=True)
