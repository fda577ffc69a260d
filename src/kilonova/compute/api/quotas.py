"""Quotas of projects, of users in them, and of classes; and the limits that a project sees."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.quota_fields import ABSOLUTE, ROWS, USED, limits_shown, use_shown
from kilonova.compute.api.values import as_bool
from kilonova.compute.errors import QuotaLimitTooLow
from kilonova.compute.microversions import v
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import quotas
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Response, accepted, answer

_BY_WORD = {row.word: row.name for row in ROWS}
_STRINGS = {"user_id": {"type": "string", "minLength": 1, "maxLength": 255}}
QUERY = (
    (None, v(74), {"properties": _STRINGS}),
    (v(75), None, {"properties": _STRINGS, "additionalProperties": False}),
)


def _allow(request: ComputeRequest) -> tuple[str, str | None]:
    """Whose quota: the project in the URL, and the user in the query if one is named."""
    project_id = request.params["quota_project_id"]
    request.allow({"project_id": project_id, "user_id": request.context.user_id})
    return project_id, request.q("user_id")


async def _used(tx: Transaction, project_id: str, user_id: str | None) -> dict[str, int]:
    use = await quotas.server_use(tx, project_id, user_id)
    return {
        "instances": use.instances,
        "cores": use.cores,
        "ram": use.ram,
        "server_groups": await quotas.group_use(tx, project_id),
    }


async def show_quota(request: ComputeRequest) -> Response:
    """GET /os-quota-sets/{project}"""
    project_id, user_id = _allow(request)
    async with request.service.db.read() as tx:
        limits = await quotas.limits(tx, request.service.settings.quotas, project_id, user_id)
    return answer({"quota_set": {"id": project_id, **limits_shown(limits, request.version)}})


async def show_quota_in_detail(request: ComputeRequest) -> Response:
    """GET /os-quota-sets/{project}/detail"""
    project_id, user_id = _allow(request)
    async with request.service.db.read() as tx:
        limits = await quotas.limits(tx, request.service.settings.quotas, project_id, user_id)
        used = await _used(tx, project_id, user_id)
    return answer({"quota_set": {"id": project_id, **use_shown(limits, used, request.version)}})


async def show_defaults(request: ComputeRequest) -> Response:
    """GET /os-quota-sets/{project}/defaults"""
    project_id, _user_id = _allow(request)
    async with request.service.db.read() as tx:
        limits = await quotas.class_limits(tx, request.service.settings.quotas)
    return answer({"quota_set": {"id": project_id, **limits_shown(limits, request.version)}})


async def update_quota(request: ComputeRequest) -> Response:
    """PUT /os-quota-sets/{project}; below what is used only with `force`"""
    project_id, user_id = _allow(request)
    ask = dict(request.body["quota_set"])
    forced = as_bool(ask.pop("force", False))
    async with request.service.db.transaction() as tx:
        used = await _used(tx, project_id, user_id)
        whole = await quotas.limits(tx, request.service.settings.quotas, project_id)
        for word, value in ask.items():
            name, limit = _BY_WORD[word], int(value)
            low, high = (-1 if forced else used.get(name, 0)), (whole.get(name, -1) if user_id else -1)
            if limit < -1 or (limit != -1 and limit < low) or (high >= 0 and not -1 < limit <= high):
                raise QuotaLimitTooLow(limit=limit, resource=word, low=low, high="unlimited" if high < 0 else high)
            await quotas.set_limit(tx, project_id, user_id or quotas.WHOLE_PROJECT, name, limit)
        limits = await quotas.limits(tx, request.service.settings.quotas, project_id, user_id)
    return answer({"quota_set": limits_shown(limits, request.version)})


async def delete_quota(request: ComputeRequest) -> Response:
    """DELETE /os-quota-sets/{project}: back to the defaults"""
    project_id, user_id = _allow(request)
    async with request.service.db.transaction() as tx:
        await quotas.forget(tx, project_id, user_id)
    return accepted()


def _class_shown(request: ComputeRequest, limits: dict[str, int]) -> dict[str, int]:
    shown = limits_shown(limits, request.version)
    if request.version < v(50):
        for word in ("server_groups", "server_group_members"):
            shown.pop(word)
    return shown


async def show_class(request: ComputeRequest) -> Response:
    """GET /os-quota-class-sets/{class}"""
    name = request.params["class_name"]
    async with request.service.db.read() as tx:
        limits = await quotas.class_limits(tx, request.service.settings.quotas, name)
    return answer({"quota_class_set": {"id": name, **_class_shown(request, limits)}})


async def update_class(request: ComputeRequest) -> Response:
    """PUT /os-quota-class-sets/{class}"""
    name = request.params["class_name"]
    async with request.service.db.transaction() as tx:
        for word, value in request.body["quota_class_set"].items():
            if int(value) < -1:
                raise QuotaLimitTooLow(limit=value, resource=word, low=-1, high="unlimited")
            await quotas.set_class_limit(tx, name, _BY_WORD[word], int(value))
        limits = await quotas.class_limits(tx, request.service.settings.quotas, name)
    return answer({"quota_class_set": _class_shown(request, limits)})


LIMITS_QUERY = (
    (None, v(56), {"properties": {"tenant_id": {"type": "string"}}}),
    (v(57), v(74), {"properties": {"tenant_id": {"type": "string"}}}),
    (v(75), None, {"properties": {"tenant_id": {"type": "string"}}, "additionalProperties": False}),
)


async def show_limits(request: ComputeRequest) -> Response:
    """GET /limits"""
    project_id = request.context.project_id or ""
    asked = request.q("tenant_id")
    if asked and asked != project_id:
        request.allow({"project_id": asked}, PREFIX + "limits:other_project")
        project_id = asked
    async with request.service.db.read() as tx:
        limits = await quotas.limits(tx, request.service.settings.quotas, project_id)
        used = await _used(tx, project_id, None)
    absolute: dict[str, Any] = {
        word: limits.get(name, -1) for word, name, until in ABSOLUTE if until is None or request.version <= until
    }
    absolute |= {word: used.get(name, 0) for word, name, until in USED if until is None or request.version <= until}
    return answer({"limits": {"rate": [], "absolute": absolute}})
