"""Grants: a role for a user or group on a project, a domain or the system, on it or on what is below.

One set of handlers serves all of these URLs; which parameters the path has says what is meant.
"""

from __future__ import annotations

from typing import Any

from kilonova.identity.api import roles as role_api
from kilonova.identity.api.listing import Ask, collection
from kilonova.identity.api.targets import target
from kilonova.identity.errors import NoSuch, NotAllowedHere
from kilonova.identity.model.nouns import Assignment, Group, Project, Role, User
from kilonova.identity.store import delegation, roles
from kilonova.identity.store.people import GROUPS, USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Response, no_content


async def list_grants(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        members = await _named(request, tx)
        found = await roles.assignments_where(tx, **members)
        known = await ROLES.many(tx, [a.role_id for a in found])
    return collection(request, "roles", (role_api.body(request, known[a.role_id]) for a in found))


async def check_grant(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        one = Assignment(**await _named(request, tx))
        if not await roles.has_grant(tx, one):
            raise NoSuch(what="assignment of role", id=one.role_id)
    return no_content()


async def create_grant(request: Ask) -> Response:
    """Granting twice is fine."""
    async with request.service.write() as tx:
        one = Assignment(**await _named(request, tx))
        await roles.grant(tx, one)
    return no_content()


async def revoke_grant(request: Ask) -> Response:
    """Tokens lose the role at once; the user's application credentials on the project go with it."""
    async with request.service.write() as tx:
        one = Assignment(**await _named(request, tx))
        if not await roles.ungrant(tx, one):
            raise NoSuch(what="assignment of role", id=one.role_id)
        if one.actor_type == "user" and one.target_type == "project":
            await delegation.remove_user_project_credentials(tx, one.actor_id, one.target_id)
    return no_content()


async def _named(request: Ask, tx: Transaction) -> dict[str, Any]:
    """What the path names, as members of an Assignment, once the rule has passed and all of it is there."""
    params = request.params
    user: User | None = await USERS.get(tx, params.get("user_id"))
    group: Group | None = await GROUPS.get(tx, params.get("group_id"))
    role: Role | None = await ROLES.get(tx, params.get("role_id"))
    project: Project | None = await PROJECTS.get(tx, params.get("project_id"))
    domain: Project | None = await PROJECTS.get(tx, params.get("domain_id"))
    if domain is not None and not domain.is_domain:
        domain = None
    request.allow(target(user=user, group=group, role=role, project=project, domain=domain))
    things = {"user": user, "group": group, "role": role, "project": project, "domain": domain}
    for word, thing in things.items():
        if f"{word}_id" in params and thing is None:
            raise NoSuch(what=word, id=params[f"{word}_id"])
    actor = user or group
    place = project or domain
    assert actor is not None
    members: dict[str, Any] = {
        "actor_type": "user" if user is not None else "group",
        "actor_id": actor.id,
        "target_type": "project" if project is not None else "domain" if domain is not None else "system",
        "target_id": place.id if place is not None else "all",
        "inherited": "/OS-INHERIT/" in request.path,
    }
    if role is not None:
        other_domain = project is not None and role.domain_id not in (None, project.owning_domain_id)
        if other_domain and request.method == "PUT":
            raise NotAllowedHere(why="A role of a domain can be granted on projects of that domain only.")
        members["role_id"] = role.id
    return members
