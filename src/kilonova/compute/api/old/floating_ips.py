"""Floating addresses as compute had them; a pool is an external network."""

from __future__ import annotations

from typing import Any

from kilonova.clients.network import FloatingIp, NetworkRefused
from kilonova.compute.api.old.refused import as_ours
from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, accepted, answer

CREATE = {"type": ["object", "null"], "properties": {"pool": {"type": ["string", "null"]}}}


async def _shown(request: ComputeRequest, rows: list[FloatingIp]) -> list[dict[str, Any]]:
    network, token = request.service.network, request.context.token
    names = {n.id: n.name for n in await network.networks({row.network_id for row in rows}, token=token)}
    ports = {p.id: p for p in await network.ports({row.port_id for row in rows if row.port_id}, token=token)}
    return [
        {
            "id": row.id,
            "ip": row.address,
            "pool": names.get(row.network_id),
            "fixed_ip": row.fixed_ip,
            "instance_id": (ports[row.port_id].device_id or None) if row.port_id in ports else None,
        }
        for row in rows
    ]


async def _find(request: ComputeRequest) -> FloatingIp:
    floating_id = request.params["id"]
    try:
        found = await request.service.network.floating_ip(floating_id, token=request.context.token)
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    if found is None:
        raise NotFound(f"Floating IP not found for ID {floating_id}")
    return found


async def list_pools(request: ComputeRequest) -> Response:
    """GET /os-floating-ip-pools"""
    found = await request.service.network.external_networks(token=request.context.token)
    return answer({"floating_ip_pools": [{"name": network.name or network.id} for network in found]})


async def list_floating_ips(request: ComputeRequest) -> Response:
    """GET /os-floating-ips"""
    rows = await request.service.network.floating_ips_of(request.context.project_id or "", token=request.context.token)
    return answer({"floating_ips": await _shown(request, rows)})


async def show_floating_ip(request: ComputeRequest) -> Response:
    """GET /os-floating-ips/{id}"""
    return answer({"floating_ip": (await _shown(request, [await _find(request)]))[0]})


async def create_floating_ip(request: ComputeRequest) -> Response:
    """POST /os-floating-ips; without a pool, from the first one"""
    network, token = request.service.network, request.context.token
    wanted = (request.body or {}).get("pool")
    pools = await network.external_networks(token=token)
    found = [pool for pool in pools if not wanted or wanted in (pool.id, pool.name)]
    if not found:
        raise NotFound(f"Floating IP pool {wanted} not found." if wanted else "There is no floating IP pool.")
    try:
        made = await network.create_floating_ip(found[0].id, token=token)
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return answer({"floating_ip": (await _shown(request, [made]))[0]})


async def delete_floating_ip(request: ComputeRequest) -> Response:
    """DELETE /os-floating-ips/{id}"""
    try:
        await request.service.network.delete_floating_ip((await _find(request)).id, token=request.context.token)
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return accepted()
