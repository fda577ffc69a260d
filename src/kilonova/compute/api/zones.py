"""Availability zones, as aggregates make them."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.model.hosts import ServiceRecord, zones_of_hosts
from kilonova.compute.store import hosts
from kilonova.kernel.clock import iso_micros
from kilonova.kernel.web import Response, answer


async def _services_by_zone(request: ComputeRequest) -> dict[str, list[ServiceRecord]]:
    settings = request.service.settings
    async with request.service.db.read() as tx:
        records = await hosts.list_services(tx)
        zones = zones_of_hosts(await hosts.list_aggregates(tx))
    found: dict[str, list[ServiceRecord]] = {}
    for record in records:
        ours = record.binary == hosts.COMPUTE
        zone = zones.get(record.host, settings.default_zone) if ours else settings.internal_zone
        found.setdefault(zone, []).append(record)
    return found


def _split(request: ComputeRequest, by_zone: dict[str, list[ServiceRecord]]) -> tuple[list[str], list[str]]:
    """Zones with at least one host that is switched on, and the others."""
    usable = [zone for zone, records in by_zone.items() if any(not record.disabled for record in records)]
    return sorted(usable), sorted(set(by_zone) - set(usable))


async def list_zones(request: ComputeRequest) -> Response:
    """GET /os-availability-zone"""
    by_zone = await _services_by_zone(request)
    by_zone.pop(request.service.settings.internal_zone, None)
    usable, others = _split(request, by_zone)
    rows = [(zone, True) for zone in usable] + [(zone, False) for zone in others]
    shown = [{"zoneName": zone, "zoneState": {"available": state}, "hosts": None} for zone, state in rows]
    return answer({"availabilityZoneInfo": shown})


async def list_zones_in_detail(request: ComputeRequest) -> Response:
    """GET /os-availability-zone/detail"""
    by_zone = await _services_by_zone(request)
    usable, others = _split(request, by_zone)
    shown: list[dict[str, Any]] = [
        {"zoneName": zone, "zoneState": {"available": True}, "hosts": _hosts(request, by_zone[zone])} for zone in usable
    ]
    shown += [{"zoneName": zone, "zoneState": {"available": False}, "hosts": None} for zone in others]
    return answer({"availabilityZoneInfo": shown})


def _hosts(request: ComputeRequest, records: list[ServiceRecord]) -> dict[str, dict[str, Any]]:
    now, down_after = request.service.clock.now(), request.service.settings.service_down_s
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.disabled:
            continue
        found.setdefault(record.host, {})[record.binary] = {
            "available": record.is_up(now, down_after),
            "active": not record.disabled,
            "updated_at": iso_micros(record.last_seen_at),
        }
    return found
