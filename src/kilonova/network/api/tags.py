"""Tags of any resource, as a resource of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kilonova.kernel.web import Request, Response, Route, answer, no_content
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.collection import Resource, authorize, visible_row
from kilonova.network.service import Network
from kilonova.network.store import standard
from kilonova.network.store.tables import metadata
from kilonova.network.workflows.change import Change, carry_out

MOST_TAGS, LONGEST_TAG = 50, 255

_BODY = {
    "type": "object",
    "properties": {"tags": rows.TAGS},
    "required": ["tags"],
    "additionalProperties": False,
}

Alter = Callable[[set[str]], set[str]]


async def _tags(request: Request[Network], resource: Resource) -> tuple[str, ...]:
    async with request.service.db.read() as tx:
        row = await visible_row(tx, request, resource, request.params["id"])
    wire = {**resource.facts(row), "project_id": row.project_id, "tenant_id": row.project_id}
    wire |= {"shared": getattr(row, "shared", False), "router:external": getattr(row, "external", False)}
    if not request.may(f"get_{resource.name}", {**wire, **resource.facts(row)}):
        raise resource.missing(id=row.id)
    authorize(request, f"get_{resource.name}:tags", wire)
    return tuple(row.tags)


async def _change(request: Request[Network], resource: Resource, verb: str, alter: Alter) -> tuple[str, ...]:
    async def change_it(change: Change) -> tuple[str, ...]:
        row = await visible_row(change.tx, request, resource, request.params["id"])
        target = {**resource.facts(row), "project_id": row.project_id, "tenant_id": row.project_id}
        authorize(request, f"{verb}_{resource.name}:tags", target)
        after = tuple(sorted(alter(set(row.tags))))
        if len(after) > MOST_TAGS:
            raise errors.InvalidInput(reason=f"a resource can have {MOST_TAGS} tags")
        if after != row.tags:
            table = metadata.tables[resource.listing.key.table.name]
            await standard.change(change.tx, table, row.id, {"tags": after}, change.now)
        return after

    return await carry_out(request.service, request.context, change_it)


def _tag(request: Request[Network]) -> str:
    tag = request.params["tag"]
    if not tag or len(tag) > LONGEST_TAG or "\x00" in tag or "\x1f" in tag:
        raise errors.InvalidInput(reason=f"'{tag}' is not a valid tag")
    return tag


def _handlers(resource: Resource) -> dict[str, Callable[[Request[Network]], Awaitable[Response]]]:
    async def show_all(request: Request[Network]) -> Response:
        return answer({"tags": await _tags(request, resource)})

    async def show(request: Request[Network]) -> Response:
        if _tag(request) not in await _tags(request, resource):
            raise errors.TagNotFound(tag=request.params["tag"])
        return no_content()

    async def replace(request: Request[Network]) -> Response:
        wanted = set(request.body["tags"])
        return answer({"tags": await _change(request, resource, "update", lambda _: wanted)})

    async def add(request: Request[Network]) -> Response:
        tag = _tag(request)
        await _change(request, resource, "update", lambda tags: tags | {tag})
        return Response(201, b"", [], None)

    async def remove(request: Request[Network]) -> Response:
        tag = _tag(request)

        def without(tags: set[str]) -> set[str]:
            if tag not in tags:
                raise errors.TagNotFound(tag=tag)
            return tags - {tag}

        await _change(request, resource, "delete", without)
        return no_content()

    async def remove_all(request: Request[Network]) -> Response:
        await _change(request, resource, "delete", lambda _: set())
        return no_content()

    return {"all": show_all, "one": show, "put": replace, "add": add, "drop": remove, "clear": remove_all}


def routes_of(resource: Resource) -> tuple[Route, ...]:
    """The tag routes of a resource that can have tags."""
    noun, url = resource.name, f"{resource.url}/{{id}}/tags"
    get, put, drop = f"get_{noun}:tags", f"update_{noun}:tags", f"delete_{noun}:tags"
    do = _handlers(resource)
    return (
        Route("GET", url, do["all"], get, f"List the tags of a {noun}", checks_target=True),
        Route("PUT", url, do["put"], put, f"Replace the tags of a {noun}", body=_BODY, checks_target=True),
        Route("DELETE", url, do["clear"], drop, f"Remove all tags of a {noun}", status=204, checks_target=True),
        Route("GET", url + "/{tag}", do["one"], get, f"Ask for a tag of a {noun}", status=204, checks_target=True),
        Route(
            "PUT",
            url + "/{tag}",
            do["add"],
            put,
            f"Add a tag to a {noun}",
            body_required=False,
            status=201,
            checks_target=True,
        ),
        Route("DELETE", url + "/{tag}", do["drop"], drop, f"Remove a tag of a {noun}", status=204, checks_target=True),
    )
