"""Resource classes: the names of what can be counted."""

from __future__ import annotations

from typing import Any

from kilonova.kernel.web import Response, answer, no_content
from kilonova.placement.api.answers import dated, dated_empty, latest, location, path
from kilonova.placement.api.traits import is_custom
from kilonova.placement.errors import BadCustomName, NoSuchClass
from kilonova.placement.parts import Asked
from kilonova.placement.store import names
from kilonova.placement.store.tables import resource_classes as table


async def list_classes(request: Asked) -> Response:
    """All classes, standard and custom."""
    known = (await request.service.snapshot.current()).resource_classes
    shown = [_show(request, name) for name in known]
    return dated(request, {"resource_classes": shown}, latest(known.values()))


async def show_class(request: Asked) -> Response:
    """One class."""
    name = request.params["name"]
    since = (await request.service.snapshot.current()).resource_classes.get(name)
    if since is None:
        raise NoSuchClass(name=name[:255])
    return dated(request, _show(request, name), since)


async def create_class(request: Asked) -> Response:
    """Make a custom class; 409 when it is there."""
    service, name = request.service, request.body["name"]
    async with service.db.transaction() as tx:
        await names.create(tx, table, names.CLASS, name, service.clock.now())
    response = no_content([location(request, "resource_classes", name)])
    response.status = 201
    return response


async def ensure_class(request: Asked) -> Response:
    """From 1.7 on: 201 when the custom class was made, 204 when it was there."""
    service, name = request.service, request.params["name"]
    if not is_custom(name):
        raise BadCustomName(what=names.CLASS, name=name[:300])
    async with service.db.transaction() as tx:
        made, since = await names.ensure(tx, table, names.CLASS, name, service.clock.now())
    return dated_empty(request, since, 201 if made else 204, [location(request, "resource_classes", name)])


async def rename_class(request: Asked) -> Response:
    """Until 1.6: give a custom class another name."""
    new_name = request.body["name"]
    async with request.service.db.transaction() as tx:
        await names.rename_class(tx, request.params["name"], new_name)
    return answer(_show(request, new_name))


async def delete_class(request: Asked) -> Response:
    """Delete a custom class that no inventory has."""
    async with request.service.db.transaction() as tx:
        await names.delete_class(tx, request.params["name"])
    return no_content()


def _show(request: Asked, name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": path(request, "resource_classes", name)}]}
