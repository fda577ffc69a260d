"""Unified limits: registered limits (defaults) and limits (for one project or domain), in the flat model."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, url, window
from kilonova.identity.errors import InUse, NoSuch, NotRegistered, Taken, UnknownReference
from kilonova.identity.model.nouns import Limit, RegisteredLimit
from kilonova.identity.store import catalog, projects
from kilonova.identity.store.catalog import LIMITS, REGIONS, REGISTERED_LIMITS, SERVICES
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.records import Filter
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content


def _registered_body(request: Ask, one: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": one.id,
        "service_id": one.service_id,
        "region_id": one.region_id,
        "resource_name": one.resource_name,
        "default_limit": one.default_limit,
        "description": one.description,
        "links": {"self": url(request, f"/registered_limits/{one.id}")},
    }


def _limit_body(request: Ask, one: Limit, default: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": one.id,
        "project_id": one.project_id,
        "domain_id": one.domain_id,
        "service_id": default.service_id,
        "region_id": default.region_id,
        "resource_name": default.resource_name,
        "resource_limit": one.resource_limit,
        "description": one.description,
        "links": {"self": url(request, f"/limits/{one.id}")},
    }


async def list_registered(request: Ask) -> Response:
    limit, marker = window(request)
    wanted = filters(request, "service_id", "region_id", "resource_name")
    async with request.service.db.read() as tx:
        found = await REGISTERED_LIMITS.page(tx, wanted, limit=limit, marker=marker)
    listed = (_registered_body(request, r) for r in found.items)
    return collection(request, "registered_limits", listed, more=found.more)


async def show_registered(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"registered_limit": _registered_body(request, await _registered(request, tx))})


async def create_registered(request: Ask) -> Response:
    """All of them or none."""
    made = []
    async with request.service.write() as tx:
        for asked in request.body["registered_limits"]:
            await _check_places(tx, asked)
            one = RegisteredLimit(
                new_hex(),
                asked["service_id"],
                asked.get("region_id"),
                asked["resource_name"],
                asked["default_limit"],
                asked.get("description"),
                asked.get("region_id") or "",
            )
            try:
                await REGISTERED_LIMITS.add(tx, one)
            except Duplicate:
                raise Taken(what="registered limit", name=one.resource_name) from None
            made.append(_registered_body(request, one))
    return created({"registered_limits": made})


async def update_registered(request: Ask) -> Response:
    asked = dict(request.body["registered_limit"])
    async with request.service.write() as tx:
        one = await _registered(request, tx)
        identity = {"service_id", "region_id", "resource_name"} & asked.keys()
        if identity and await catalog.limits_on(tx, one.id):
            raise InUse(what="registered limit", id=one.id, why="limits refer to it.")
        await _check_places(tx, asked)
        if "region_id" in asked:
            asked["namespace"] = asked["region_id"] or ""
        try:
            await REGISTERED_LIMITS.change(tx, one.id, asked)
        except Duplicate:
            raise Taken(what="registered limit", name=asked.get("resource_name", one.resource_name)) from None
        after = await _registered(request, tx)
    return answer({"registered_limit": _registered_body(request, after)})


async def delete_registered(request: Ask) -> Response:
    async with request.service.write() as tx:
        one = await _registered(request, tx)
        if await catalog.limits_on(tx, one.id):
            raise InUse(what="registered limit", id=one.id, why="limits refer to it.")
        await REGISTERED_LIMITS.remove(tx, one.id)
    return no_content()


async def show_model(request: Ask) -> Response:
    """Limits of projects do not depend on each other."""
    return answer({"model": {"name": "flat", "description": "Each project is held to its own limit alone."}})


async def list_limits(request: Ask) -> Response:
    """Callers who are no administrators see those of their own project, or of their domain and its projects."""
    wanted = filters(request, "project_id", "domain_id")
    context = request.context
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        if "admin" not in context.roles and context.system_scope is None:
            inside = await projects.in_domain(tx, context.domain_id) if context.domain_id else []
            owners = [context.project_id or context.domain_id or "", *(p.id for p in inside)]
            wanted.append(Filter("owner", owners, "in"))
        found = await LIMITS.page(tx, wanted, limit=limit, marker=marker)
        defaults = await REGISTERED_LIMITS.many(tx, [one.registered_limit_id for one in found.items])
    pairs = [(one, defaults[one.registered_limit_id]) for one in found.items]
    asked = {n: request.q(n) for n in ("service_id", "region_id", "resource_name") if n in request.query}
    listed = [_limit_body(request, o, d) for o, d in pairs if all(getattr(d, n) == v for n, v in asked.items())]
    last = found.items[-1].id if found.items else None
    return collection(request, "limits", listed, more=found.more, last=last)


async def show_limit(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        one, default = await _limit(request, tx)
    return answer({"limit": _limit_body(request, one, default)})


async def create_limits(request: Ask) -> Response:
    """All of them or none. Each replaces the default of a registered limit for a project or a domain."""
    made = []
    async with request.service.write() as tx:
        for asked in request.body["limits"]:
            default = await _default_of(tx, asked)
            one = Limit(
                id=new_hex(),
                registered_limit_id=default.id,
                project_id=asked.get("project_id"),
                domain_id=asked.get("domain_id"),
                resource_limit=asked["resource_limit"],
                description=asked.get("description"),
                owner=await _owner(tx, asked),
            )
            try:
                await LIMITS.add(tx, one)
            except Duplicate:
                raise Taken(what="limit", name=default.resource_name) from None
            made.append(_limit_body(request, one, default))
    return created({"limits": made})


async def update_limit(request: Ask) -> Response:
    async with request.service.write() as tx:
        one, _default = await _limit(request, tx)
        await LIMITS.change(tx, one.id, request.body["limit"])
        after, default = await _limit(request, tx)
    return answer({"limit": _limit_body(request, after, default)})


async def delete_limit(request: Ask) -> Response:
    async with request.service.write() as tx:
        one, _default = await _limit(request, tx)
        await LIMITS.remove(tx, one.id)
    return no_content()


async def _owner(tx: Transaction, asked: dict[str, Any]) -> str:
    project_id, domain_id = asked.get("project_id"), asked.get("domain_id")
    if (project_id is None) == (domain_id is None):
        raise BadRequest("A limit is for either a project or a domain.")
    if project_id is not None:
        project = await PROJECTS.get(tx, project_id)
        if project is None or project.is_domain:
            raise UnknownReference(what="project", id=project_id)
        return project.id
    domain = await projects.get_domain(tx, domain_id)
    if domain is None:
        raise UnknownReference(what="domain", id=domain_id)
    return domain.id


async def _default_of(tx: Transaction, asked: dict[str, Any]) -> RegisteredLimit:
    found = await REGISTERED_LIMITS.matching(
        tx,
        service_id=asked["service_id"],
        region_id=asked.get("region_id"),
        resource_name=asked["resource_name"],
    )
    if not found:
        raise NotRegistered(name=asked["resource_name"])
    return found[0]


async def _check_places(tx: Transaction, asked: dict[str, Any]) -> None:
    if "service_id" in asked and await SERVICES.get(tx, asked["service_id"]) is None:
        raise UnknownReference(what="service", id=asked["service_id"])
    if asked.get("region_id") is not None and await REGIONS.get(tx, asked["region_id"]) is None:
        raise UnknownReference(what="region", id=asked["region_id"])


async def _registered(request: Ask, tx: Transaction) -> RegisteredLimit:
    identifier = request.params["registered_limit_id"]
    one = await REGISTERED_LIMITS.get(tx, identifier)
    if one is None:
        raise NoSuch(what="registered limit", id=identifier)
    return one


async def _limit(request: Ask, tx: Transaction) -> tuple[Limit, RegisteredLimit]:
    identifier = request.params["limit_id"]
    one = await LIMITS.get(tx, identifier)
    project = await PROJECTS.get(tx, one.project_id) if one is not None else None
    members = {} if one is None else {"project_id": one.project_id, "domain.id": one.domain_id}
    if project is not None:
        members["project.domain_id"] = project.domain_id
    request.allow({f"target.limit.{name}": value for name, value in members.items() if value is not None})
    default = await REGISTERED_LIMITS.get(tx, one.registered_limit_id) if one is not None else None
    if one is None or default is None:
        raise NoSuch(what="limit", id=identifier)
    return one, default
