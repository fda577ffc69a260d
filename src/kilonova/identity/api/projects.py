"""Projects: the tree, the tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, merged, split, truth, url, window
from kilonova.identity.api.targets import allow_or_missing, target
from kilonova.identity.errors import CannotChange, HasChildren, Immutable, NoSuch, Taken, UnknownReference
from kilonova.identity.model.nouns import Project
from kilonova.identity.store import projects
from kilonova.identity.store.projects import PROJECTS, by_tags
from kilonova.identity.store.records import Filter
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.errors import BadRequest, Forbidden
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("name", "domain_id", "parent_id", "enabled", "description", "is_domain", "tags", "options")
DEEPEST = 5


def body(request: Ask, project: Project, tags: Sequence[str] = ()) -> dict[str, Any]:
    """A project on the wire."""
    found = {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.parent_id,
        "is_domain": project.is_domain,
        "enabled": project.enabled,
        "description": project.description,
        "tags": list(tags),
        "options": project.options,
    }
    return {**project.extra, **found, "links": {"self": url(request, f"/projects/{project.id}")}}


def fits(request: Ask, project: Project) -> bool:
    """Whether the project passes the filters of the query that work on lists made in memory."""
    for name in ("name", "domain_id", "parent_id"):
        asked = request.q(name)
        if asked is not None and getattr(project, name) != asked:
            return False
    enabled = request.q("enabled")
    return enabled is None or project.enabled == truth(enabled)


async def list_projects(request: Ask) -> Response:
    """Domains are listed only with ``is_domain``."""
    domain_id = request.q("domain_id") or request.context.domain_id
    request.allow({"target.domain_id": domain_id} if domain_id else {})
    wanted = filters(request, "name", "enabled", "parent_id", "is_domain")
    if not any(f.column == "is_domain" for f in wanted):
        wanted.append(Filter("is_domain", False))
    if domain_id:
        wanted.append(Filter("domain_id", domain_id))
    limit, marker = window(request)
    tagged = by_tags({name: values[-1] for name, values in request.query.items()})
    async with request.service.db.read() as tx:
        found = await PROJECTS.page(tx, wanted, *tagged, limit=limit, marker=marker)
        tags = await projects.tags_of(tx, [p.id for p in found.items])
    listed = (body(request, p, tags.get(p.id, ())) for p in found.items)
    return collection(request, "projects", listed, more=found.more)


async def show_project(request: Ask) -> Response:
    """With ``parents_as_list``, ``subtree_as_list``, ``parents_as_ids`` or ``subtree_as_ids`` also what is around."""
    async with request.service.db.read() as tx:
        project = await _project(request, tx)
        around: dict[str, Any] = {}
        if request.query.keys() & {"parents_as_list", "parents_as_ids"}:
            above = [p for p in await projects.ancestors(tx, project) if not p.is_domain or not project.domain_id]
            around["parents"] = _as_ids_up(above)
            if "parents_as_list" in request.query:
                around["parents"] = [{"project": body(request, p)} for p in above]
        if request.query.keys() & {"subtree_as_list", "subtree_as_ids"}:
            under = await projects.subtree(tx, project.id)
            around["subtree"] = _as_ids_down(project.id, under)
            if "subtree_as_list" in request.query:
                around["subtree"] = [{"project": body(request, p)} for p in under]
        tags = await projects.tags_of(tx, [project.id])
    return answer({"project": {**body(request, project, tags.get(project.id, ())), **around}})


def _as_ids_up(above: list[Project]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    for project in reversed(above):
        found = {project.id: found}
    return found


def _as_ids_down(root: str, under: list[Project]) -> dict[str, Any] | None:
    found = {p.id: _as_ids_down(p.id, under) for p in under if p.parent_id == root}
    return found or None


async def create_project(request: Ask) -> Response:
    own, extra = split(request.body["project"], *_KNOWN)
    async with request.service.write() as tx:
        project = await _placed(request, tx, own, extra)
        request.allow(target(project=project))
        await add(tx, project, "project")
        await projects.set_tags(tx, project.id, own.get("tags", []))
    return created({"project": body(request, project, sorted(own.get("tags", [])))})


async def add(tx: Transaction, project: Project, what: str) -> None:
    """Store a new project or domain. Raises Taken."""
    try:
        await PROJECTS.add(tx, project)
    except Duplicate:
        raise Taken(what=what, name=project.name) from None


async def _placed(request: Ask, tx: Transaction, own: dict[str, Any], extra: dict[str, Any]) -> Project:
    """The new project in its place in the tree."""
    if own.get("is_domain"):
        if own.get("parent_id") or own.get("domain_id"):
            raise BadRequest("A project that is a domain has neither parent_id nor domain_id.")
        return new_project(own, extra, domain_id=None, parent_id=None)
    domain_id = own.get("domain_id")
    parent_id = own.get("parent_id")
    if parent_id is None:
        domain_id = domain_id or request.context.domain_id or request.service.settings.default_domain_id
        if await projects.get_domain(tx, domain_id) is None:
            raise UnknownReference(what="domain", id=domain_id)
        return new_project(own, extra, domain_id=domain_id, parent_id=domain_id)
    parent = await PROJECTS.get(tx, parent_id)
    if parent is None:
        raise UnknownReference(what="project", id=parent_id)
    if domain_id is not None and domain_id != parent.owning_domain_id:
        raise BadRequest("The parent is in another domain than the one that is asked for.")
    if len(await projects.ancestors(tx, parent)) + 1 > DEEPEST:
        raise Forbidden(f"Projects may be nested {DEEPEST} levels deep at most.")
    if own.get("enabled", True) and not parent.enabled:
        raise Forbidden("A project under a disabled one cannot be enabled.")
    return new_project(own, extra, domain_id=parent.owning_domain_id, parent_id=parent.id)


def new_project(
    own: dict[str, Any],
    extra: dict[str, Any],
    *,
    domain_id: str | None,
    parent_id: str | None,
    identifier: str | None = None,
) -> Project:
    """A project from the members of its body; a domain when ``domain_id`` is None."""
    return Project(
        id=identifier or new_hex(),
        name=own["name"].strip(),
        domain_id=domain_id,
        parent_id=parent_id,
        is_domain=domain_id is None,
        enabled=own.get("enabled", True),
        description=own.get("description") or "",
        options=merged({}, own.get("options", {})),
        extra=extra,
        namespace=domain_id or "",
    )


async def update_project(request: Ask) -> Response:
    own, extra = split(request.body["project"], *_KNOWN)
    async with request.service.write() as tx:
        project = await _project(request, tx)
        for member in ("domain_id", "parent_id", "is_domain"):
            if member in own and own[member] != getattr(project, member):
                raise CannotChange(what="project", member=member)
        after = await change(request, tx, project, own, extra, "project")
        tags = await projects.tags_of(tx, [project.id])
    return answer({"project": body(request, after, tags.get(project.id, ()))})


async def change(
    request: Ask, tx: Transaction, project: Project, own: dict[str, Any], extra: dict[str, Any], what: str
) -> Project:
    """Change a project or domain; disabling it ends the tokens that live from it. Raises Taken, Immutable."""
    if project.is_immutable and set(own) - {"options"}:
        raise Immutable(what=what, id=project.id)
    values: dict[str, Any] = {n: own[n] for n in ("name", "enabled") if n in own}
    if "name" in values:
        values["name"] = values["name"].strip()
    if "description" in own:
        values["description"] = own["description"] or ""
    values["options"] = merged(project.options, own.get("options", {}))
    values["extra"] = merged(project.extra, extra)
    if values.get("enabled") and not project.enabled:
        for above in await projects.ancestors(tx, project):
            if not above.enabled:
                raise Forbidden(f"{above.id}, which is above it, is disabled; enable that first.")
    try:
        await PROJECTS.change(tx, project.id, values)
    except Duplicate:
        raise Taken(what=what, name=values["name"]) from None
    if "tags" in own:
        await projects.set_tags(tx, project.id, own["tags"])
    if values.get("enabled") is False and project.enabled:
        if project.is_domain:
            await request.service.revoke(tx, domain_id=project.id)
        await request.service.revoke(tx, project_id=project.id)
    found = await PROJECTS.get(tx, project.id)
    assert found is not None
    return found


async def delete_project(request: Ask) -> Response:
    async with request.service.write() as tx:
        project = await _project(request, tx)
        if project.is_domain and (project.enabled or project.id == request.service.settings.default_domain_id):
            raise Forbidden("This is a domain; disable it before deleting it. The default domain stays.")
        if project.is_immutable:
            raise Immutable(what="project", id=project.id)
        if await projects.children(tx, [project.id]):
            raise HasChildren(id=project.id)
        await projects.remove_project(tx, project.id)
    return no_content()


async def list_tags(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        project = await _project(request, tx)
        tags = await projects.tags_of(tx, [project.id])
    links = {"next": None, "self": url(request), "previous": None}
    return answer({"tags": tags.get(project.id, []), "links": links})


async def replace_tags(request: Ask) -> Response:
    async with request.service.write() as tx:
        project = await _project(request, tx)
        await projects.set_tags(tx, project.id, request.body["tags"])
    links = {"next": None, "self": url(request), "previous": None}
    return answer({"tags": sorted(request.body["tags"]), "links": links})


async def delete_tags(request: Ask) -> Response:
    async with request.service.write() as tx:
        project = await _project(request, tx)
        await projects.set_tags(tx, project.id, [])
    return no_content()


async def check_tag(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        project = await _project(request, tx)
        tags = await projects.tags_of(tx, [project.id])
        _own_tag(request, tags.get(project.id, []))
    return no_content()


async def add_tag(request: Ask) -> Response:
    value = request.params["value"]
    if not 0 < len(value) <= 255 or "," in value or "/" in value:
        raise BadRequest("A tag has 1 to 255 characters and neither comma nor slash.")
    async with request.service.write() as tx:
        project = await _project(request, tx)
        tags = (await projects.tags_of(tx, [project.id])).get(project.id, [])
        if len(tags) >= 80 and value not in tags:
            raise BadRequest("A project carries 80 tags at most.")
        await projects.set_tags(tx, project.id, [*tags, value])
    return Response(201, b"", [("Location", url(request))], None)


async def delete_tag(request: Ask) -> Response:
    async with request.service.write() as tx:
        project = await _project(request, tx)
        tags = (await projects.tags_of(tx, [project.id])).get(project.id, [])
        value = _own_tag(request, tags)
        await projects.set_tags(tx, project.id, [t for t in tags if t != value])
    return no_content()


def _own_tag(request: Ask, tags: list[str]) -> str:
    value = request.params["value"]
    if value not in tags:
        raise NoSuch(what="tag", id=value)
    return value


async def _project(request: Ask, tx: Transaction) -> Project:
    project_id = request.params["project_id"]
    project = await PROJECTS.get(tx, project_id)
    allow_or_missing(request, "project", project_id, project)
    assert project is not None
    return project
