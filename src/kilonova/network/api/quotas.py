"""Quotas over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.web import Request, Response, Route, answer, no_content
from kilonova.network import errors
from kilonova.network.api.attributes import to_int
from kilonova.network.api.collection import authorize
from kilonova.network.config import QUOTAS
from kilonova.network.service import Network
from kilonova.network.store import quotas as store

_BODY = {
    "type": "object",
    "properties": {
        "quota": {
            "type": "object",
            "properties": {
                **{
                    name: {"type": ["integer", "string"], "minimum": -1, "maximum": 2**31 - 1, "maxLength": 12}
                    for name in QUOTAS
                },
                "force": {"type": ["boolean", "string"]},
                "check_limit": {"type": ["boolean", "string"]},
                "project_id": {"type": "string", "maxLength": 255},
                "tenant_id": {"type": "string", "maxLength": 255},
            },
            "additionalProperties": False,
        }
    },
    "required": ["quota"],
    "additionalProperties": False,
}


def _target(request: Request[Network]) -> dict[str, Any]:
    return {"project_id": request.params["project_id"], "tenant_id": request.params["project_id"]}


def _merged(request: Request[Network], own: Mapping[str, int]) -> dict[str, int]:
    return {name: own.get(name, limit) for name, limit in request.service.settings.quotas.items()}


async def list_all(request: Request[Network]) -> Response:
    """GET the projects that have limits of their own."""
    if not request.context.is_admin:
        raise errors.PolicyNotAuthorized(rule="rule:get_quota")
    authorize(request, "get_quota", request.own_target())
    async with request.service.db.read() as tx:
        found = await store.all_limits(tx)
    return answer({"quotas": [{**_merged(request, own), "tenant_id": p, "project_id": p} for p, own in found.items()]})


async def show(request: Request[Network]) -> Response:
    """GET a project's limits."""
    authorize(request, "get_quota", _target(request))
    async with request.service.db.read() as tx:
        own = await store.limits_of(tx, request.params["project_id"])
    return answer({"quota": _merged(request, own)})


async def show_defaults(request: Request[Network]) -> Response:
    """GET the limits of projects that have none of their own."""
    authorize(request, "get_quota", _target(request))
    return answer({"quota": dict(request.service.settings.quotas)})


async def show_details(request: Request[Network]) -> Response:
    """GET a project's limits with what is used."""
    authorize(request, "get_quota", _target(request))
    project_id = request.params["project_id"]
    async with request.service.db.read() as tx:
        own = await store.limits_of(tx, project_id)
        used = await store.all_used(tx, project_id)
    return answer(
        {
            "quota": {
                name: {"limit": limit, "used": used[name], "reserved": 0}
                for name, limit in _merged(request, own).items()
            }
        }
    )


async def show_own_project(request: Request[Network]) -> Response:
    """GET which project the token is for: clients without a project id ask."""
    authorize(request, "get_quota", request.own_target())
    return answer({"tenant": {"tenant_id": request.context.project_id, "project_id": request.context.project_id}})


async def update(request: Request[Network]) -> Response:
    """PUT some limits of a project."""
    authorize(request, "update_quota", _target(request))
    project_id, asked = request.params["project_id"], dict(request.body["quota"])
    check = str(asked.pop("check_limit", "")).lower() == "true"
    force = str(asked.pop("force", "")).lower() == "true"
    limits = {name: to_int(value) for name, value in asked.items() if name in QUOTAS}
    if any(limit < -1 for limit in limits.values()):
        raise errors.InvalidInput(reason="a quota limit is -1 (no limit) or more")
    async with request.service.db.transaction() as tx:
        if check and not force:
            used = await store.all_used(tx, project_id)
            below = sorted(name for name, limit in limits.items() if 0 <= limit < used[name])
            if below:
                raise errors.InvalidQuotaValue(resources=below)
        await store.keep(tx, project_id, limits)
        own = await store.limits_of(tx, project_id)
    return answer({"quota": _merged(request, own)})


async def delete(request: Request[Network]) -> Response:
    """DELETE: back to the defaults."""
    authorize(request, "delete_quota", _target(request))
    async with request.service.db.transaction() as tx:
        if not await store.forget(tx, request.params["project_id"]):
            raise errors.TenantQuotaNotFound(project_id=request.params["project_id"])
    return no_content()


_URL = "/v2.0/quotas/{project_id}"
ROUTES = (
    Route("GET", "/v2.0/quotas", list_all, "get_quota", "List projects with limits of their own", checks_target=True),
    Route("GET", "/v2.0/quotas/tenant", show_own_project, "get_quota", "Show the token's project", checks_target=True),
    Route("GET", "/v2.0/quotas/project", show_own_project, "get_quota", "Show the token's project", checks_target=True),
    Route("GET", _URL, show, "get_quota", "Show a project's limits", checks_target=True),
    Route("GET", _URL + "/default", show_defaults, "get_quota", "Show the default limits", checks_target=True),
    Route("GET", _URL + "/details", show_details, "get_quota", "Show limits and use", checks_target=True),
    Route("GET", _URL + "/details.json", show_details, "get_quota", "Show limits and use", checks_target=True),
    Route("PUT", _URL, update, "update_quota", "Change a project's limits", body=_BODY, checks_target=True),
    Route("DELETE", _URL, delete, "delete_quota", "Back to the default limits", status=204, checks_target=True),
)
