"""Domains: projects at the root, with users, groups and projects of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, split, url, window
from kilonova.identity.api.projects import add, change, new_project
from kilonova.identity.api.targets import allow_or_missing
from kilonova.identity.errors import DefaultDomainStays, DomainIsEnabled, Immutable, NoSuch, Taken
from kilonova.identity.model.nouns import Project
from kilonova.identity.store import projects
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.records import Filter
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("name", "enabled", "description", "options", "tags", "explicit_domain_id")


def body(request: Ask, domain: Project, tags: Sequence[str] = ()) -> dict[str, Any]:
    """A domain on the wire."""
    found = {
        "id": domain.id,
        "name": domain.name,
        "enabled": domain.enabled,
        "description": domain.description,
        "tags": list(tags),
        "options": domain.options,
    }
    return {**domain.extra, **found, "links": {"self": url(request, f"/domains/{domain.id}")}}


async def list_domains(request: Ask) -> Response:
    """Callers with a domain scope see their own only."""
    own = request.context.domain_id
    request.allow({"target.domain.id": own} if own else {})
    wanted = [*filters(request, "name", "enabled"), Filter("is_domain", True)]
    if own:
        wanted.append(Filter("id", own))
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await PROJECTS.page(tx, wanted, limit=limit, marker=marker)
        tags = await projects.tags_of(tx, [d.id for d in found.items])
    listed = (body(request, d, tags.get(d.id, ())) for d in found.items)
    return collection(request, "domains", listed, more=found.more)


async def show_domain(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        domain = await _domain(request, tx)
        tags = await projects.tags_of(tx, [domain.id])
    return answer({"domain": body(request, domain, tags.get(domain.id, ()))})


async def create_domain(request: Ask) -> Response:
    own, extra = split(request.body["domain"], *_KNOWN)
    request.allow({})
    domain = new_project(own, extra, domain_id=None, parent_id=None, identifier=own.get("explicit_domain_id"))
    async with request.service.write() as tx:
        if await PROJECTS.get(tx, domain.id) is not None:
            raise Taken(what="domain or project with the id", name=domain.id)
        await add(tx, domain, "domain")
        await projects.set_tags(tx, domain.id, own.get("tags", []))
    return created({"domain": body(request, domain, sorted(own.get("tags", [])))})


async def update_domain(request: Ask) -> Response:
    """Disabling ends all tokens of its users and projects."""
    own, extra = split(request.body["domain"], *_KNOWN)
    async with request.service.write() as tx:
        domain = await change(request, tx, await _domain(request, tx), own, extra, "domain")
        tags = await projects.tags_of(tx, [domain.id])
    return answer({"domain": body(request, domain, tags.get(domain.id, ()))})


async def delete_domain(request: Ask) -> Response:
    """With all that is in it; it must be disabled before."""
    async with request.service.write() as tx:
        domain = await _domain(request, tx)
        if domain.id == request.service.settings.default_domain_id:
            raise DefaultDomainStays(id=domain.id)
        if domain.is_immutable:
            raise Immutable(what="domain", id=domain.id)
        if domain.enabled:
            raise DomainIsEnabled(id=domain.id)
        await projects.remove_project(tx, domain.id)
    return no_content()


async def _domain(request: Ask, tx: Transaction) -> Project:
    domain_id = request.params["domain_id"]
    domain = await projects.get_domain(tx, domain_id)
    if domain is None and request.method == "PATCH":  # upstream tells anybody, here only
        raise NoSuch(what="domain", id=domain_id)
    allow_or_missing(request, "domain", domain_id, domain)
    assert domain is not None
    return domain
