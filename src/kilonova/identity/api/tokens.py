"""Tokens: issue, show, check, revoke; the caller's catalog and where the caller can go."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kilonova.identity.api import domains as domain_api
from kilonova.identity.api import projects as project_api
from kilonova.identity.api.listing import Ask, collection, truth, url
from kilonova.identity.api.targets import caller
from kilonova.identity.authentication import log_in
from kilonova.identity.errors import NoSuchToken, Unscoped
from kilonova.identity.reach import domains_in_reach, projects_in_reach, reaches_the_system
from kilonova.identity.store.projects import tags_of
from kilonova.identity.subjects import Held, catalog_for, validate
from kilonova.kernel.clock import iso_micros_z
from kilonova.kernel.errors import BadRequest, Unauthorized
from kilonova.kernel.web import Response, answer, no_content

VARY = ("Vary", "X-Auth-Token")
ACCESS_RULES_HEADER = "openstack-identity-access-rules"


async def issue(request: Ask) -> Response:
    """201 with X-Subject-Token; ``?nocatalog`` leaves the catalog out."""
    try:
        text, held = await log_in(request.service, request.body["auth"])
    except Unauthorized as refused:
        refused.headers["WWW-Authenticate"] = f'Keystone uri="{request.service.auth_url or request.url_prefix}"'
        raise
    return _told(request, held, text, 201)


async def show(request: Ask) -> Response:
    """The subject token, if it holds."""
    held = await _subject(request)
    return _told(request, held, request.headers["x-subject-token"], 200)


async def revoke(request: Ask) -> Response:
    """The subject token holds no more, from this moment on."""
    held = await _subject(request)
    async with request.service.write() as tx:
        await request.service.revoke(tx, audit_id=held.subject.token.audit_id)
    return no_content([VARY])


async def _subject(request: Ask) -> Held:
    text = request.headers.get("x-subject-token")
    if not text:
        raise BadRequest("The header X-Subject-Token is missing.")
    allow_expired = request.method != "DELETE" and truth(request.q("allow_expired"))
    held = await validate(request.service, text, allow_expired=allow_expired)
    request.allow({"target.token.user_id": held.subject.user.id})
    # Whoever cannot check the access rules of an application credential must not take its token for a whole one.
    if held.subject.access_rules and request.headers.get(ACCESS_RULES_HEADER) != "1.0" and request.method != "DELETE":
        raise NoSuchToken()
    return held


def _told(request: Ask, held: Held, text: str, status: int) -> Response:
    body = held.bare if "nocatalog" in request.query else held.full
    return Response(status, body, [("X-Subject-Token", text), VARY])


async def show_catalog(request: Ask) -> Response:
    """The services that this token can use."""
    held = await caller(request)
    if held.subject.token.scope.kind == "unscoped":
        raise Unscoped()
    async with request.service.db.read() as tx:
        facts = await request.service.facts(tx, await request.service.generation(tx))
    return answer({"catalog": catalog_for(held.subject, facts), "links": {"self": url(request)}}, headers=[VARY])


async def list_projects(request: Ask) -> Response:
    """Enabled projects that the caller can scope to."""
    held = await caller(request)
    async with request.service.db.read() as tx:
        facts = await request.service.facts(tx, await request.service.generation(tx))
        found = [p for p in await projects_in_reach(tx, facts, held.subject.user.id) if p.enabled]
        tags = await tags_of(tx, [p.id for p in found])
    return collection(request, "projects", (project_api.body(request, p, tags.get(p.id, ())) for p in found))


async def list_domains(request: Ask) -> Response:
    """Enabled domains that the caller can scope to."""
    held = await caller(request)
    async with request.service.db.read() as tx:
        found = [d for d in await domains_in_reach(tx, held.subject.user.id) if d.enabled]
        tags = await tags_of(tx, [d.id for d in found])
    return collection(request, "domains", (domain_api.body(request, d, tags.get(d.id, ())) for d in found))


async def show_system(request: Ask) -> Response:
    """Whether the caller can scope to the system."""
    held = await caller(request)
    async with request.service.db.read() as tx:
        reaches = await reaches_the_system(tx, held.subject.user.id)
    return answer({"system": [{"all": True}] if reaches else [], "links": {"self": url(request)}})


async def list_events(request: Ask) -> Response:
    """Revocation events that still matter."""
    async with request.service.db.read() as tx:
        facts = await request.service.facts(tx, await request.service.generation(tx))
    events: list[dict[str, Any]] = []
    for event in facts.events:
        members = asdict(event)
        events.append(
            {
                name: iso_micros_z(value) if name in ("issued_before", "revoked_at") else value
                for name, value in members.items()
                if value is not None
            }
        )
    return collection(request, "events", events)
