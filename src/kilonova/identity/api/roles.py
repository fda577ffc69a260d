"""Roles, and which ones imply which."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, merged, split, url, window
from kilonova.identity.api.targets import target
from kilonova.identity.errors import CannotChange, Immutable, NoSuch, NotAllowedHere, Taken
from kilonova.identity.model.nouns import Role
from kilonova.identity.model.roles import reaches
from kilonova.identity.store import projects, roles
from kilonova.identity.store.records import Filter
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("name", "domain_id", "description", "options")


def body(request: Ask, role: Role) -> dict[str, Any]:
    """A role on the wire."""
    found = {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": role.options,
    }
    return {**role.extra, **found, "links": {"self": url(request, f"/roles/{role.id}")}}


def _allow(request: Ask, verb: str, role: Role | None) -> None:
    """Roles of a domain have rules of their own."""
    noun = "domain_role" if role is not None and role.domain_id else "role"
    request.allow({**target(role=role), **_own_domain(request)}, f"identity:{verb}_{noun}")


def _own_domain(request: Ask) -> dict[str, str]:
    return {"target.domain_id": request.context.domain_id} if request.context.domain_id else {}


async def list_roles(request: Ask) -> Response:
    """Global roles, or those of the domain asked for."""
    domain_id = request.q("domain_id")
    request.allow(_own_domain(request), "identity:list_domain_roles" if domain_id else "identity:list_roles")
    wanted = [*filters(request, "name"), Filter("domain_id", domain_id or None)]
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await ROLES.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "roles", (body(request, r) for r in found.items), more=found.more)


async def show_role(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"role": body(request, await _role(request, tx, "get"))})


async def create_role(request: Ask) -> Response:
    own, extra = split(request.body["role"], *_KNOWN)
    role = Role(
        id=new_hex(),
        name=own["name"].strip(),
        domain_id=own.get("domain_id"),
        description=own.get("description"),
        options=merged({}, own.get("options", {})),
        extra=extra,
        namespace=own.get("domain_id") or "",
    )
    _allow(request, "create", role)
    async with request.service.write() as tx:
        if role.domain_id is not None and await projects.get_domain(tx, role.domain_id) is None:
            raise NoSuch(what="domain", id=role.domain_id)
        try:
            await ROLES.add(tx, role)
        except Duplicate:
            raise Taken(what="role", name=role.name) from None
    return created({"role": body(request, role)})


async def update_role(request: Ask) -> Response:
    own, extra = split(request.body["role"], *_KNOWN)
    async with request.service.write() as tx:
        role = await _role(request, tx, "update")
        if own.get("domain_id", role.domain_id) != role.domain_id:
            raise CannotChange(what="role", member="domain_id")
        if role.is_immutable and set(own) - {"options"}:
            raise Immutable(what="role", id=role.id)
        values: dict[str, Any] = {n: own[n] for n in ("name", "description") if n in own}
        if "name" in values:
            values["name"] = values["name"].strip()
        values["options"] = merged(role.options, own.get("options", {}))
        values["extra"] = merged(role.extra, extra)
        try:
            await ROLES.change(tx, role.id, values)
        except Duplicate:
            raise Taken(what="role", name=values["name"]) from None
        after = await ROLES.get(tx, role.id)
    assert after is not None
    return answer({"role": body(request, after)})


async def delete_role(request: Ask) -> Response:
    """Its assignments go with it; tokens lose it at once."""
    async with request.service.write() as tx:
        role = await _role(request, tx, "delete")
        if role.is_immutable:
            raise Immutable(what="role", id=role.id)
        await ROLES.remove(tx, role.id)
    return no_content()


async def list_implied(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        prior = await _named(tx, request.params["prior_role_id"])
        implied = (await roles.implications(tx)).get(prior.id, [])
        known = await ROLES.many(tx, implied)
    return answer({"role_inference": _inference(request, prior, [known[i] for i in implied]), **_links(request)})


async def list_inferences(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        every = await roles.implications(tx)
        known = await ROLES.many(tx, [*every, *(i for some in every.values() for i in some)])
    listed = [_inference(request, known[prior], [known[i] for i in implied]) for prior, implied in every.items()]
    return answer({"role_inferences": listed, **_links(request)})


async def show_implication(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        prior, implied = await _implication(request, tx)
    return answer({"role_inference": _one_inference(request, prior, implied), **_links(request)})


async def check_implication(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        await _implication(request, tx)
    return no_content()


async def create_implication(request: Ask) -> Response:
    async with request.service.write() as tx:
        prior = await _named(tx, request.params["prior_role_id"])
        implied = await _named(tx, request.params["implied_role_id"])
        if implied.name == "admin" and implied.domain_id is None:
            raise NotAllowedHere(why="The role admin may not be implied by another one.")
        if implied.domain_id is not None and prior.domain_id is None:
            raise NotAllowedHere(why="A global role cannot imply a role of a domain.")
        if reaches(implied.id, prior.id, await roles.implications(tx)):
            raise NotAllowedHere(why="That would make a circle of implications.")
        try:
            await roles.imply(tx, prior.id, implied.id)
        except Duplicate:
            raise Taken(what="role inference", name=f"{prior.name} -> {implied.name}") from None
    return created({"role_inference": _one_inference(request, prior, implied), **_links(request)})


async def delete_implication(request: Ask) -> Response:
    async with request.service.write() as tx:
        prior, implied = await _implication(request, tx)
        await roles.stop_implying(tx, prior.id, implied.id)
    return no_content()


async def _implication(request: Ask, tx: Transaction) -> tuple[Role, Role]:
    prior = await _named(tx, request.params["prior_role_id"])
    implied = await _named(tx, request.params["implied_role_id"])
    if implied.id not in (await roles.implications(tx)).get(prior.id, ()):
        raise NoSuch(what="role inference", id=f"{prior.id} -> {implied.id}")
    return prior, implied


def _links(request: Ask) -> dict[str, Any]:
    return {"links": {"self": url(request), "next": None, "previous": None}}


def _brief(request: Ask, role: Role) -> dict[str, Any]:
    return {"id": role.id, "name": role.name, "links": {"self": url(request, f"/roles/{role.id}")}}


def _inference(request: Ask, prior: Role, implied: list[Role]) -> dict[str, Any]:
    return {"prior_role": _brief(request, prior), "implies": [_brief(request, r) for r in implied]}


def _one_inference(request: Ask, prior: Role, implied: Role) -> dict[str, Any]:
    return {"prior_role": _brief(request, prior), "implies": _brief(request, implied)}


async def _named(tx: Transaction, role_id: str) -> Role:
    role = await ROLES.get(tx, role_id)
    if role is None:
        raise NoSuch(what="role", id=role_id)
    return role


async def _role(request: Ask, tx: Transaction, verb: str) -> Role:
    role_id = request.params["role_id"]
    role = await ROLES.get(tx, role_id)
    if role is None:  # upstream tells anybody that an id names no role
        raise NoSuch(what="role", id=role_id)
    _allow(request, verb, role)
    return role
