"""Users, their passwords, groups and projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kilonova.identity.api import groups as group_api
from kilonova.identity.api import projects as project_api
from kilonova.identity.api.listing import Ask, collection, filters, merged, split, url, window
from kilonova.identity.api.targets import allow_or_missing, target
from kilonova.identity.errors import CannotChange, NoSuch, NotAuthenticated, Taken, WeakPassword
from kilonova.identity.model.nouns import User
from kilonova.identity.model.passwords import check_strength, expiry
from kilonova.identity.passwords import prove
from kilonova.identity.reach import projects_in_reach
from kilonova.identity.service import IdentityService
from kilonova.identity.store import people, projects
from kilonova.identity.store.people import GROUPS, USERS
from kilonova.identity.store.records import Filter
from kilonova.kernel.clock import iso_micros_z
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("name", "domain_id", "enabled", "default_project_id", "options", "password")


def body(request: Ask, user: User, password_expires_at: datetime | None = None) -> dict[str, Any]:
    """A user on the wire."""
    found: dict[str, Any] = {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": iso_micros_z(password_expires_at),
        "options": user.options,
    }
    if user.default_project_id is not None:
        found["default_project_id"] = user.default_project_id
    return {**user.extra, **found, "links": {"self": url(request, f"/users/{user.id}")}}


async def list_users(request: Ask) -> Response:
    """Of the domain asked for; callers with a domain scope see their own only."""
    domain_id = request.q("domain_id") or request.context.domain_id
    request.allow({"target.domain_id": domain_id} if domain_id else {})
    wanted = filters(request, "name", "enabled")
    if domain_id:
        wanted.append(Filter("domain_id", domain_id))
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await USERS.page(tx, wanted, limit=limit, marker=marker)
        expiries = await people.expiries(tx, [u.id for u in found.items])
    return collection(request, "users", (body(request, u, expiries.get(u.id)) for u in found.items), more=found.more)


async def show_user(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        user = await _user(request, tx)
        password = await people.current_password(tx, user.id)
    return answer({"user": body(request, user, password.expires_at if password else None)})


async def create_user(request: Ask) -> Response:
    service = request.service
    own, extra = split(request.body["user"], *_KNOWN)
    user = User(
        id=new_hex(),
        name=own["name"].strip(),
        domain_id=own.get("domain_id") or request.context.domain_id or service.settings.default_domain_id,
        enabled=own.get("enabled", True),
        default_project_id=own.get("default_project_id"),
        options=merged({}, own.get("options", {})),
        extra=extra,
        created_at=service.clock.now(),
    )
    request.allow(target(user=user))
    password = own.get("password")
    hashed = await _hashed(service, password)
    expires_at = expiry(user.created_at, service.settings, user.options)
    async with service.write() as tx:
        if await projects.get_domain(tx, user.domain_id) is None:
            raise NoSuch(what="domain", id=user.domain_id)
        await _check_default_project(tx, user.default_project_id)
        try:
            await USERS.add(tx, user)
        except Duplicate:
            raise Taken(what="user", name=user.name) from None
        if hashed is not None:
            await people.set_password(tx, user.id, hashed, user.created_at, expires_at, 0)
    return created({"user": body(request, user, expires_at if hashed else None)})


async def update_user(request: Ask) -> Response:
    """Also the way for an administrator to reset a password or to disable the user: both end the user's tokens."""
    service, asked = request.service, request.body["user"]
    async with service.db.read() as tx:
        user = await _user(request, tx)
    own, extra = split(asked, *_KNOWN)
    if own.get("domain_id", user.domain_id) != user.domain_id:
        raise CannotChange(what="user", member="domain_id")
    hashed = await _hashed(service, own.get("password"))
    now = service.clock.now()
    async with service.write() as tx:
        user = await _user(request, tx)
        values: dict[str, Any] = {n: own[n] for n in ("name", "enabled", "default_project_id") if n in own}
        values["options"] = merged(user.options, own.get("options", {}))
        values["extra"] = merged(user.extra, extra)
        if "name" in values:
            values["name"] = values["name"].strip()
        if values.get("default_project_id"):
            await _check_default_project(tx, values["default_project_id"])
        if hashed is not None:
            await _store_password(service, tx, user, hashed, now)
        try:
            await USERS.change(tx, user.id, values)
        except Duplicate:
            raise Taken(what="user", name=values["name"]) from None
        if hashed is not None or values.get("enabled") is False:
            await service.revoke(tx, user_id=user.id)
        after = await _user(request, tx)
        password = await people.current_password(tx, user.id)
    return answer({"user": body(request, after, password.expires_at if password else None)})


