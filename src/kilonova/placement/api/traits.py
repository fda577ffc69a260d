"""Traits: the names, and which of them a provider has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Response, no_content
from kilonova.placement.api.answers import dated, dated_empty, latest, location
from kilonova.placement.api.resource_providers import provider_of
from kilonova.placement.api.schemas import CUSTOM_NAME
from kilonova.placement.errors import BadCustomName, NoSuchTrait, ProviderGenerationConflict
from kilonova.placement.model.world import World
from kilonova.placement.parts import Asked
from kilonova.placement.store import names, providers
from kilonova.placement.store.tables import traits as table

_CUSTOM = re.compile(CUSTOM_NAME.removesuffix("$") + r"\Z")


async def list_traits(request: Asked) -> Response:
    """All names, or those that ``name`` (``in:A,B`` or ``startswith:PREFIX``) and ``associated`` leave."""
    world = await request.service.snapshot.current()
    found = list(_filter(request, world))
    return dated(request, {"traits": found}, latest(world.traits[name] for name in found))


async def show_trait(request: Asked) -> Response:
    """204 when the name exists."""
    name = request.params["name"]
    since = (await request.service.snapshot.current()).traits.get(name)
    if since is None:
        raise NoSuchTrait(names=name[:255])
    return dated_empty(request, since)


async def ensure_trait(request: Asked) -> Response:
    """201 when the custom trait was made, 204 when it was there."""
    service, name = request.service, request.params["name"]
    if not is_custom(name):
        raise BadCustomName(what=names.TRAIT, name=name[:300])
    async with service.db.transaction() as tx:
        made, since = await names.ensure(tx, table, names.TRAIT, name, service.clock.now())
    return dated_empty(request, since, 201 if made else 204, [location(request, "traits", name)])


async def delete_trait(request: Asked) -> Response:
    """Delete a custom trait that no provider has."""
    async with request.service.db.transaction() as tx:
        await names.delete_trait(tx, request.params["name"])
    return no_content()


async def list_provider_traits(request: Asked) -> Response:
    """The traits of a provider."""
    provider = await provider_of(request)
    world = await request.service.snapshot.current()
    return _answer(request, world, sorted(provider.traits), provider.generation)


async def set_provider_traits(request: Asked) -> Response:
    """Give the provider exactly these traits."""
    service, body, uuid = request.service, request.body, request.params["uuid"]
    async with service.db.transaction() as tx:
        provider = await providers.get(tx, uuid)
        if provider.generation != body["resource_provider_generation"]:
            raise ProviderGenerationConflict(uuid=uuid)
        generation = await providers.set_traits(tx, provider, body["traits"], service.clock.now())
    world = await service.snapshot.current()
    return _answer(request, world, sorted(set(body["traits"])), generation)


async def delete_provider_traits(request: Asked) -> Response:
    """Take all traits from the provider."""
    service = request.service
    async with service.db.transaction() as tx:
        provider = await providers.get(tx, request.params["uuid"])
        await providers.set_traits(tx, provider, (), service.clock.now())
    return no_content()


def is_custom(name: str) -> bool:
    """Whether this is a well-formed name of a custom trait or class."""
    return len(name) <= 255 and _CUSTOM.match(name) is not None


def _filter(request: Asked, world: World) -> Iterable[str]:
    found: Iterable[str] = world.traits
    name, associated = request.q("name"), request.q("associated")
    if name is not None:
        operator, colon, value = name.partition(":")
        if not colon:
            raise BadRequest(
                "Badly formatted name parameter. Expected ?name=in:NAME1,NAME2 or ?name=startswith:PREFIX. "
                f'Got: "{name[:300]}"'
            )
        if operator == "in":
            wanted = set(value.split(","))
            found = [n for n in found if n in wanted]
        elif operator == "startswith":
            found = [n for n in found if n.startswith(value)]
    if associated is not None:
        if associated.lower() not in ("true", "false"):
            raise BadRequest('The query parameter "associated" only accepts "true" or "false"')
        used = {trait for provider in world.providers.values() for trait in provider.traits}
        found = [n for n in found if (n in used) == (associated.lower() == "true")]
    return found


def _answer(request: Asked, world: World, shown: list[str], generation: int) -> Response:
    content: dict[str, Any] = {"traits": shown, "resource_provider_generation": generation}
    return dated(request, content, latest(world.traits[name] for name in shown if name in world.traits))
