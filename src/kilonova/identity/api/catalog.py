"""Regions, services and endpoints."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api.listing import Ask, collection, filters, merged, split, url, window
from kilonova.identity.errors import InUse, NoSuch, Taken, UnknownReference
from kilonova.identity.model.catalog import is_valid_template
from kilonova.identity.model.nouns import Endpoint, Region, Service
from kilonova.identity.store import catalog
from kilonova.identity.store.catalog import ENDPOINTS, REGIONS, SERVICES
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_REGION = ("description", "parent_region_id")
_SERVICE = ("type", "name", "description", "enabled")
_ENDPOINT = ("interface", "service_id", "url", "region_id", "region", "enabled")


def region_body(request: Ask, region: Region) -> dict[str, Any]:
    """A region on the wire."""
    found = {"id": region.id, "description": region.description, "parent_region_id": region.parent_region_id}
    return {**region.extra, **found, "links": {"self": url(request, f"/regions/{region.id}")}}


async def list_regions(request: Ask) -> Response:
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await REGIONS.page(tx, filters(request, "parent_region_id"), limit=limit, marker=marker)
    return collection(request, "regions", (region_body(request, r) for r in found.items), more=found.more)


async def show_region(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"region": region_body(request, await _region(request, tx))})


async def create_region(request: Ask) -> Response:
    """By POST with an id or without, by PUT with the id in the path."""
    asked = request.body["region"]
    in_path = request.params.get("region_id")
    if in_path and asked.get("id") not in (None, in_path):
        raise BadRequest("The id in the body differs from the one in the path.")
    own, extra = split(asked, *_REGION)
    region = Region(
        in_path or asked.get("id") or new_hex(), own.get("description") or "", own.get("parent_region_id"), extra
    )
    async with request.service.write() as tx:
        await _check_region(tx, region.parent_region_id)
        if await REGIONS.get(tx, region.id) is not None:
            raise Taken(what="region", name=region.id)
        await REGIONS.add(tx, region)
    return created({"region": region_body(request, region)})


async def update_region(request: Ask) -> Response:
    own, extra = split(request.body["region"], *_REGION)
    async with request.service.write() as tx:
        region = await _region(request, tx)
        if own.get("parent_region_id"):
            await _check_region(tx, own["parent_region_id"])
            await _refuse_circle(tx, region.id, own["parent_region_id"])
        if "description" in own:
            own["description"] = own["description"] or ""
        await REGIONS.change(tx, region.id, {**own, "extra": merged(region.extra, extra)})
        after = await _region(request, tx)
    return answer({"region": region_body(request, after)})


async def delete_region(request: Ask) -> Response:
    async with request.service.write() as tx:
        region = await _region(request, tx)
        if await catalog.has_children(tx, region.id):
            raise InUse(what="region", id=region.id, why="other regions are in it.")
        if await catalog.is_used(tx, region.id):
            raise InUse(what="region", id=region.id, why="endpoints or limits are in it.")
        await REGIONS.remove(tx, region.id)
    return no_content()


async def _refuse_circle(tx: Transaction, region_id: str, parent_id: str) -> None:
    above: str | None = parent_id
    while above is not None:
        if above == region_id:
            raise BadRequest("A region cannot be inside itself.")
        parent = await REGIONS.get(tx, above)
        above = parent.parent_region_id if parent is not None else None


async def _check_region(tx: Transaction, region_id: str | None) -> None:
    if region_id is not None and await REGIONS.get(tx, region_id) is None:
        raise UnknownReference(what="region", id=region_id)


async def _region(request: Ask, tx: Transaction) -> Region:
    region_id = request.params["region_id"]
    region = await REGIONS.get(tx, region_id)
    if region is None:
        raise NoSuch(what="region", id=region_id)
    return region


def service_body(request: Ask, service: Service) -> dict[str, Any]:
    """A service on the wire; name and description only if it has them."""
    found: dict[str, Any] = {"id": service.id, "type": service.type, "enabled": service.enabled}
    found |= {n: v for n, v in (("name", service.name), ("description", service.description)) if v is not None}
    return {**service.extra, **found, "links": {"self": url(request, f"/services/{service.id}")}}


async def list_services(request: Ask) -> Response:
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await SERVICES.page(tx, filters(request, "type", "name", "enabled"), limit=limit, marker=marker)
    return collection(request, "services", (service_body(request, s) for s in found.items), more=found.more)


async def show_service(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"service": service_body(request, await _service(tx, request.params["service_id"]))})


async def create_service(request: Ask) -> Response:
    own, extra = split(request.body["service"], *_SERVICE)
    service = Service(new_hex(), own["type"], own.get("name"), own.get("description"), own.get("enabled", True), extra)
    async with request.service.write() as tx:
        await SERVICES.add(tx, service)
    return created({"service": service_body(request, service)})


async def update_service(request: Ask) -> Response:
    own, extra = split(request.body["service"], *_SERVICE)
    async with request.service.write() as tx:
        service = await _service(tx, request.params["service_id"])
        await SERVICES.change(tx, service.id, {**own, "extra": merged(service.extra, extra)})
        after = await _service(tx, service.id)
    return answer({"service": service_body(request, after)})


async def delete_service(request: Ask) -> Response:
    """Its endpoints and registered limits go with it."""
    async with request.service.write() as tx:
        service = await _service(tx, request.params["service_id"])
        await SERVICES.remove(tx, service.id)
    return no_content()


async def _service(tx: Transaction, service_id: str) -> Service:
    service = await SERVICES.get(tx, service_id)
    if service is None:
        raise NoSuch(what="service", id=service_id)
    return service


def endpoint_body(request: Ask, endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint on the wire."""
    found = {
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region_id": endpoint.region_id,
        "region": endpoint.region_id,
        "service_id": endpoint.service_id,
        "url": endpoint.url,
        "enabled": endpoint.enabled,
    }
    return {**endpoint.extra, **found, "links": {"self": url(request, f"/endpoints/{endpoint.id}")}}


