"""Where a user can go: projects, domains and the system on which the user has a role of any kind."""

from __future__ import annotations

from kilonova.identity.facts import Facts
from kilonova.identity.model.nouns import Assignment, Project
from kilonova.identity.store import people, projects, roles
from kilonova.identity.store.projects import PROJECTS
from kilonova.kernel.db import Transaction


async def _assignments(tx: Transaction, user_id: str) -> list[Assignment]:
    return await roles.assignments_of(tx, [user_id, *await people.group_ids_of(tx, user_id)])


async def below(tx: Transaction, kind: str, identifier: str) -> list[Project]:
    """Projects on which an inherited assignment of this target works."""
    if kind == "domain":
        return await projects.in_domain(tx, identifier)
    return await projects.subtree(tx, identifier)


async def projects_in_reach(tx: Transaction, facts: Facts, user_id: str) -> list[Project]:
    """Projects on which the user has a role that counts, itself or by inheritance, by id."""
    found: dict[str, Project] = {}
    direct: list[str] = []
    for one in await _assignments(tx, user_id):
        if not facts.effective([one.role_id]):
            continue
        if one.inherited:
            found.update({p.id: p for p in await below(tx, one.target_type, one.target_id)})
        elif one.target_type == "project":
            direct.append(one.target_id)
    found.update(await PROJECTS.many(tx, direct))
    return sorted(found.values(), key=lambda p: p.id)


async def domains_in_reach(tx: Transaction, user_id: str) -> list[Project]:
    """Domains on which the user has a role."""
    ids = [a.target_id for a in await _assignments(tx, user_id) if a.target_type == "domain" and not a.inherited]
    return sorted((await PROJECTS.many(tx, ids)).values(), key=lambda d: d.id)


async def reaches_the_system(tx: Transaction, user_id: str) -> bool:
    """Whether the user has a role on the system."""
    return any(a.target_type == "system" for a in await _assignments(tx, user_id))
