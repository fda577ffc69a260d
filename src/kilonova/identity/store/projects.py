"""Projects and domains: the tree and the tags."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, and_, delete, exists, insert, not_, or_, select, update

from kilonova.identity.model.nouns import Project
from kilonova.identity.store.records import Records, pairs
from kilonova.identity.store.tables import (
    assignments,
    credentials,
    groups,
    limits,
    project_tags,
    projects,
    roles,
    users,
)
from kilonova.kernel.db import Transaction

PROJECTS: Records[Project] = Records(projects, Project)


async def domain_named(tx: Transaction, name: str) -> Project | None:
    """The domain of that name."""
    return await PROJECTS.one(tx, projects.c.namespace == "", projects.c.name == name)


async def project_named(tx: Transaction, name: str, domain_id: str) -> Project | None:
    """The project of that name in the domain."""
    return await PROJECTS.one(tx, projects.c.namespace == domain_id, projects.c.name == name)


async def get_domain(tx: Transaction, domain_id: str | None) -> Project | None:
    """The domain with this id, or None (also when the id is that of a project)."""
    found = await PROJECTS.get(tx, domain_id)
    return found if found is not None and found.is_domain else None


async def ancestors(tx: Transaction, project: Project) -> list[Project]:
    """Projects above, nearest first; the domain is the last one."""
    found: list[Project] = []
    above = await PROJECTS.get(tx, project.parent_id or project.domain_id)
    while above is not None:
        found.append(above)
        above = await PROJECTS.get(tx, above.parent_id or above.domain_id)
    return found


async def children(tx: Transaction, project_ids: list[str]) -> list[Project]:
    """Projects directly under any of ``project_ids``."""
    return await PROJECTS.where(tx, projects.c.parent_id.in_(project_ids)) if project_ids else []


async def subtree(tx: Transaction, project_id: str) -> list[Project]:
    """Projects below, level by level; not the project itself."""
    found: list[Project] = []
    level = await children(tx, [project_id])
    while level:
        found.extend(level)
        level = await children(tx, [p.id for p in level])
    return found


async def in_domain(tx: Transaction, domain_id: str) -> list[Project]:
    """All projects of a domain."""
    return await PROJECTS.where(tx, projects.c.domain_id == domain_id)


async def remove_project(tx: Transaction, project_id: str) -> None:
    """Delete a project or domain with everything in it that has no other owner.

    For a domain: its users, groups, roles and projects go by foreign keys; assignments and default projects that
    point at any of these are taken away here, because they have none.
    """
    inside = select(projects.c.id).where(or_(projects.c.id == project_id, projects.c.domain_id == project_id))
    people = select(users.c.id).where(users.c.domain_id == project_id)
    bands = select(groups.c.id).where(groups.c.domain_id == project_id)
    await tx.run(
        delete(assignments).where(
            or_(
                assignments.c.target_id.in_(inside),
                and_(assignments.c.actor_type == "user", assignments.c.actor_id.in_(people)),
                and_(assignments.c.actor_type == "group", assignments.c.actor_id.in_(bands)),
            )
        )
    )
    await tx.run(delete(credentials).where(credentials.c.project_id.in_(inside)))
    await tx.run(update(users).where(users.c.default_project_id.in_(inside)).values(default_project_id=None))
    await tx.run(delete(limits).where(limits.c.owner.in_(inside)))
    await tx.run(delete(roles).where(roles.c.domain_id == project_id))
    await PROJECTS.remove(tx, project_id)


async def tags_of(tx: Transaction, project_ids: list[str]) -> dict[str, list[str]]:
    """Tags by project id, each in order of the alphabet."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(project_ids), 500):
        statement = (
            select(project_tags.c.project_id, project_tags.c.name)
            .where(project_tags.c.project_id.in_(project_ids[at : at + 500]))
            .order_by(project_tags.c.name)
        )
        for project_id, name in await pairs(tx, statement):
            found.setdefault(project_id, []).append(name)
    return found


async def set_tags(tx: Transaction, project_id: str, names: list[str]) -> None:
    """Replace all tags."""
    await tx.run(delete(project_tags).where(project_tags.c.project_id == project_id))
    await tx.run(insert(project_tags), [{"project_id": project_id, "name": n} for n in dict.fromkeys(names)])


_BY_TAGS = {
    # name in a query: (all of them or any, the opposite)
    "tags": (and_, False),
    "tags-any": (or_, False),
    "not-tags": (and_, True),
    "not-tags-any": (or_, True),
}


def by_tags(query: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Conditions on projects for ``tags``, ``tags-any``, ``not-tags`` and ``not-tags-any``: names with commas."""
    found: list[ColumnElement[bool]] = []
    for name, (join, negated) in _BY_TAGS.items():
        if query.get(name):
            each = [
                exists().where(project_tags.c.project_id == projects.c.id, project_tags.c.name == tag)
                for tag in query[name].split(",")[:80]
            ]
            found.append(not_(join(*each)) if negated else join(*each))
    return found
