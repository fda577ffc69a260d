"""Server groups: list, show, create, delete."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import NAME, closed, query_bool, whole
from kilonova.compute.errors import GroupNotFound
from kilonova.compute.microversions import v
from kilonova.compute.model.groups import AFFINITY, ANTI_AFFINITY, POLICIES
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import groups, quotas
from kilonova.kernel.db import Page, Row, Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Field, FieldTable, Response, answer, no_content

GROUP = FieldTable(
    Field("id", lambda g: g[0].id),
    Field("name", lambda g: g[0].name),
    Field("members", lambda g: g[1]),
    Field("policies", lambda g: [g[0].policy], until=v(63)),
    Field("metadata", lambda g: {}, until=v(63)),
    Field("policy", lambda g: g[0].policy, since=v(64)),
    Field(
        "rules",
        lambda g: {"max_server_per_host": g[0].max_server_per_host} if g[0].max_server_per_host else {},
        since=v(64),
    ),
    Field("project_id", lambda g: g[0].project_id, since=v(13)),
    Field("user_id", lambda g: g[0].user_id, since=v(13)),
)


def _old(words: tuple[str, ...]) -> dict[str, Any]:
    policies = {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string", "enum": list(words)}}
    return closed({"server_group": closed({"name": NAME, "policies": policies}, "name", "policies")}, "server_group")


_NEW: dict[str, Any] = closed(
    {
        "server_group": closed(
            {
                "name": NAME,
                "policy": {"type": "string", "enum": list(POLICIES)},
                "rules": closed({"max_server_per_host": whole(1)}),
            },
            "name",
            "policy",
        )
    },
    "server_group",
)
CREATE = ((None, v(14), _old((ANTI_AFFINITY, AFFINITY))), (v(15), v(63), _old(POLICIES)), (v(64), None, _NEW))
_DIGITS = {"type": "string", "pattern": "^[0-9]*$"}
_KEYS: dict[str, Any] = {"all_projects": {"type": "string"}, "limit": _DIGITS, "offset": _DIGITS}
LIST = (
    (None, v(74), {"properties": _KEYS}),
    (v(75), None, {"properties": _KEYS, "additionalProperties": False}),
)


async def _render(request: ComputeRequest, tx: Transaction, rows: list[Row[Any]]) -> list[dict[str, Any]]:
    members = await groups.members(tx, [row.number for row in rows]) if rows else {}
    return [GROUP.render((row, members.get(row.number, [])), request.version) for row in rows]


async def list_groups(request: ComputeRequest) -> Response:
    """GET /os-server-groups"""
    project_id: str | None = request.context.project_id or ""
    if "all_projects" in request.query and query_bool(request.q("all_projects"), "all_projects", default=True):
        request.allow(request.own_target(), PREFIX + "os-server-groups:index:all_projects")
        project_id = None
    most = request.service.settings.max_limit
    limit = min(int((request.q("limit") or "")[:9] or most), most)
    offset = int((request.q("offset") or "")[:9] or 0)
    async with request.service.db.read() as tx:
        rows = list(await groups.page(tx, project_id, Page((("number", "asc"),), limit + offset)))
        shown = await _render(request, tx, rows[offset:])
    return answer({"server_groups": shown})


async def _find(request: ComputeRequest, tx: Transaction) -> Row[Any]:
    group_id = request.params["group_id"]
    project_id = None if request.context.is_admin else request.context.project_id or ""
    row = await groups.find(tx, group_id, project_id)
    if row is None:
        raise GroupNotFound(id=group_id)
    request.allow({"project_id": row.project_id, "user_id": row.user_id})
    return row


async def show_group(request: ComputeRequest) -> Response:
    """GET /os-server-groups/{id}"""
    async with request.service.db.read() as tx:
        shown = await _render(request, tx, [await _find(request, tx)])
    return answer({"server_group": shown[0]})


async def create_group(request: ComputeRequest) -> Response:
    """POST /os-server-groups"""
    ask = request.body["server_group"]
    policy = ask.get("policy") or ask["policies"][0]
    most = (ask.get("rules") or {}).get("max_server_per_host")
    if most is not None and policy != ANTI_AFFINITY:
        raise BadRequest(f"Only {ANTI_AFFINITY} policy supports rules.")
    if most is not None and int(most) < 1:
        raise BadRequest("max_server_per_host must be at least 1.")
    context, settings = request.context, request.service.settings
    values = {
        "id": new_uuid(),
        "project_id": context.project_id or "",
        "user_id": context.user_id or "",
        "name": ask["name"],
        "policy": policy,
        "max_server_per_host": None if most is None else int(most),
        "created_at": request.service.clock.now(),
    }
    async with request.service.db.transaction() as tx:
        limits = await quotas.limits(tx, settings.quotas, values["project_id"], context.user_id)
        used = await quotas.group_use(tx, values["project_id"])
        quotas.check_room(limits["server_groups"], used, 1, "server_groups")
        await groups.insert_group(tx, values)
        row = await groups.find(tx, values["id"])
        assert row is not None
        shown = await _render(request, tx, [row])
    return answer({"server_group": shown[0]})


async def delete_group(request: ComputeRequest) -> Response:
    """DELETE /os-server-groups/{id}; its servers stay"""
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx)
        await groups.remove(tx, row.number)
    return no_content()
