"""GET /v3/role_assignments: who has which role where, as granted or as it works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.identity.api.listing import Ask, collection, truth, url
from kilonova.identity.api.targets import target
from kilonova.identity.model.nouns import Assignment, Group, Project, Role, User
from kilonova.identity.model.roles import Effective, expand
from kilonova.identity.reach import below
from kilonova.identity.store import people, projects, roles
from kilonova.identity.store.people import GROUPS, USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Response


@dataclass(frozen=True, slots=True)
class Asked:
    """The query, read. ``places``: targets (type, id) that are asked for; None: any."""

    user_id: str | None
    group_id: str | None
    role_id: str | None
    project_id: str | None
    domain_id: str | None
    system: bool
    inherited: bool
    effective: bool
    names: bool
    subtree: bool


def _asked(request: Ask) -> Asked:
    inherited_to = request.q("scope.OS-INHERIT:inherited_to")
    asked = Asked(
        user_id=request.q("user.id"),
        group_id=request.q("group.id"),
        role_id=request.q("role.id"),
        project_id=request.q("scope.project.id"),
        domain_id=request.q("scope.domain.id"),
        system=request.q("scope.system") is not None,
        inherited=inherited_to is not None,
        effective="effective" in request.query and truth(request.q("effective")),
        names="include_names" in request.query and truth(request.q("include_names")),
        subtree="include_subtree" in request.query and truth(request.q("include_subtree")),
    )
    if inherited_to not in (None, "projects"):
        raise BadRequest("scope.OS-INHERIT:inherited_to can only be projects.")
    if sum((asked.project_id is not None, asked.domain_id is not None, asked.system)) > 1:
        raise BadRequest("Ask for one scope: a project, a domain or the system.")
    if asked.user_id is not None and asked.group_id is not None:
        raise BadRequest("Ask for one actor: a user or a group.")
    if asked.effective and asked.group_id is not None:
        raise BadRequest("effective shows users; it cannot be asked for together with group.id.")
    if asked.effective and asked.inherited:
        raise BadRequest("effective resolves inheritance; it cannot be asked for together with inherited_to.")
    if asked.subtree and asked.project_id is None:
        raise BadRequest("include_subtree needs scope.project.id.")
    return asked


async def list_role_assignments(request: Ask) -> Response:
    """Callers with a domain scope see what is in their domain."""
    asked = _asked(request)
    async with request.service.db.read() as tx:
        await _allow(request, tx, asked)
        found = list(await _effective(tx, asked) if asked.effective else await _as_granted(tx, asked))
        if request.context.domain_id is not None:
            found = await _within(tx, found, request.context.domain_id)
        names = await _names(tx, found) if asked.names else None
    return collection(request, "role_assignments", [_body(request, one, names) for one in found])


async def _allow(request: Ask, tx: Transaction, asked: Asked) -> None:
    if asked.subtree:
        project = await PROJECTS.get(tx, asked.project_id)
        request.allow(target(project=project), "identity:list_role_assignments_for_tree")
    else:
        own = request.context.domain_id
        request.allow({"target.domain_id": own} if own else {})


async def _projects_asked(tx: Transaction, asked: Asked) -> list[str]:
    if asked.project_id is None:
        return []
    under = await projects.subtree(tx, asked.project_id) if asked.subtree else []
    return [asked.project_id, *(p.id for p in under)]


async def _as_granted(tx: Transaction, asked: Asked) -> list[Effective]:
    members: dict[str, Any] = {}
    if asked.user_id is not None:
        members |= {"actor_type": "user", "actor_id": asked.user_id}
    if asked.group_id is not None:
        members |= {"actor_type": "group", "actor_id": asked.group_id}
    if asked.role_id is not None:
        members["role_id"] = asked.role_id
    if asked.project_id is not None:
        members |= {"target_type": "project", "target_id": await _projects_asked(tx, asked)}
    if asked.domain_id is not None:
        members |= {"target_type": "domain", "target_id": asked.domain_id}
    if asked.system:
        members["target_type"] = "system"
    if asked.inherited:
        members["inherited"] = True
    return [Effective(a, source=a) for a in await roles.assignments_where(tx, **members)]


async def _effective(tx: Transaction, asked: Asked) -> list[Effective]:
    members: dict[str, Any] = {}
    if asked.user_id is not None:
        members["actor_id"] = [asked.user_id, *await people.group_ids_of(tx, asked.user_id)]
    granted = await roles.assignments_where(tx, **members)
    who = await people.members(tx, list({a.actor_id for a in granted if a.actor_type == "group"}))
    under = {
        (a.target_type, a.target_id): [p.id for p in await below(tx, a.target_type, a.target_id)]
        for a in granted
        if a.inherited
    }
    places = await _projects_asked(tx, asked)
    worked = expand(granted, members=who, below=under, implications=await roles.implications(tx))
    found = [one for one in worked if _is_asked(one.assignment, asked, places)]
    known = await ROLES.many(tx, [one.assignment.role_id for one in found])
    # Roles of a domain count for what they imply, not by themselves.
    return [one for one in found if known[one.assignment.role_id].domain_id is None]


def _is_asked(one: Assignment, asked: Asked, places: list[str]) -> bool:
    return (
        (asked.user_id is None or one.actor_id == asked.user_id)
        and (asked.role_id is None or one.role_id == asked.role_id)
        and (asked.project_id is None or (one.target_type == "project" and one.target_id in places))
        and (asked.domain_id is None or (one.target_type == "domain" and one.target_id == asked.domain_id))
        and (not asked.system or one.target_type == "system")
    )


async def _within(tx: Transaction, found: list[Effective], domain_id: str) -> list[Effective]:
    known = await PROJECTS.many(tx, [e.assignment.target_id for e in found])
    return [
        e
        for e in found
        if e.assignment.target_id in known and known[e.assignment.target_id].owning_domain_id == domain_id
    ]


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that the listed assignments mention."""

    users: Mapping[str, User]
    groups: Mapping[str, Group]
    roles: Mapping[str, Role]
    projects: Mapping[str, Project]


