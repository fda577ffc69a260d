"""Parts of a server that are read now and then: its password, volumes, topology, migrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.compute.api.access import server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.db import Row
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, answer, no_content


async def _server(request: ComputeRequest) -> Row[Any]:
    async with request.service.db.read() as tx:
        return await server_row(request, tx)


async def show_password(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-server-password; empty until a guest has told one"""
    await _server(request)
    return answer({"password": ""})


async def clear_password(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}/os-server-password"""
    await _server(request)
    return no_content()


async def list_volumes(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-volume_attachments"""
    await _server(request)
    nothing: Sequence[Any] = []
    return answer({"volumeAttachments": nothing})


async def show_volume(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-volume_attachments/{volume}"""
    row = await _server(request)
    raise NotFound(f"Volume {request.params['volume_id']} is not attached to instance {row.id}.")


async def show_topology(request: ComputeRequest) -> Response:
    """GET /servers/{id}/topology; guests have no NUMA topology of their own so far"""
    await _server(request)
    return answer({"nodes": [], "pagesize_kb": None})
