"""Services: the processes of compute, whether they live, and switching hosts off and on."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.service_fields import DISABLED, FORCED, SERVICE, ServiceView
from kilonova.compute.calls import FACTS_CHANGED
from kilonova.compute.errors import HostNotFound, ServiceHasServers, ServiceNotFound
from kilonova.compute.microversions import service_by_uuid
from kilonova.compute.model.hosts import ServiceRecord, zones_of_hosts
from kilonova.compute.store import hosts, servers
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.web import FieldTable, Response, answer, no_content


def _view(request: ComputeRequest, record: ServiceRecord, zones: Any) -> ServiceView:
    settings = request.service.settings
    zone = zones.get(record.host, settings.default_zone) if record.binary == hosts.COMPUTE else settings.internal_zone
    return ServiceView(record, zone, record.is_up(request.service.clock.now(), settings.service_down_s))


async def list_services(request: ComputeRequest) -> Response:
    """GET /os-services"""
    async with request.service.db.read() as tx:
        records = await hosts.list_services(tx, host=request.q("host"), binary=request.q("binary"))
        zones = zones_of_hosts(await hosts.list_aggregates(tx))
    views = [_view(request, record, zones) for record in records]
    return answer({"services": SERVICE.render_all(views, request.version)})


async def _find(request: ComputeRequest, tx: Transaction) -> ServiceRecord:
    key = request.params["service_id"]
    if service_by_uuid(request.version):
        if not is_uuid(key):
            raise BadRequest(f"Invalid uuid {key}")
        record = await hosts.find_service(tx, key)
    elif key.isdecimal() and len(key) < 10:
        record = await hosts.find_service(tx, int(key))
    else:
        raise BadRequest(f"Invalid service id {key}: it is a number before microversion 2.53.")
    if record is None:
        raise ServiceNotFound(id=key)
    return record


async def update_service(request: ComputeRequest) -> Response:
    """PUT /os-services/{uuid}"""
    ask = request.body
    values: dict[str, Any] = {}
    if "status" in ask:
        values = {"disabled": ask["status"] == "disabled", "disabled_reason": ask.get("disabled_reason")}
    elif "disabled_reason" in ask:
        raise BadRequest("A reason can be given only together with status disabled.")
    if values and not values["disabled"] and values["disabled_reason"]:
        raise BadRequest("A reason can be given only together with status disabled.")
    if "forced_down" in ask:
        values["forced_down"] = ask["forced_down"] in (True, "True", "true", "1")
    if not values:
        raise BadRequest("Nothing to change: give status or forced_down.")
    async with request.service.db.transaction() as tx:
        record = await _find(request, tx)
        if record.binary != hosts.COMPUTE:
            raise BadRequest(f"Only services of kind {hosts.COMPUTE} can be changed; this is a {record.binary}.")
        await _change(request, tx, record, values)
        record = await _find(request, tx)
        zones = zones_of_hosts(await hosts.list_aggregates(tx))
    return answer({"service": SERVICE.render(_view(request, record, zones), request.version)})


async def _change(request: ComputeRequest, tx: Transaction, record: ServiceRecord, values: dict[str, Any]) -> None:
    await hosts.change_service(tx, record.number, request.service.clock.now(), values)
    tx.after_commit(lambda: request.service.bus.wake(FACTS_CHANGED))


async def _change_named(request: ComputeRequest, values: dict[str, Any], fields: FieldTable) -> Response:
    """Before 2.53 a service was named by host and kind in the body."""
    ask = request.body
    async with request.service.db.transaction() as tx:
        found = await hosts.list_services(tx, host=ask["host"], binary=ask["binary"])
        if not found:
            raise HostNotFound(host=ask["host"])
        await _change(request, tx, found[0], values)
        record = (await hosts.list_services(tx, host=ask["host"], binary=ask["binary"]))[0]
    return answer({"service": fields.render(_view(request, record, {}), request.version)})


async def enable(request: ComputeRequest) -> Response:
    """PUT /os-services/enable"""
    return await _change_named(request, {"disabled": False, "disabled_reason": None}, DISABLED)


async def disable(request: ComputeRequest) -> Response:
    """PUT /os-services/disable"""
    return await _change_named(request, {"disabled": True, "disabled_reason": None}, DISABLED)


async def disable_with_reason(request: ComputeRequest) -> Response:
    """PUT /os-services/disable-log-reason"""
    reason = request.body.get("disabled_reason")
    if not reason:
        raise BadRequest("Missing disabled reason field")
    return await _change_named(request, {"disabled": True, "disabled_reason": reason}, DISABLED)


async def force_down(request: ComputeRequest) -> Response:
    """PUT /os-services/force-down"""
    wanted = request.body.get("forced_down") in (True, "True", "true", "1")
    return await _change_named(request, {"forced_down": wanted}, FORCED)


async def delete_service(request: ComputeRequest) -> Response:
    """DELETE /os-services/{id}"""
    async with request.service.db.transaction() as tx:
        record = await _find(request, tx)
        if record.binary == hosts.COMPUTE and await servers.any_on_host(tx, record.host):
            raise ServiceHasServers(host=record.host)
        await hosts.remove_service(tx, record)
        tx.after_commit(lambda: request.service.bus.wake(FACTS_CHANGED))
    return no_content()
