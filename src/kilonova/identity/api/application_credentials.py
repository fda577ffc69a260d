"""Application credentials and access rules: a user's roles on one project, for a program."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, url, window
from kilonova.identity.api.targets import caller, refuse_restricted
from kilonova.identity.errors import NoSuch, NotAllowedHere, Taken, UnknownReference
from kilonova.identity.model.nouns import AccessRule, ApplicationCredential, Role
from kilonova.identity.model.token_document import Subject
from kilonova.identity.store import delegation, roles
from kilonova.identity.store.delegation import ACCESS_RULES, APPLICATION_CREDENTIALS
from kilonova.identity.store.people import USERS
from kilonova.identity.store.records import Filter
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.clock import iso_micros, parse_iso
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content


async def _body(request: Ask, tx: Transaction, one: ApplicationCredential, secret: str | None = None) -> dict[str, Any]:
    known = await ROLES.many(tx, one.role_ids)
    rules = await ACCESS_RULES.many(tx, one.access_rule_ids)
    found: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "user_id": one.user_id,
        "project_id": one.project_id,
        "system": None,
        "expires_at": iso_micros(one.expires_at),
        "unrestricted": one.unrestricted,
        "roles": [
            {"id": r.id, "name": r.name, "domain_id": r.domain_id}
            for r in (known.get(i) for i in one.role_ids)
            if r is not None
        ],
        "links": {"self": url(request, f"/users/{one.user_id}/application_credentials/{one.id}")},
    }
    if one.access_rule_ids:
        found["access_rules"] = [
            {"id": r.id, "service": r.service, "path": r.path, "method": r.method}
            for r in (rules.get(i) for i in one.access_rule_ids)
            if r is not None
        ]
    if secret is not None:
        found["secret"] = secret
    return found


def _allow(request: Ask) -> str:
    user_id = request.params["user_id"]
    request.allow({"target.user.id": user_id})
    return user_id


async def list_application_credentials(request: Ask) -> Response:
    user_id = _allow(request)
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        await _check_user(tx, user_id)
        wanted = [*filters(request, "name"), Filter("user_id", user_id)]
        found = await APPLICATION_CREDENTIALS.page(tx, wanted, limit=limit, marker=marker)
        listed = [await _body(request, tx, one) for one in found.items]
    return collection(request, "application_credentials", listed, more=found.more)


async def show_application_credential(request: Ask) -> Response:
    user_id = request.params["user_id"]
    async with request.service.db.read() as tx:
        one = await _one(request, tx, user_id)
        return answer({"application_credential": await _body(request, tx, one)})


async def create_application_credential(request: Ask) -> Response:
    """The secret is shown this once. Roles are those of the token unless fewer are asked for."""
    user_id = _allow(request)
    await refuse_restricted(request)
    service, asked = request.service, request.body["application_credential"]
    subject = (await caller(request)).subject
    if subject.project is None:
        raise BadRequest("An application credential is for one project: ask with a token that has a project scope.")
    if subject.trust is not None:
        raise NotAllowedHere(why="A trust cannot make application credentials.")
    expires_at = _moment(asked.get("expires_at"), service.clock.now())
    secret = asked.get("secret") or secrets.token_urlsafe(64)
    hashed = await service.hasher.hash(secret)
    async with service.write() as tx:
        chosen = await _chosen_roles(tx, subject, asked.get("roles"))
        limit = service.settings.application_credentials_per_user
        if 0 <= limit <= await delegation.count_application_credentials(tx, user_id):
            raise NotAllowedHere(why=f"A user may own {limit} application credentials.")
        one = ApplicationCredential(
            id=new_hex(),
            user_id=user_id,
            project_id=subject.project.id,
            name=asked["name"].strip(),
            secret_hash=hashed,
            description=asked.get("description"),
            expires_at=expires_at,
            unrestricted=asked.get("unrestricted", False),
            role_ids=[r.id for r in chosen],
            access_rule_ids=[(await _stored_rule(tx, user_id, rule)).id for rule in asked.get("access_rules", [])],
        )
        try:
            await APPLICATION_CREDENTIALS.add(tx, one)
        except Duplicate:
            raise Taken(what="application credential", name=one.name) from None
        shown = await _body(request, tx, one, secret)
    return created({"application_credential": shown})


async def delete_application_credential(request: Ask) -> Response:
    """Its tokens end at once."""
    user_id = request.params["user_id"]
    await refuse_restricted(request)
    async with request.service.write() as tx:
        one = await _one(request, tx, user_id)
        await APPLICATION_CREDENTIALS.remove(tx, one.id)
    return no_content()


async def list_access_rules(request: Ask) -> Response:
    user_id = _allow(request)
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        wanted = [*filters(request, "service", "path", "method"), Filter("user_id", user_id)]
        found = await ACCESS_RULES.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "access_rules", (_rule(request, r) for r in found.items), more=found.more)


async def show_access_rule(request: Ask) -> Response:
    user_id = _allow(request)
    async with request.service.db.read() as tx:
        return answer({"access_rule": _rule(request, await _access_rule(request, tx, user_id))})


async def delete_access_rule(request: Ask) -> Response:
    """Only rules that no application credential uses."""
    user_id = _allow(request)
    await refuse_restricted(request)
    async with request.service.write() as tx:
        rule = await _access_rule(request, tx, user_id)
        used = await APPLICATION_CREDENTIALS.matching(tx, user_id=user_id)
        if any(rule.id in one.access_rule_ids for one in used):
            raise NotAllowedHere(why=f"The access rule {rule.id} is used by an application credential.")
        await ACCESS_RULES.remove(tx, rule.id)
    return no_content()


def _rule(request: Ask, rule: AccessRule) -> dict[str, Any]:
    links = {"self": url(request, f"/users/{rule.user_id}/access_rules/{rule.id}")}
    return {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method, "links": links}


def _moment(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    moment = parse_iso(text)
    if moment <= now:
        raise BadRequest("expires_at is in the past.")
    return moment


async def _chosen_roles(tx: Transaction, subject: Subject, asked: list[dict[str, str]] | None) -> list[Role]:
    """Roles that are asked for, each of which the token must have; all of the token's if none are."""
    if not asked:
        return list(subject.roles)
    held = {role.id for role in subject.roles}
    chosen: list[Role] = []
    for ref in asked:
        role = await ROLES.get(tx, ref["id"]) if "id" in ref else await roles.role_named(tx, ref["name"])
        if role is None:
            raise UnknownReference(what="role", id=ref.get("id") or ref.get("name"))
        if role.id not in held:
            raise BadRequest(f"The token has no role {role.name} on the project, so it cannot be passed on.")
        chosen.append(role)
    return chosen


