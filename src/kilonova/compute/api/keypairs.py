"""Key pairs: import, make (before 2.92), list, show, delete. They belong to users."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.keypair_fields import CREATED, LISTED, SHOWN
from kilonova.compute.api.links import limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import KeypairNotFound, MarkerUnknown
from kilonova.compute.microversions import keypair_created_is_201, keypairs_of_others, v
from kilonova.compute.model.public_keys import fingerprint, make_ssh_pair, make_x509_pair
from kilonova.compute.store import keypairs, quotas
from kilonova.kernel.db import Page
from kilonova.kernel.web import Response, accepted, answer, no_content


def _user(request: ComputeRequest, asked: str | None) -> str:
    """Whose key pairs are meant; another user's need the administrator."""
    user_id = asked if asked and keypairs_of_others(request.version) else request.context.user_id or ""
    request.allow({"user_id": user_id, "project_id": request.context.project_id})
    return user_id


async def list_keypairs(request: ComputeRequest) -> Response:
    """GET /os-keypairs"""
    user_id = _user(request, request.q("user_id"))
    pages = request.version >= v(35)
    limit = limit_of(request) if pages else None
    marker = request.q("marker") if pages else None
    async with request.service.db.read() as tx:
        if marker is not None and await keypairs.find(tx, user_id, marker) is None:
            raise MarkerUnknown(marker=marker)
        after = None if marker is None else {"name": marker}
        rows = await keypairs.page(tx, user_id, Page((("name", "asc"),), limit, after))
    body: dict[str, Any] = {"keypairs": [{"keypair": LISTED.render(row, request.version)} for row in rows]}
    if pages and limit is not None and request.q("limit") and rows:
        following = next_link(request, "os-keypairs", rows, limit, rows[-1].name)
        if following:
            body["keypairs_links"] = following
    return answer(body)


async def show_keypair(request: ComputeRequest) -> Response:
    """GET /os-keypairs/{name}"""
    user_id, name = _user(request, request.q("user_id")), request.params["name"]
    async with request.service.db.read() as tx:
        row = await keypairs.find(tx, user_id, name)
    if row is None:
        raise KeypairNotFound(name=name, user_id=user_id)
    return answer({"keypair": SHOWN.render(row, request.version)})


async def create_keypair(request: ComputeRequest) -> Response:
    """POST /os-keypairs"""
    ask = request.body["keypair"]
    user_id = _user(request, ask.get("user_id"))
    kind, private = ask.get("type", "ssh"), None
    public = ask.get("public_key")
    if public is None:
        private, public = make_ssh_pair() if kind == "ssh" else make_x509_pair(user_id, request.service.clock.now())
    settings, now = request.service.settings, request.service.clock.now()
    values = {
        "user_id": user_id,
        "name": ask["name"],
        "type": kind,
        "public_key": public,
        "fingerprint": fingerprint(kind, public),
        "created_at": now,
    }
    async with request.service.db.transaction() as tx:
        limit = (await quotas.limits(tx, settings.quotas, request.context.project_id or "", user_id))["key_pairs"]
        quotas.check_room(limit, await quotas.keypair_use(tx, user_id), 1, "key_pairs")
        await keypairs.insert_keypair(tx, values)
        row = await keypairs.find(tx, user_id, ask["name"])
    shown = CREATED.render(row, request.version)
    if private is not None:
        shown["private_key"] = private
    return answer({"keypair": shown}, 201 if keypair_created_is_201(request.version) else 200)


async def delete_keypair(request: ComputeRequest) -> Response:
    """DELETE /os-keypairs/{name}"""
    user_id = _user(request, request.q("user_id"))
    async with request.service.db.transaction() as tx:
        await keypairs.remove(tx, user_id, request.params["name"])
    return no_content() if keypair_created_is_201(request.version) else accepted()
