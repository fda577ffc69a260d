"""A server's addresses, by network."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.server_fields import addresses
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, answer


async def _addresses(request: ComputeRequest) -> dict[str, list[dict[str, Any]]]:
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    return {
        name: [{"version": one["version"], "addr": one["addr"]} for one in rows]
        for name, rows in addresses(row.vifs).items()
    }


async def list_addresses(request: ComputeRequest) -> Response:
    """GET /servers/{id}/ips"""
    return answer({"addresses": await _addresses(request)})


async def show_addresses(request: ComputeRequest) -> Response:
    """GET /servers/{id}/ips/{network}"""
    found, name = await _addresses(request), request.params["network"]
    if name not in found:
        raise NotFound(f"Instance is not a member of network {name}")
    return answer({name: found[name]})
