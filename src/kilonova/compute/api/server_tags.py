"""A server's tags."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.api.access import check_may_change, server_row
from kilonova.compute.api.links import bases
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import TAG, closed
from kilonova.compute.errors import BadValue, TagNotFound, TooManyTags
from kilonova.compute.store import servers
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Response, answer, no_content

MOST, LONGEST = 50, 60
ALL = closed({"tags": {"type": "array", "items": TAG, "maxItems": MOST}}, "tags")


async def list_tags(request: ComputeRequest) -> Response:
    """GET /servers/{id}/tags"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    return answer({"tags": list(servers.tags_of(row.tags))})


async def show_tag(request: ComputeRequest) -> Response:
    """GET /servers/{id}/tags/{tag}"""
    tag = request.params["tag"]
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    if tag not in servers.tags_of(row.tags):
        raise TagNotFound(id=row.id, tag=tag)
    return no_content()


async def _tags(request: ComputeRequest, tx: Transaction) -> tuple[str, ...]:
    row = await server_row(request, tx, for_update=True)
    check_may_change(request, row, "update_tags")
    return servers.tags_of(row.tags)


async def _save(request: ComputeRequest, tx: Transaction, tags: Sequence[str]) -> None:
    values = {"tags": servers.tags_text(tags)}
    await servers.change(tx, request.params["server_id"], request.service.clock.now(), values)


async def replace_tags(request: ComputeRequest) -> Response:
    """PUT /servers/{id}/tags"""
    wanted = list(dict.fromkeys(request.body["tags"]))
    async with request.service.db.transaction() as tx:
        await _tags(request, tx)
        await _save(request, tx, wanted)
    return answer({"tags": wanted})


async def add_tag(request: ComputeRequest) -> Response:
    """PUT /servers/{id}/tags/{tag}"""
    tag = request.params["tag"]
    if not 0 < len(tag) <= LONGEST or "," in tag or "/" in tag:
        raise BadValue(field="tag", value=tag, why=f"It has 1 to {LONGEST} characters, and neither comma nor slash.")
    async with request.service.db.transaction() as tx:
        has = await _tags(request, tx)
        if tag in has:
            return no_content()
        if len(has) >= MOST:
            raise TooManyTags(limit=MOST)
        await _save(request, tx, (*has, tag))
    location = f"{bases(request)[0]}/servers/{request.params['server_id']}/tags/{tag}"
    return Response(201, b"", [("Location", location)], None)


async def delete_tag(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}/tags/{tag}"""
    tag = request.params["tag"]
    async with request.service.db.transaction() as tx:
        has = await _tags(request, tx)
        if tag not in has:
            raise TagNotFound(id=request.params["server_id"], tag=tag)
        await _save(request, tx, [one for one in has if one != tag])
    return no_content()


async def delete_tags(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}/tags"""
    async with request.service.db.transaction() as tx:
        await _tags(request, tx)
        await _save(request, tx, ())
    return no_content()