async def _stored_rule(tx: Transaction, user_id: str, asked: dict[str, str]) -> AccessRule:
    """The access rule, made unless the user has the same one."""
    if "id" in asked:
        rule = await ACCESS_RULES.get(tx, asked["id"])
        if rule is None or rule.user_id != user_id:
            raise UnknownReference(what="access rule", id=asked["id"])
        return rule
    rule = AccessRule(new_hex(), user_id, asked["service"], asked["path"], asked["method"])
    known = await delegation.same_access_rule(tx, rule)
    if known is not None:
        return known
    await ACCESS_RULES.add(tx, rule)
    return rule


async def _check_user(tx: Transaction, user_id: str) -> None:
    if await USERS.get(tx, user_id) is None:
        raise NoSuch(what="user", id=user_id)


async def _one(request: Ask, tx: Transaction, user_id: str) -> ApplicationCredential:
    identifier = request.params["application_credential_id"]
    one = await APPLICATION_CREDENTIALS.get(tx, identifier)
    # One's own id in the path opens nothing of another user: that is refused, not missed, as upstream does.
    request.allow({"target.user.id": user_id} if one is None or one.user_id == user_id else {})
    if one is None or one.user_id != user_id:
        raise NoSuch(what="application credential", id=identifier)
    return one


async def _access_rule(request: Ask, tx: Transaction, user_id: str) -> AccessRule:
    identifier = request.params["access_rule_id"]
    rule = await ACCESS_RULES.get(tx, identifier)
    if rule is None or rule.user_id != user_id:
        raise NoSuch(what="access rule", id=identifier)
    return rule