async def _names(tx: Transaction, found: Iterable[Effective]) -> Names:
    every = [e.assignment for e in found]
    users = await USERS.many(tx, [a.actor_id for a in every if a.actor_type == "user"])
    groups = await GROUPS.many(tx, [a.actor_id for a in every if a.actor_type == "group"])
    known_roles = await ROLES.many(tx, [a.role_id for a in every])
    places = await PROJECTS.many(tx, [a.target_id for a in every])
    domains = [u.domain_id for u in users.values()] + [g.domain_id for g in groups.values()]
    domains += [p.owning_domain_id for p in places.values()]
    domains += [r.domain_id for r in known_roles.values() if r.domain_id]
    return Names(users, groups, known_roles, {**places, **await PROJECTS.many(tx, domains)})


def _body(request: Ask, one: Effective, names: Names | None) -> dict[str, Any]:
    a = one.assignment
    actor: dict[str, Any] = {"id": a.actor_id}
    role: dict[str, Any] = {"id": a.role_id}
    place: dict[str, Any] = {"id": a.target_id}
    if names is not None:
        known = names.users.get(a.actor_id) or names.groups.get(a.actor_id)
        if known is not None:
            actor |= {"name": known.name, "domain": _domain(names, known.domain_id)}
        if a.role_id in names.roles:
            named = names.roles[a.role_id]
            role["name"] = named.name
            if named.domain_id:
                role["domain"] = _domain(names, named.domain_id)
        if a.target_id in names.projects:
            project = names.projects[a.target_id]
            place["name"] = project.name
            if a.target_type == "project":
                place["domain"] = _domain(names, project.owning_domain_id)
    scope: dict[str, Any] = {"system": {"all": True}} if a.target_type == "system" else {a.target_type: place}
    if a.inherited or one.inherited_from is not None:
        scope["OS-INHERIT:inherited_to"] = "projects"
    found = {"role": role, a.actor_type: actor, "scope": scope, "links": _links(request, one)}
    return found


def _domain(names: Names, domain_id: str) -> dict[str, Any]:
    domain = names.projects.get(domain_id)
    return {"id": domain_id, "name": domain.name if domain is not None else None}


def _links(request: Ask, one: Effective) -> dict[str, str]:
    source = one.source or one.assignment
    place = "/system" if source.target_type == "system" else f"/{source.target_type}s/{source.target_id}"
    path = f"{place}/{source.actor_type}s/{source.actor_id}/roles/{source.role_id}"
    if source.inherited:
        path = f"/OS-INHERIT{path}/inherited_to_projects"
    links = {"assignment": url(request, path)}
    if one.via_group is not None:
        links["membership"] = url(request, f"/groups/{one.via_group}/users/{one.assignment.actor_id}")
    if one.prior_role is not None:
        links["prior_role"] = url(request, f"/roles/{one.prior_role}")
    return links
