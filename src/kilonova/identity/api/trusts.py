"""Trusts: a user lets another one act on a project with some of their roles."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api import roles as role_api
from kilonova.identity.api.listing import Ask, collection, filters, split, url, window
from kilonova.identity.api.targets import caller, refuse_restricted, target
from kilonova.identity.errors import NoSuch, NotAllowedHere, UnknownReference
from kilonova.identity.model.nouns import Role, Trust
from kilonova.identity.model.token_document import Subject
from kilonova.identity.store import roles
from kilonova.identity.store.delegation import TRUSTS
from kilonova.identity.store.people import USERS
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.clock import iso_micros_z, parse_iso
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = (
    "trustor_user_id",
    "trustee_user_id",
    "project_id",
    "impersonation",
    "expires_at",
    "remaining_uses",
    "allow_redelegation",
    "redelegation_count",
    "roles",
)


def _body(request: Ask, one: Trust, known: dict[str, Role] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": one.id,
        "trustor_user_id": one.trustor_user_id,
        "trustee_user_id": one.trustee_user_id,
        "project_id": one.project_id,
        "impersonation": one.impersonation,
        "expires_at": iso_micros_z(one.expires_at),
        "deleted_at": None,
        "remaining_uses": one.remaining_uses,
        "redelegated_trust_id": one.redelegated_trust_id,
        "redelegation_count": one.redelegation_count,
        "links": {"self": url(request, f"/OS-TRUST/trusts/{one.id}")},
    }
    if known is not None:
        found["roles"] = [role_api.body(request, known[i]) for i in one.role_ids if i in known]
        own = url(request, f"/OS-TRUST/trusts/{one.id}/roles")
        found["roles_links"] = {"self": own, "next": None, "previous": None}
    return {**one.extra, **found}


async def list_trusts(request: Ask) -> Response:
    """All for administrators; with ``trustor_user_id`` or ``trustee_user_id`` those of a user, for that user too."""
    asked = {n: request.q(n) for n in ("trustor_user_id", "trustee_user_id") if n in request.query}
    if not asked:
        request.allow({}, "identity:list_trusts")
    for name, value in asked.items():
        rule = f"identity:list_trusts_for_{name.removesuffix('_user_id')}"
        request.allow({f"target.trust.{name}": value}, rule)
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await TRUSTS.page(tx, filters(request, *asked), limit=limit, marker=marker)
    return collection(request, "trusts", (_body(request, t, None) for t in found.items), more=found.more)


async def show_trust(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        one = await _trust(request, tx)
        return answer({"trust": _body(request, one, await ROLES.many(tx, one.role_ids))})


async def create_trust(request: Ask) -> Response:
    """By the trustor, with a token that has the project and the roles that are passed on."""
    service = request.service
    own, extra = split(request.body["trust"], *_KNOWN)
    request.allow({"trust.trustor_user_id": own["trustor_user_id"]})
    await refuse_restricted(request)
    subject = (await caller(request)).subject
    project_id = own.get("project_id")
    if project_id is not None and (subject.project is None or subject.project.id != project_id):
        raise NotAllowedHere(why="A trust is for the project that the token is for.")
    if subject.trust is not None:
        raise NotAllowedHere(why="A token that comes from a trust cannot make another trust here.")
    expires_at = parse_iso(own["expires_at"]) if own.get("expires_at") else None
    if expires_at is not None and expires_at <= service.clock.now():
        raise BadRequest("expires_at is in the past.")
    async with service.write() as tx:
        if await USERS.get(tx, own["trustee_user_id"]) is None:
            raise UnknownReference(what="user", id=own["trustee_user_id"])
        chosen = await _delegated(tx, subject, own.get("roles") or [], project_id)
        one = Trust(
            id=new_hex(),
            trustor_user_id=own["trustor_user_id"],
            trustee_user_id=own["trustee_user_id"],
            project_id=project_id,
            impersonation=own["impersonation"],
            expires_at=expires_at,
            remaining_uses=own.get("remaining_uses"),
            redelegated_trust_id=None,
            redelegation_count=own.get("redelegation_count") or 0,
            allow_redelegation=own.get("allow_redelegation", False),
            role_ids=[r.id for r in chosen],
            extra=extra,
        )
        await TRUSTS.add(tx, one)
    return created({"trust": _body(request, one, {r.id: r for r in chosen})})


async def delete_trust(request: Ask) -> Response:
    """Its tokens end at once."""
    await refuse_restricted(request)
    async with request.service.write() as tx:
        one = await _trust(request, tx)
        await TRUSTS.remove(tx, one.id)
    return no_content()


async def list_trust_roles(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        one = await _trust(request, tx)
        known = await ROLES.many(tx, one.role_ids)
    return collection(request, "roles", (role_api.body(request, known[i]) for i in one.role_ids if i in known))


async def show_trust_role(request: Ask) -> Response:
    role_id = request.params["role_id"]
    async with request.service.db.read() as tx:
        one = await _trust(request, tx)
        role = await ROLES.get(tx, role_id) if role_id in one.role_ids else None
    if role is None:
        raise NoSuch(what="role of this trust", id=role_id)
    return answer({"role": role_api.body(request, role)})


async def _delegated(
    tx: Transaction, subject: Subject, asked: list[dict[str, str]], project_id: str | None
) -> list[Role]:
    if project_id is None:
        return []
    if not asked:
        raise BadRequest("A trust for a project needs at least one role.")
    held = {role.id for role in subject.roles}
    chosen: list[Role] = []
    for ref in asked:
        role = await ROLES.get(tx, ref["id"]) if "id" in ref else await roles.role_named(tx, ref["name"])
        if role is None or role.id not in held:
            raise NotAllowedHere(why="Only roles that the token has can be passed on.")
        chosen.append(role)
    return chosen


async def _trust(request: Ask, tx: Transaction) -> Trust:
    trust_id = request.params["trust_id"]
    one = await TRUSTS.get(tx, trust_id)
    if one is not None and one.expires_at is not None and one.expires_at <= request.service.clock.now():
        one = None
    if one is None:  # upstream tells anybody that an id names no trust
        raise NoSuch(what="trust", id=trust_id)
    request.allow(target(trust=one))
    return one
