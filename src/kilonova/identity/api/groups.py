"""Groups and who is in them."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api import users as user_api
from kilonova.identity.api.listing import Ask, collection, filters, merged, split, url, window
from kilonova.identity.api.targets import allow_or_missing, target
from kilonova.identity.errors import CannotChange, NoSuch, Taken
from kilonova.identity.model.nouns import Group, User
from kilonova.identity.store import people, projects
from kilonova.identity.store.people import GROUPS, USERS
from kilonova.identity.store.records import Filter
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("name", "domain_id", "description")


def body(request: Ask, group: Group) -> dict[str, Any]:
    """A group on the wire."""
    found = {"id": group.id, "name": group.name, "domain_id": group.domain_id, "description": group.description}
    return {**group.extra, **found, "links": {"self": url(request, f"/groups/{group.id}")}}


async def list_groups(request: Ask) -> Response:
    """Of the domain asked for; callers with a domain scope see their own only."""
    domain_id = request.q("domain_id") or request.context.domain_id
    request.allow({"target.domain_id": domain_id} if domain_id else {})
    wanted = filters(request, "name")
    if domain_id:
        wanted.append(Filter("domain_id", domain_id))
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await GROUPS.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "groups", (body(request, g) for g in found.items), more=found.more)


async def show_group(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"group": body(request, await _group(request, tx))})


async def create_group(request: Ask) -> Response:
    own, extra = split(request.body["group"], *_KNOWN)
    default = request.context.domain_id or request.service.settings.default_domain_id
    group = Group(new_hex(), own["name"].strip(), own.get("domain_id") or default, own.get("description") or "", extra)
    request.allow(target(group=group))
    async with request.service.write() as tx:
        if await projects.get_domain(tx, group.domain_id) is None:
            raise NoSuch(what="domain", id=group.domain_id)
        try:
            await GROUPS.add(tx, group)
        except Duplicate:
            raise Taken(what="group", name=group.name) from None
    return created({"group": body(request, group)})


async def update_group(request: Ask) -> Response:
    own, extra = split(request.body["group"], *_KNOWN)
    async with request.service.write() as tx:
        group = await _group(request, tx)
        if own.get("domain_id", group.domain_id) != group.domain_id:
            raise CannotChange(what="group", member="domain_id")
        values: dict[str, Any] = {"extra": merged(group.extra, extra)}
        if "name" in own:
            values["name"] = own["name"].strip()
        if "description" in own:
            values["description"] = own["description"] or ""
        try:
            await GROUPS.change(tx, group.id, values)
        except Duplicate:
            raise Taken(what="group", name=values["name"]) from None
        after = await _group(request, tx)
    return answer({"group": body(request, after)})


async def delete_group(request: Ask) -> Response:
    """The tokens of its members end, since their roles may have come from it."""
    async with request.service.write() as tx:
        group = await _group(request, tx)
        for user_id in await people.user_ids_in(tx, group.id):
            await request.service.revoke(tx, user_id=user_id)
        await people.remove_actor(tx, "group", group.id)
    return no_content()


async def list_users(request: Ask) -> Response:
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        group = await _group(request, tx)
        ids = await people.user_ids_in(tx, group.id)
        wanted = [*filters(request, "name", "enabled"), Filter("id", ids, "in")]
        if request.context.domain_id:
            wanted.append(Filter("domain_id", request.context.domain_id))
        found = await USERS.page(tx, wanted, limit=limit, marker=marker)
        expiries = await people.expiries(tx, [u.id for u in found.items])
    listed = (user_api.body(request, u, expiries.get(u.id)) for u in found.items)
    return collection(request, "users", listed, more=found.more)


async def check_member(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        group, user = await _pair(request, tx)
        if not await people.is_member(tx, user.id, group.id):
            raise NoSuch(what="user in this group", id=user.id)
    return no_content()


async def add_member(request: Ask) -> Response:
    async with request.service.write() as tx:
        group, user = await _pair(request, tx)
        await people.join(tx, user.id, group.id)
    return no_content()


async def remove_member(request: Ask) -> Response:
    """The user's tokens end: roles may have come from the group."""
    async with request.service.write() as tx:
        group, user = await _pair(request, tx)
        if not await people.leave(tx, user.id, group.id):
            raise NoSuch(what="user in this group", id=user.id)
        await request.service.revoke(tx, user_id=user.id)
    return no_content()


async def _group(request: Ask, tx: Transaction) -> Group:
    group_id = request.params["group_id"]
    group = await GROUPS.get(tx, group_id)
    if group is None and request.method == "DELETE":  # upstream tells anybody, here only
        raise NoSuch(what="group", id=group_id)
    allow_or_missing(request, "group", group_id, group)
    assert group is not None
    return group


async def _pair(request: Ask, tx: Transaction) -> tuple[Group, User]:
    group = await GROUPS.get(tx, request.params["group_id"])
    user = await USERS.get(tx, request.params["user_id"])
    request.allow(target(group=group, user=user))
    if group is None:
        raise NoSuch(what="group", id=request.params["group_id"])
    if user is None:
        raise NoSuch(what="user", id=request.params["user_id"])
    return group, user
