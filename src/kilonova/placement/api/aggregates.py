"""Aggregates of a provider. An aggregate is a UUID that providers have in common, nothing more."""

from __future__ import annotations

from typing import Any

from kilonova.kernel.web import Response
from kilonova.placement import microversions as mv
from kilonova.placement.api.answers import dated
from kilonova.placement.api.resource_providers import provider_of
from kilonova.placement.errors import ProviderGenerationConflict
from kilonova.placement.parts import Asked
from kilonova.placement.store import providers as store


async def list_aggregates(request: Asked) -> Response:
    """The aggregates of a provider."""
    provider = await provider_of(request)
    return _answer(request, sorted(provider.aggregates), provider.generation)


async def set_aggregates(request: Asked) -> Response:
    """Until 1.18 a bare list that does not mind the generation; later an object with it."""
    service, body, uuid = request.service, request.body, request.params["uuid"]
    minds = mv.aggregates_have_generation(request.version)
    aggregates: list[str] = body["aggregates"] if minds else body
    async with service.db.transaction() as tx:
        provider = await store.get(tx, uuid)
        if minds and provider.generation != body["resource_provider_generation"]:
            raise ProviderGenerationConflict(uuid=uuid)
        generation = await store.set_aggregates(tx, provider, aggregates, service.clock.now(), raise_generation=minds)
    return _answer(request, aggregates, generation)


def _answer(request: Asked, aggregates: list[str], generation: int) -> Response:
    shown: dict[str, Any] = {"aggregates": aggregates}
    if mv.aggregates_have_generation(request.version):
        shown["resource_provider_generation"] = generation
    return dated(request, shown, None)
