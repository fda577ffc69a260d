"""Resource providers: list with filters, show, create, rename and move, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Response, no_content
from kilonova.placement import microversions as mv
from kilonova.placement.api import queries
from kilonova.placement.api.answers import dated, latest, location, path
from kilonova.placement.errors import NoSuchProvider
from kilonova.placement.model.candidates import Group, has_traits
from kilonova.placement.model.provider import Provider
from kilonova.placement.model.world import World
from kilonova.placement.parts import Asked
from kilonova.placement.store import providers as store

_LINKS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("inventories", lambda version: True),
    ("usages", lambda version: True),
    ("aggregates", mv.aggregates_are_linked),
    ("traits", mv.traits_are_linked),
    ("allocations", mv.allocations_are_linked),
)


async def list_providers(request: Asked) -> Response:
    """Those that pass all filters."""
    world = await request.service.snapshot.current()
    found = list(_filter(request, world))
    shown = [_show(request, provider) for provider in found]
    return dated(request, {"resource_providers": shown}, latest(p.updated_at for p in found))


async def show_provider(request: Asked) -> Response:
    """One provider."""
    provider = await provider_of(request)
    return dated(request, _show(request, provider), provider.updated_at)


async def create_provider(request: Asked) -> Response:
    """Until 1.19 an empty 201, later the provider with 200."""
    body, service = request.body, request.service
    uuid = str(UUID(body["uuid"])) if body.get("uuid") else new_uuid()
    parent = body.get("parent_provider_uuid")
    async with service.db.transaction() as tx:
        provider = await store.create(tx, uuid=uuid, name=body["name"], parent=parent, now=service.clock.now())
    where = location(request, "resource_providers", uuid)
    if not mv.created_provider_is_shown(request.version):
        response = no_content([where])
        response.status = 201
        return response
    return dated(request, _show(request, provider), provider.updated_at, headers=[where])


async def update_provider(request: Asked) -> Response:
    """A new name; from 1.14 on also a parent."""
    body, service, uuid = request.body, request.service, request.params["uuid"]
    async with service.db.transaction() as tx:
        provider, now = await store.get(tx, uuid), service.clock.now()
        if "parent_provider_uuid" in body:
            freely = mv.providers_can_be_moved(request.version)
            await store.move(tx, provider, body["parent_provider_uuid"], freely=freely)
        await store.rename(tx, uuid, body["name"], now)
    return await show_provider(request)


async def delete_provider(request: Asked) -> Response:
    """Refused while it has children or allocations."""
    async with request.service.db.transaction() as tx:
        await store.remove(tx, request.params["uuid"])
    return no_content()


async def provider_of(request: Asked) -> Provider:
    """The provider that the path names. Raises NoSuchProvider."""
    world = await request.service.snapshot.current()
    provider = world.providers.get(request.params["uuid"])
    if provider is None:
        raise NoSuchProvider(uuid=request.params["uuid"])
    return provider


def _filter(request: Asked, world: World) -> Iterator[Provider]:
    query, version = request.query, request.version
    name, uuid, in_tree = request.q("name"), request.q("uuid"), request.q("in_tree")
    members, others = queries.member_of(query.get("member_of", ()), version)
    amounts = queries.resources(request.q("resources") or "") if "resources" in query else {}
    wanted = queries.traits(query["required"], version) if "required" in query else queries.Traits()
    queries.know_classes(world, set(amounts))
    queries.know_traits(world, wanted.names())
    group = Group("", amounts, wanted.required, wanted.forbidden)

    found = world.providers
    if in_tree is not None:
        inside = found.get(in_tree)
        found = world.trees[inside.root] if inside is not None else {}
    if uuid is not None:
        found = {uuid: found[uuid]} if uuid in found else {}
    within, without = world.in_all(members), world.in_any(others)
    for provider in found.values():
        if (
            (name is None or provider.name == name)
            and (within is None or provider.uuid in within)
            and provider.uuid not in without
            and all((i := provider.inventories.get(rc)) and i.gives(amount) for rc, amount in amounts.items())
            and has_traits(provider.traits, group)
        ):
            yield provider


def _show(request: Asked, provider: Provider) -> dict[str, Any]:
    here = path(request, "resource_providers", provider.uuid)
    links = [{"rel": "self", "href": here}]
    links += [{"rel": rel, "href": f"{here}/{rel}"} for rel, known in _LINKS if known(request.version)]
    shown: dict[str, Any] = {
        "uuid": provider.uuid,
        "name": provider.name,
        "generation": provider.generation,
        "links": links,
    }
    if mv.providers_are_nested(request.version):
        shown["parent_provider_uuid"] = provider.parent
        shown["root_provider_uuid"] = provider.root
    return shown
