"""Hosts as they were listed up to microversion 2.42; hypervisors replaced them."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import closed
from kilonova.compute.errors import HostNotFound, NotAbleOnHost
from kilonova.compute.model.hosts import zones_of_hosts
from kilonova.compute.store import hosts, servers
from kilonova.kernel.web import Response, answer

_SWITCH = {"type": "string", "enum": ["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"]}
UPDATE = {**closed({"status": _SWITCH, "maintenance_mode": _SWITCH}), "minProperties": 1}


async def list_hosts(request: ComputeRequest) -> Response:
    """GET /os-hosts"""
    settings, wanted = request.service.settings, request.q("zone") or None
    async with request.service.db.read() as tx:
        records = await hosts.list_services(tx)
        zones = zones_of_hosts(await hosts.list_aggregates(tx))
    shown = [
        {
            "host_name": record.host,
            "service": record.binary.removeprefix("nova-"),
            "zone": zones.get(record.host, settings.default_zone)
            if record.binary == hosts.COMPUTE
            else settings.internal_zone,
        }
        for record in records
        if not record.disabled
    ]
    return answer({"hosts": [row for row in shown if wanted in (None, row["zone"])]})


async def show_host(request: ComputeRequest) -> Response:
    """GET /os-hosts/{host}"""
    name = request.params["host"]
    async with request.service.db.read() as tx:
        found = await hosts.named_hosts(tx, host=name)
        if not found:
            raise HostNotFound(host=name)
        there = await servers.on_host(tx, name)
    host = found[0]
    projects: dict[str, list[int]] = {}
    for server in there:
        sums = projects.setdefault(server.project_id, [0, 0, 0])
        sums[0] += server.flavor.vcpus
        sums[1] += server.flavor.ram_mib
        sums[2] += server.flavor.disk_gib + server.flavor.ephemeral_gib
    every = [sum(sums[n] for sums in projects.values()) for n in range(3)]
    rows = [
        ("(total)", host.vcpus, host.ram_mib, host.disk_gib),
        ("(used_now)", host.vcpus_used, host.ram_used_mib, host.disk_used_gib),
        ("(used_max)", *every),
        *((project, *sums) for project, sums in sorted(projects.items())),
    ]
    shown: list[dict[str, Any]] = [
        {"resource": {"host": name, "project": project, "cpu": cpu, "memory_mb": ram, "disk_gb": disk}}
        for project, cpu, ram, disk in rows
    ]
    return answer({"host": shown})


async def refuse(request: ComputeRequest) -> Response:
    """Power or maintenance of a whole host: no hypervisor here can do it, as with upstream's on libvirt"""
    name = request.params["host"]
    async with request.service.db.read() as tx:
        if not await hosts.list_services(tx, host=name):
            raise HostNotFound(host=name)
    raise NotAbleOnHost(host=name)
