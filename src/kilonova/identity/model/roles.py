"""Roles: what an actor's assignments amount to on a target, and which roles imply which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kilonova.identity.model.nouns import Assignment, Project

Implications = Mapping[str, Sequence[str]]
"""Prior role id -> role ids that it implies directly."""


def with_implied(role_ids: Iterable[str], implications: Implications) -> tuple[str, ...]:
    """``role_ids`` and everything they imply, each once, in order of discovery. Circles are harmless."""
    found: dict[str, None] = {}
    waiting = list(role_ids)
    while waiting:
        role_id = waiting.pop(0)
        if role_id not in found:
            found[role_id] = None
            waiting.extend(implications.get(role_id, ()))
    return tuple(found)


def reaches(start: str, goal: str, implications: Implications) -> bool:
    """Whether ``start`` implies ``goal``, directly or not."""
    return goal in with_implied([start], implications)


def roles_on_project(assignments: Iterable[Assignment], project: Project, ancestors: Sequence[str]) -> tuple[str, ...]:
    """Direct role ids on ``project``: its own, and those inherited from ``ancestors`` (projects above, and domain)."""
    return tuple(
        a.role_id
        for a in assignments
        if (not a.inherited and a.target_type == "project" and a.target_id == project.id)
        or (a.inherited and a.target_type in ("project", "domain") and a.target_id in ancestors)
    )


def roles_on_domain(assignments: Iterable[Assignment], domain_id: str) -> tuple[str, ...]:
    """Role ids assigned on the domain itself."""
    return tuple(
        a.role_id for a in assignments if not a.inherited and a.target_type == "domain" and a.target_id == domain_id
    )


def roles_on_system(assignments: Iterable[Assignment]) -> tuple[str, ...]:
    """Role ids assigned on the whole system."""
    return tuple(a.role_id for a in assignments if not a.inherited and a.target_type == "system")


@dataclass(frozen=True, slots=True)
class Effective:
    """One assignment as it works, and where it comes from.

    ``via_group``, ``inherited_from`` (project or domain, its id), ``prior_role``: None when not so.
    """

    assignment: Assignment
    via_group: str | None = None
    inherited_from: tuple[str, str] | None = None
    prior_role: str | None = None
    source: Assignment | None = None


def expand(
    assignments: Iterable[Assignment],
    *,
    members: Mapping[str, Sequence[str]],
    below: Mapping[tuple[str, str], Sequence[str]],
    implications: Implications,
) -> Iterator[Effective]:
    """Assignments as they work: groups as their ``members``, inherited ones on what is ``below``, roles with implied.

    ``below``: (target type, id) -> ids of the projects under it.
    """
    for source in assignments:
        for one in _places(source, below):
            for person in _people(one, members):
                yield person
                direct = person.assignment.role_id
                for implied in with_implied([direct], implications)[1:]:
                    yield replace(person, assignment=replace(person.assignment, role_id=implied), prior_role=direct)


def _places(source: Assignment, below: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[Effective]:
    if not source.inherited:
        yield Effective(source, source=source)
        return
    origin = (source.target_type, source.target_id)
    for project_id in below.get(origin, ()):
        there = replace(source, target_type="project", target_id=project_id, inherited=False)
        yield Effective(there, inherited_from=origin, source=source)


def _people(one: Effective, members: Mapping[str, Sequence[str]]) -> Iterator[Effective]:
    if one.assignment.actor_type == "user":
        yield one
        return
    group_id = one.assignment.actor_id
    for user_id in members.get(group_id, ()):
        yield replace(one, assignment=replace(one.assignment, actor_type="user", actor_id=user_id), via_group=group_id)
