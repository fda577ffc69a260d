"""Flavors: list, show, and the administrator's create, change, delete; extra specs; who may use private ones."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.flavor_fields import FLAVOR, FLAVOR_BRIEF, FlavorView
from kilonova.compute.api.links import bases, limit_of, next_link
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import as_bool, as_int
from kilonova.compute.errors import BadValue, ExtraSpecNotFound, FlavorNotFound, MarkerUnknown
from kilonova.compute.microversions import access_to_public_flavor_conflicts, extra_specs_are_checked
from kilonova.compute.model.extra_specs import check_extra_spec
from kilonova.compute.store import flavors
from kilonova.kernel.db import Page, Row, Transaction
from kilonova.kernel.errors import Conflict
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import FieldTable, Response, accepted, answer


def _public(request: ComputeRequest) -> bool | None:
    """Which kind is asked for; only administrators may choose, others get what they may use."""
    asked = request.q("is_public")
    if not request.context.is_admin:
        return None if asked is None or asked.lower() == "none" else True
    if asked is None:
        return True
    if asked.lower() == "none":
        return None
    if asked.lower() in ("true", "t", "1", "yes", "on", "y"):
        return True
    if asked.lower() in ("false", "f", "0", "no", "off", "n"):
        return False
    raise BadValue(field="is_public", value=asked, why="It must be true, false or none.")


async def _page(request: ComputeRequest, fields: FieldTable, path: str) -> Response:
    numbers = {}
    for name in ("minRam", "minDisk"):
        text = request.q(name, "0") or "0"
        if not text.isdecimal():
            raise BadValue(field=name, value=text, why="It must be a whole number.")
        numbers[name] = int(text)
    key, direction = request.q("sort_key", "flavorid") or "flavorid", request.q("sort_dir", "asc") or "asc"
    if key not in flavors.SORTABLE:
        raise BadValue(field="sort_key", value=key, why="Flavors cannot be sorted by it.")
    sort = ((key, direction), ("id", direction)) if key != "id" else ((key, direction),)
    limit, marker = limit_of(request), request.q("marker")
    sees_all = request.context.is_admin
    async with request.service.db.read() as tx:
        after = None
        if marker:
            after = await flavors.sort_values(tx, marker, [k for k, _ in sort])
            if after is None:
                raise MarkerUnknown(marker=marker)
        rows = await flavors.page(
            tx,
            Page(sort, limit, after),
            project_id=request.context.project_id,
            sees_all=sees_all,
            public=_public(request),
            min_ram_mib=numbers["minRam"],
            min_disk_gib=numbers["minDisk"],
        )
    body: dict[str, Any] = {"flavors": _render(request, fields, rows)}
    following = next_link(request, path, rows, limit, rows[-1].flavor_id) if rows else []
    if following:
        body["flavors_links"] = following
    return answer(body)


def _render(request: ComputeRequest, fields: FieldTable, rows: Any) -> list[dict[str, Any]]:
    base = bases(request)
    hidden = fields.hidden_from(request.may)
    return fields.render_all([FlavorView(row, base) for row in rows], request.version, hidden)


async def _find(request: ComputeRequest, tx: Transaction, flavor_id: str) -> Row[Any]:
    row = await flavors.find(tx, flavor_id, project_id=request.context.project_id, sees_all=request.context.is_admin)
    if row is None:
        raise FlavorNotFound(id=flavor_id)
    return row


async def list_flavors(request: ComputeRequest) -> Response:
    """GET /flavors"""
    return await _page(request, FLAVOR_BRIEF, "flavors")


async def list_flavors_in_detail(request: ComputeRequest) -> Response:
    """GET /flavors/detail"""
    return await _page(request, FLAVOR, "flavors/detail")


async def show_flavor(request: ComputeRequest) -> Response:
    """GET /flavors/{id}"""
    async with request.service.db.read() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
    return answer({"flavor": _render(request, FLAVOR, [row])[0]})


async def create_flavor(request: ComputeRequest) -> Response:
    """POST /flavors"""
    ask = request.body["flavor"]
    asked_id = ask.get("id")
    rxtx = float(ask.get("rxtx_factor", 1.0))
    if not 0 < rxtx <= 3.40282e38:
        raise BadValue(field="rxtx_factor", value=rxtx, why="It must be above zero.")
    values = {
        "flavor_id": new_uuid() if asked_id in (None, "auto") else str(asked_id),
        "name": ask["name"],
        "ram_mib": as_int(ask["ram"], "ram", 1),
        "vcpus": as_int(ask["vcpus"], "vcpus", 1),
        "disk_gib": as_int(ask["disk"], "disk"),
        "ephemeral_gib": as_int(ask.get("OS-FLV-EXT-DATA:ephemeral", 0), "OS-FLV-EXT-DATA:ephemeral"),
        "swap_mib": as_int(ask.get("swap", 0), "swap"),
        "rxtx_factor": rxtx,
        "is_public": as_bool(ask.get("os-flavor-access:is_public", True)),
        "disabled": False,
        "description": ask.get("description"),
        "extra_specs": {},
        "created_at": request.service.clock.now(),
    }
    async with request.service.db.transaction() as tx:
        await flavors.insert_flavor(tx, values)
        row = await _find(request, tx, values["flavor_id"])
    return answer({"flavor": _render(request, FLAVOR, [row])[0]})


async def update_flavor(request: ComputeRequest) -> Response:
    """PUT /flavors/{id}"""
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        await flavors.change(
            tx, row.number, request.service.clock.now(), {"description": request.body["flavor"]["description"]}
        )
        row = await _find(request, tx, row.flavor_id)
    return answer({"flavor": _render(request, FLAVOR, [row])[0]})


async def delete_flavor(request: ComputeRequest) -> Response:
    """DELETE /flavors/{id}"""
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        await flavors.remove(tx, row.number)
    return accepted()


# -- extra specs


async def list_extra_specs(request: ComputeRequest) -> Response:
    """GET /flavors/{id}/os-extra_specs"""
    async with request.service.db.read() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
    return answer({"extra_specs": row.extra_specs})


async def show_extra_spec(request: ComputeRequest) -> Response:
    """GET /flavors/{id}/os-extra_specs/{key}"""
    key = request.params["key"]
    async with request.service.db.read() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
    if key not in row.extra_specs:
        raise ExtraSpecNotFound(id=row.flavor_id, key=key)
    return answer({key: row.extra_specs[key]})


async def _set_extra_specs(request: ComputeRequest, specs: dict[str, Any]) -> None:
    wanted = {key: str(value) for key, value in specs.items()}
    if extra_specs_are_checked(request.version):
        for key, value in wanted.items():
            check_extra_spec(key, value)
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        now = request.service.clock.now()
        await flavors.change(tx, row.number, now, {"extra_specs": {**row.extra_specs, **wanted}})


async def create_extra_specs(request: ComputeRequest) -> Response:
    """POST /flavors/{id}/os-extra_specs"""
    await _set_extra_specs(request, request.body["extra_specs"])
    return answer(request.body)


async def update_extra_spec(request: ComputeRequest) -> Response:
    """PUT /flavors/{id}/os-extra_specs/{key}"""
    if request.params["key"] not in request.body:
        raise BadValue(field="key", value=request.params["key"], why="The URL and the body name different keys.")
    await _set_extra_specs(request, request.body)
    return answer(request.body)


async def delete_extra_spec(request: ComputeRequest) -> Response:
    """DELETE /flavors/{id}/os-extra_specs/{key}"""
    key = request.params["key"]
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        if key not in row.extra_specs:
            raise ExtraSpecNotFound(id=row.flavor_id, key=key)
        left = {k: value for k, value in row.extra_specs.items() if k != key}
        await flavors.change(tx, row.number, request.service.clock.now(), {"extra_specs": left})
    return Response(200, b"", [], None)


# -- access


def _access(flavor_id: str, projects: list[str]) -> Response:
    rows = [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]
    return answer({"flavor_access": rows})


async def list_access(request: ComputeRequest) -> Response:
    """GET /flavors/{id}/os-flavor-access"""
    async with request.service.db.read() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        if row.is_public:
            raise FlavorNotFound("Access list not available for public flavors.")
        return _access(row.flavor_id, await flavors.projects(tx, row.number))


async def add_access(request: ComputeRequest) -> Response:
    """POST /flavors/{id}/action addTenantAccess"""
    project = request.body["addTenantAccess"]["tenant"]
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        if row.is_public and access_to_public_flavor_conflicts(request.version):
            raise Conflict(f"Flavor {row.flavor_id} is public: every project may use it already.")
        await flavors.add_project(tx, row.number, row.flavor_id, project)
        return _access(row.flavor_id, await flavors.projects(tx, row.number))


async def remove_access(request: ComputeRequest) -> Response:
    """POST /flavors/{id}/action removeTenantAccess"""
    project = request.body["removeTenantAccess"]["tenant"]
    async with request.service.db.transaction() as tx:
        row = await _find(request, tx, request.params["flavor_id"])
        await flavors.remove_project(tx, row.number, row.flavor_id, project)
        return _access(row.flavor_id, await flavors.projects(tx, row.number))