async def delete_user(request: Ask) -> Response:
    async with request.service.write() as tx:
        user = await _user(request, tx)
        await people.remove_actor(tx, "user", user.id)
    return no_content()


async def change_password(request: Ask) -> Response:
    """By the user, with the old one and without a token. Ends all of the user's tokens."""
    service, asked = request.service, request.body["user"]
    async with service.db.read() as tx:
        found = await USERS.get(tx, request.params["user_id"])
    user, stored = await prove(service, found, asked["original_password"])
    hashed = await _hashed(service, asked["password"])
    assert hashed is not None
    earlier: list[Any] = []
    if service.settings.unique_last_passwords:
        async with service.db.read() as tx:
            earlier = await people.earlier_passwords(tx, user.id, service.settings.unique_last_passwords)
    for one in earlier:
        if await service.hasher.verify(asked["password"], one.hash):
            raise WeakPassword(rules=f"it must differ from the last {service.settings.unique_last_passwords}.")
    now = service.clock.now()
    async with service.write() as tx:
        current = await people.current_password(tx, user.id)
        if current is None or current.id != stored.id:
            raise NotAuthenticated()
        await _store_password(service, tx, user, hashed, now)
        await service.revoke(tx, user_id=user.id)
    return no_content()


async def revoke_tokens(request: Ask) -> Response:
    """End all tokens of a user."""
    async with request.service.write() as tx:
        user = await _user(request, tx)
        await request.service.revoke(tx, user_id=user.id)
    return no_content()


async def list_groups(request: Ask) -> Response:
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        user = await _user(request, tx)
        ids = await people.group_ids_of(tx, user.id)
        wanted = [*filters(request, "name"), Filter("id", ids, "in")]
        if request.context.domain_id:
            wanted.append(Filter("domain_id", request.context.domain_id))
        found = await GROUPS.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "groups", (group_api.body(request, g) for g in found.items), more=found.more)


async def list_projects(request: Ask) -> Response:
    """Projects on which the user has a role."""
    async with request.service.db.read() as tx:
        user = await _user(request, tx)
        facts = await request.service.facts(tx, await request.service.generation(tx))
        found = await projects_in_reach(tx, facts, user.id)
        found = [p for p in found if project_api.fits(request, p)]
        tags = await projects.tags_of(tx, [p.id for p in found])
    return collection(request, "projects", (project_api.body(request, p, tags.get(p.id, ())) for p in found))


async def _user(request: Ask, tx: Transaction) -> User:
    user_id = request.params["user_id"]
    user = await USERS.get(tx, user_id)
    allow_or_missing(request, "user", user_id, user)
    assert user is not None
    return user


async def _check_default_project(tx: Transaction, project_id: str | None) -> None:
    # Upstream takes any project that exists (roles may come later) but no domain.
    if project_id is None:
        return
    found = await projects.PROJECTS.get(tx, project_id)
    if found is not None and found.is_domain:
        raise CannotChange("A domain cannot be a user's default project.")


async def _hashed(service: IdentityService, password: str | None) -> str | None:
    if password is None:
        return None
    check_strength(password, service.settings)
    return await service.hasher.hash(password)


async def _store_password(service: IdentityService, tx: Transaction, user: User, hashed: str, now: datetime) -> None:
    ends = expiry(now, service.settings, user.options)
    await people.set_password(tx, user.id, hashed, now, ends, service.settings.unique_last_passwords)
