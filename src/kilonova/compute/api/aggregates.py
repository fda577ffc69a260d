"""Aggregates: named sets of hosts, with metadata; one key of it makes a set an availability zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import HOSTNAME, METADATA_OR_NULL, NAME, closed
from kilonova.compute.calls import FACTS_CHANGED
from kilonova.compute.errors import (
    AggregateHasHosts,
    AggregateHostNotFound,
    AggregateNotFound,
    HostHasServers,
    HostInAnotherZone,
    HostNotFound,
)
from kilonova.compute.microversions import v
from kilonova.compute.model.hosts import ZONE_KEY, Aggregate, zones_of_hosts
from kilonova.compute.store import hosts, servers
from kilonova.kernel.clock import iso_micros
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Field, FieldTable, Response, answer

_COMMON = (
    Field("id", lambda a: a.number),
    Field("name", lambda a: a.name),
    Field("availability_zone", lambda a: a.zone),
    Field("created_at", lambda a: iso_micros(a.created_at)),
    Field("updated_at", lambda a: iso_micros(a.updated_at)),
    Field("deleted", lambda a: False),
    Field("deleted_at", lambda a: None),
    Field("uuid", lambda a: a.id, since=v(41)),
)
AGGREGATE = FieldTable(*_COMMON, Field("hosts", lambda a: list(a.hosts)), Field("metadata", lambda a: a.metadata))
CREATED = FieldTable(*_COMMON)

_ZONE: dict[str, Any] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[^:\p{C}]*(?<!\s)$",
}
_KEYS = {"name": NAME, "availability_zone": _ZONE}
CREATE = closed({"aggregate": closed(_KEYS, "name")}, "aggregate")
UPDATE = closed({"aggregate": {**closed(_KEYS), "minProperties": 1}}, "aggregate")
ADD_HOST = closed({"add_host": closed({"host": HOSTNAME}, "host")}, "add_host")
REMOVE_HOST = closed({"remove_host": closed({"host": HOSTNAME}, "host")}, "remove_host")
SET_METADATA = closed({"set_metadata": closed({"metadata": METADATA_OR_NULL}, "metadata")}, "set_metadata")


async def _find(request: ComputeRequest, tx: Transaction) -> Aggregate:
    key = request.params["aggregate_id"]
    if not (key.isascii() and key.removeprefix("-").isdecimal()):
        raise BadRequest(f"Invalid aggregate id {key}: it is a number.")
    found = await hosts.find_aggregate(tx, int(key)) if key.isdecimal() and len(key) <= 9 else None
    if found is None:
        raise AggregateNotFound(id=key)
    return found


def _shown(request: ComputeRequest, aggregate: Aggregate) -> Response:
    return answer({"aggregate": AGGREGATE.render(aggregate, request.version)})


def _tell_scheduler(request: ComputeRequest, tx: Transaction) -> None:
    tx.after_commit(lambda: request.service.bus.wake(FACTS_CHANGED))


async def list_aggregates(request: ComputeRequest) -> Response:
    """GET /os-aggregates"""
    async with request.service.db.read() as tx:
        found = await hosts.list_aggregates(tx)
    return answer({"aggregates": AGGREGATE.render_all(found, request.version)})


async def show_aggregate(request: ComputeRequest) -> Response:
    """GET /os-aggregates/{id}"""
    async with request.service.db.read() as tx:
        return _shown(request, await _find(request, tx))


async def create_aggregate(request: ComputeRequest) -> Response:
    """POST /os-aggregates"""
    ask = request.body["aggregate"]
    zone = ask.get("availability_zone")
    values = {
        "id": new_uuid(),
        "name": ask["name"],
        "metadata": {ZONE_KEY: zone} if zone else {},
        "created_at": request.service.clock.now(),
    }
    async with request.service.db.transaction() as tx:
        number = await hosts.insert_aggregate(tx, values)
        made = await hosts.find_aggregate(tx, number)
        _tell_scheduler(request, tx)
    return answer({"aggregate": CREATED.render(made, request.version)})


async def update_aggregate(request: ComputeRequest) -> Response:
    """PUT /os-aggregates/{id}"""
    ask = request.body["aggregate"]
    async with request.service.db.transaction() as tx:
        found = await _find(request, tx)
        values: dict[str, Any] = {"name": ask["name"]} if "name" in ask else {}
        if "availability_zone" in ask:
            values["metadata"] = await _with_zone(request, tx, found, {ZONE_KEY: ask["availability_zone"]})
        await hosts.change_aggregate(tx, found.number, request.service.clock.now(), values)
        _tell_scheduler(request, tx)
        return _shown(request, await _find(request, tx))


async def delete_aggregate(request: ComputeRequest) -> Response:
    """DELETE /os-aggregates/{id}"""
    async with request.service.db.transaction() as tx:
        found = await _find(request, tx)
        if found.hosts:
            raise AggregateHasHosts(id=found.number)
        await hosts.remove_aggregate(tx, found.number)
        _tell_scheduler(request, tx)
    return Response(200, b"", [], None)


async def set_metadata(request: ComputeRequest) -> Response:
    """POST /os-aggregates/{id}/action set_metadata; a null value removes its key"""
    ask: dict[str, Any] = request.body["set_metadata"]["metadata"]
    async with request.service.db.transaction() as tx:
        found = await _find(request, tx)
        values = {"metadata": await _with_zone(request, tx, found, ask)}
        await hosts.change_aggregate(tx, found.number, request.service.clock.now(), values)
        _tell_scheduler(request, tx)
        return _shown(request, await _find(request, tx))


async def _with_zone(
    request: ComputeRequest, tx: Transaction, found: Aggregate, changes: dict[str, Any]
) -> dict[str, str]:
    """The metadata after the changes; a zone may change only where no host is in another, and no server pinned."""
    if ZONE_KEY in changes:
        zone = changes[ZONE_KEY]
        if zone == "":
            raise BadRequest("An availability zone needs a name.")
        zones = await _zones_by_others(tx, found)
        default = request.service.settings.default_zone
        for host in found.hosts:
            if zone is not None and zones.get(host, zone) != zone:
                raise HostInAnotherZone(host=host, zone=zones[host])
            without = zones.get(host, default)
            await _check_move(tx, host, found.zone or without, zone or without)
    merged = {**found.metadata, **changes}
    return {key: value for key, value in merged.items() if value is not None}


async def _zones_by_others(tx: Transaction, found: Aggregate) -> Mapping[str, str]:
    """The zone that each host has by the other aggregates, for those that are in one."""
    return zones_of_hosts(a for a in await hosts.list_aggregates(tx) if a.number != found.number)


async def _check_move(tx: Transaction, host: str, before: str, after: str) -> None:
    """A host with servers keeps its zone: they were promised it. Raises HostHasServers."""
    if before != after and await servers.any_on_host(tx, host):
        raise HostHasServers(host=host)


async def add_host(request: ComputeRequest) -> Response:
    """POST /os-aggregates/{id}/action add_host"""
    host = request.body["add_host"]["host"]
    async with request.service.db.transaction() as tx:
        found = await _find(request, tx)
        if not await hosts.list_services(tx, host=host, binary=hosts.COMPUTE):
            raise HostNotFound(host=host)
        if found.zone is not None and host not in found.hosts:
            zones = await _zones_by_others(tx, found)
            if zones.get(host, found.zone) != found.zone:
                raise HostInAnotherZone(host=host, zone=zones[host])
            await _check_move(tx, host, zones.get(host, request.service.settings.default_zone), found.zone)
        await hosts.add_host(tx, found.number, host)
        _tell_scheduler(request, tx)
        return _shown(request, await _find(request, tx))


async def remove_host(request: ComputeRequest) -> Response:
    """POST /os-aggregates/{id}/action remove_host"""
    host = request.body["remove_host"]["host"]
    async with request.service.db.transaction() as tx:
        found = await _find(request, tx)
        if host not in found.hosts:
            raise AggregateHostNotFound(id=found.number, host=host)
        if found.zone is not None:
            zones = await _zones_by_others(tx, found)
            await _check_move(tx, host, found.zone, zones.get(host, request.service.settings.default_zone))
        await hosts.remove_host(tx, found.number, host)
        _tell_scheduler(request, tx)
        return _shown(request, await _find(request, tx))
