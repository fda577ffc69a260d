"""The reshaper: inventories move between providers together with the allocations against them, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping

from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Response, no_content
from kilonova.placement.api.allocations import claims_of, write
from kilonova.placement.api.inventories import offers_of
from kilonova.placement.errors import ProviderGenerationConflict, UnknownProvider
from kilonova.placement.parts import Asked
from kilonova.placement.store import providers
from kilonova.placement.store import reshaper as store


async def reshape(request: Asked) -> Response:
    """Set the inventories of the named providers and the allocations of the named consumers."""
    body, service = request.body, request.service
    offers = {uuid: offers_of(one, uuid, request.version) for uuid, one in body["inventories"].items()}
    generations = {uuid: one["resource_provider_generation"] for uuid, one in body["inventories"].items()}
    claims = claims_of(request, body["allocations"])

    async def work(tx: Transaction) -> None:
        await _compare(tx, generations)
        await store.reshape(tx, offers, generations, claims, service.clock.now())

    await write(service, work)
    return no_content()


async def _compare(tx: Transaction, given: Mapping[str, int]) -> None:
    actual = await providers.generations(tx, given)
    for uuid, generation in given.items():
        if uuid not in actual:
            raise UnknownProvider(uuid=uuid)
        if actual[uuid] != generation:
            raise ProviderGenerationConflict(uuid=uuid)
