"""A server's metadata: keys and values that its owner gives it."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import check_may_change, server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import METADATA, closed
from kilonova.compute.errors import BadValue, MetadataItemNotFound
from kilonova.compute.store import quotas, servers
from kilonova.kernel.web import Response, answer, no_content

ALL = closed({"metadata": METADATA}, "metadata")
ONE = closed({"meta": {**METADATA, "minProperties": 1, "maxProperties": 1}}, "meta")


async def list_metadata(request: ComputeRequest) -> Response:
    """GET /servers/{id}/metadata"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    return answer({"metadata": row.metadata})


async def show_item(request: ComputeRequest) -> Response:
    """GET /servers/{id}/metadata/{key}"""
    key = request.params["key"]
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    if key not in row.metadata:
        raise MetadataItemNotFound(key=key)
    return answer({"meta": {key: row.metadata[key]}})


async def _set(request: ComputeRequest, items: dict[str, str], *, replace: bool) -> dict[str, str]:
    service = request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        check_may_change(request, row, "update_metadata", "update_instance_metadata")
        wanted = items if replace else {**row.metadata, **items}
        limits = await quotas.limits(tx, service.settings.quotas, row.project_id)
        quotas.check_room(limits["metadata_items"], 0, len(wanted), "metadata_items")
        await servers.change(tx, row.id, service.clock.now(), {"metadata": wanted})
    return wanted


async def add_metadata(request: ComputeRequest) -> Response:
    """POST /servers/{id}/metadata"""
    return answer({"metadata": await _set(request, request.body["metadata"], replace=False)})


async def replace_metadata(request: ComputeRequest) -> Response:
    """PUT /servers/{id}/metadata"""
    return answer({"metadata": await _set(request, request.body["metadata"], replace=True)})


async def set_item(request: ComputeRequest) -> Response:
    """PUT /servers/{id}/metadata/{key}"""
    meta: dict[str, Any] = request.body["meta"]
    if request.params["key"] not in meta:
        raise BadValue(field="meta", value=next(iter(meta)), why="The URL and the body name different keys.")
    await _set(request, meta, replace=False)
    return answer({"meta": meta})


async def delete_item(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}/metadata/{key}"""
    key, service = request.params["key"], request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        if key not in row.metadata:
            raise MetadataItemNotFound(key=key)
        check_may_change(request, row, "update_metadata", "delete_instance_metadata")
        left = {k: value for k, value in row.metadata.items() if k != key}
        await servers.change(tx, row.id, service.clock.now(), {"metadata": left})
    return no_content()
