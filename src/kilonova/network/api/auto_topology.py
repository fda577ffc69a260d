"""A network for a project that has none, over HTTP."""

from __future__ import annotations

from kilonova.kernel.web import Request, Response, Route, answer, no_content
from kilonova.network.api.collection import authorize
from kilonova.network.service import Network
from kilonova.network.workflows import auto_topology as work
from kilonova.network.workflows.change import Change, carry_out

_DRY_RUN = "dry-run"


def _project(request: Request[Network], rule: str) -> str:
    project_id = request.params["project_id"]
    if project_id in ("None", "null"):
        project_id = request.context.project_id or ""
    authorize(request, rule, {"project_id": project_id, "tenant_id": project_id})
    return project_id


async def show(request: Request[Network]) -> Response:
    """GET the project's network, made now unless it is there; ``fields=dry-run`` only tells whether it could be."""
    project_id = _project(request, "get_auto_allocated_topology")
    dry = _DRY_RUN in request.query.get("fields", ())

    async def change_it(change: Change) -> str:
        if dry:
            await work.check(change)
            return "dry-run=pass"
        return await work.ensure(change, project_id)

    found = await carry_out(request.service, request.context, change_it)
    shown = {"id": found, "tenant_id": project_id, "project_id": project_id}
    return answer({"auto_allocated_topology": shown})


async def delete(request: Request[Network]) -> Response:
    """DELETE the project's network with its router."""
    project_id = _project(request, "delete_auto_allocated_topology")

    async def change_it(change: Change) -> None:
        await work.delete(change, project_id)

    await carry_out(request.service, request.context, change_it)
    return no_content()


_URL = "/v2.0/auto-allocated-topology/{project_id}"
ROUTES = (
    Route(
        "GET", _URL, show, "get_auto_allocated_topology", "Get a project's network, made if need be", checks_target=True
    ),
    Route(
        "DELETE",
        _URL,
        delete,
        "delete_auto_allocated_topology",
        "Delete the network made for a project",
        status=204,
        checks_target=True,
    ),
)
