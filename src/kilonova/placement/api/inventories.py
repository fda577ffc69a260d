"""Inventories of a provider, all together or one class at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.errors import BadRequest, MethodNotAllowed
from kilonova.kernel.microversion import Version
from kilonova.kernel.web import Response, no_content
from kilonova.placement import microversions as mv
from kilonova.placement.api.answers import dated, latest, location
from kilonova.placement.api.resource_providers import provider_of
from kilonova.placement.api.schemas import MAX_INT
from kilonova.placement.errors import BadCapacity, NoSuchInventory, ProviderGenerationConflict
from kilonova.placement.model.provider import Inventory
from kilonova.placement.parts import Asked
from kilonova.placement.store import inventories as store
from kilonova.placement.store import providers as provider_store

DEFAULTS: Mapping[str, Any] = {
    "reserved": 0,
    "min_unit": 1,
    "max_unit": MAX_INT,
    "step_size": 1,
    "allocation_ratio": 1.0,
}


async def list_inventories(request: Asked) -> Response:
    """All inventories of a provider by class."""
    provider = await provider_of(request)
    shown = {
        "resource_provider_generation": provider.generation,
        "inventories": {rc: _show(inventory) for rc, inventory in provider.inventories.items()},
    }
    return dated(request, shown, latest(i.updated_at for i in provider.inventories.values()))


async def show_inventory(request: Asked) -> Response:
    """One inventory."""
    return await _answer(request, request.params["resource_class"])


async def create_inventory(request: Asked) -> Response:
    """Add one inventory. Its class is in the body; a generation there is not looked at, as upstream."""
    service, uuid, resource_class = request.service, request.params["uuid"], request.body["resource_class"]
    offer = _offer(request.body, uuid, resource_class, request.version)
    async with service.db.transaction() as tx:
        provider = await provider_store.get(tx, uuid)
        await store.add(tx, provider, resource_class, offer, service.clock.now())
    where = location(request, "resource_providers", uuid, "inventories", resource_class)
    response = await _answer(request, resource_class)
    response.status = 201
    response.headers.append(where)
    return response


async def replace_inventories(request: Asked) -> Response:
    """Make these the provider's inventories."""
    service, uuid, body = request.service, request.params["uuid"], request.body
    offers = offers_of(body, uuid, request.version)
    async with service.db.transaction() as tx:
        provider = await provider_store.get(tx, uuid)
        _compare(uuid, provider.generation, body["resource_provider_generation"])
        await store.replace(tx, provider, offers, service.clock.now())
    return await list_inventories(request)


async def update_inventory(request: Asked) -> Response:
    """Change one inventory that is there."""
    service, uuid, resource_class = request.service, request.params["uuid"], request.params["resource_class"]
    offer = _offer(request.body, uuid, resource_class, request.version)
    async with service.db.transaction() as tx:
        provider = await provider_store.get(tx, uuid)
        _compare(uuid, provider.generation, request.body["resource_provider_generation"])
        if not await store.change(tx, provider, resource_class, offer, service.clock.now()):
            raise BadRequest(f"Resource provider {uuid} has no inventory of class {resource_class[:255]} to change.")
    return await _answer(request, resource_class)


async def delete_inventory(request: Asked) -> Response:
    """Delete one inventory, unless it is in use."""
    service = request.service
    async with service.db.transaction() as tx:
        provider = await provider_store.get(tx, request.params["uuid"])
        await store.remove(tx, provider, request.params["resource_class"], service.clock.now())
    return no_content()


async def delete_inventories(request: Asked) -> Response:
    """Delete all inventories, unless one is in use."""
    service = request.service
    async with service.db.transaction() as tx:
        provider = await provider_store.get(tx, request.params["uuid"])
        await store.replace(tx, provider, {}, service.clock.now())
    return no_content()


async def refuse_delete_inventories(request: Asked) -> Response:
    """Before 1.5 there was no such method here: 405, where other resources answer 404."""
    raise MethodNotAllowed(method="DELETE", allowed="GET, POST, PUT", headers={"Allow": "GET, POST, PUT"})


def offers_of(body: Mapping[str, Any], provider: str, version: Version) -> dict[str, store.Offer]:
    """The inventories in a body, completed with defaults and checked. Raises BadCapacity."""
    return {rc: _offer(given, provider, rc, version) for rc, given in body["inventories"].items()}


def _offer(given: Mapping[str, Any], provider: str, resource_class: str, version: Version) -> store.Offer:
    offer = {**DEFAULTS, **given}
    capacity = int((offer["total"] - offer["reserved"]) * offer["allocation_ratio"])
    may_be_empty = mv.all_may_be_reserved(version)
    if capacity < 0 or (capacity == 0 and not may_be_empty):
        raise BadCapacity(
            resource_class=resource_class,
            provider=provider,
            reserved=offer["reserved"],
            relation="at most" if may_be_empty else "less than",
            total=offer["total"],
        )
    return offer


def _compare(uuid: str, actual: int, given: int) -> None:
    if actual != given:
        raise ProviderGenerationConflict(uuid=uuid)


async def _answer(request: Asked, resource_class: str) -> Response:
    provider = await provider_of(request)
    inventory = provider.inventories.get(resource_class)
    if inventory is None:
        raise NoSuchInventory(provider=provider.uuid, resource_class=resource_class[:255])
    shown = {**_show(inventory), "resource_provider_generation": provider.generation}
    return dated(request, shown, inventory.updated_at)


def _show(inventory: Inventory) -> dict[str, Any]:
    return {name: getattr(inventory, name) for name in store.FIELDS}