async def list_endpoints(request: Ask) -> Response:
    limit, marker = window(request)
    wanted = filters(request, "interface", "service_id", "region_id", "enabled")
    async with request.service.db.read() as tx:
        found = await ENDPOINTS.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "endpoints", (endpoint_body(request, e) for e in found.items), more=found.more)


async def show_endpoint(request: Ask) -> Response:
    async with request.service.db.read() as tx:
        return answer({"endpoint": endpoint_body(request, await _endpoint(request, tx))})


async def create_endpoint(request: Ask) -> Response:
    """A region that is not there yet is made, as upstream does."""
    own, extra = _endpoint_members(request)
    endpoint = Endpoint(
        id=new_hex(),
        service_id=own["service_id"],
        interface=own["interface"],
        region_id=own.get("region_id"),
        url=own["url"],
        enabled=own.get("enabled", True),
        extra=extra,
    )
    async with request.service.write() as tx:
        await _check_places(tx, own)
        await ENDPOINTS.add(tx, endpoint)
    return created({"endpoint": endpoint_body(request, endpoint)})


async def update_endpoint(request: Ask) -> Response:
    own, extra = _endpoint_members(request)
    async with request.service.write() as tx:
        endpoint = await _endpoint(request, tx)
        await _check_places(tx, own)
        await ENDPOINTS.change(tx, endpoint.id, {**own, "extra": merged(endpoint.extra, extra)})
        after = await _endpoint(request, tx)
    return answer({"endpoint": endpoint_body(request, after)})


async def delete_endpoint(request: Ask) -> Response:
    async with request.service.write() as tx:
        endpoint = await _endpoint(request, tx)
        await ENDPOINTS.remove(tx, endpoint.id)
    return no_content()


def _endpoint_members(request: Ask) -> tuple[dict[str, Any], dict[str, Any]]:
    own, extra = split(request.body["endpoint"], *_ENDPOINT)
    legacy = own.pop("region", None)
    if legacy is not None:
        own.setdefault("region_id", legacy)
    if "url" in own and not is_valid_template(own["url"]):
        raise BadRequest("The url has a substitution that cannot be filled.")
    return own, extra


async def _check_places(tx: Transaction, own: dict[str, Any]) -> None:
    if "service_id" in own and await SERVICES.get(tx, own["service_id"]) is None:
        raise UnknownReference(what="service", id=own["service_id"])
    region_id = own.get("region_id")
    if region_id is not None and await REGIONS.get(tx, region_id) is None:
        await REGIONS.add(tx, Region(region_id, "", None, {}))


async def _endpoint(request: Ask, tx: Transaction) -> Endpoint:
    endpoint_id = request.params["endpoint_id"]
    endpoint = await ENDPOINTS.get(tx, endpoint_id)
    if endpoint is None:
        raise NoSuch(what="endpoint", id=endpoint_id)
    return endpoint
