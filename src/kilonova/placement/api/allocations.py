"""Allocations: what consumers have taken, by consumer and by provider; and all writes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from kilonova.kernel.db import Overtaken, Transaction
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.web import Response, no_content
from kilonova.placement import microversions as mv
from kilonova.placement.api.answers import dated, latest
from kilonova.placement.errors import BadConsumer, ChangedMeanwhile
from kilonova.placement.model.claims import UNSAID, Claim
from kilonova.placement.parts import Asked, Placement
from kilonova.placement.store import allocations as store
from kilonova.placement.store import providers as provider_store

UNKNOWN_TYPE = "unknown"


async def show_allocations(request: Asked) -> Response:
    """What a consumer has. One that nobody knows has nothing: 200, never 404."""
    service, version = request.service, request.version
    async with service.db.read() as tx:
        consumer, rows = await store.of_consumer(tx, request.params["consumer_uuid"])
    shown: dict[str, Any] = {}
    for row in rows:
        of_provider = shown.setdefault(row.provider, {"generation": row.generation, "resources": {}})
        of_provider["resources"][row.resource_class] = row.used
    content: dict[str, Any] = {"allocations": shown}
    if consumer is not None and mv.allocations_are_keyed_by_provider(version):
        content |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
        if mv.consumers_have_generation(version):
            content["consumer_generation"] = consumer.generation
        if mv.consumers_have_type(version):
            content["consumer_type"] = consumer.consumer_type or UNKNOWN_TYPE
    return dated(request, content, latest(row.created_at for row in rows))


async def list_provider_allocations(request: Asked) -> Response:
    """What is taken from a provider, by consumer."""
    async with request.service.db.read() as tx:
        provider = await provider_store.get(tx, request.params["uuid"])
        rows = await store.of_provider(tx, provider.uuid)
    shown: dict[str, Any] = {}
    for row in rows:
        of_consumer = shown.setdefault(row.consumer, {"resources": {}})
        of_consumer["resources"][row.resource_class] = row.used
        if mv.consumers_have_generation(request.version):
            of_consumer["consumer_generation"] = row.generation
    content = {"allocations": shown, "resource_provider_generation": provider.generation}
    return dated(request, content, latest(row.created_at for row in rows))


async def set_allocations(request: Asked) -> Response:
    """Make a consumer have exactly what the body says."""
    given = request.params["consumer_uuid"]
    if not is_uuid(given):
        raise BadConsumer(uuid=given[:300])
    claim = _claim(request, str(UUID(given)), request.body)
    await write(request.service, lambda tx: store.write(tx, [claim], request.service.clock.now()))
    return no_content()


async def set_allocations_of_many(request: Asked) -> Response:
    """The same for several consumers: all or nothing."""
    claims = claims_of(request, request.body)
    await write(request.service, lambda tx: store.write(tx, claims, request.service.clock.now()))
    return no_content()


async def delete_allocations(request: Asked) -> Response:
    """Take everything from a consumer, whatever its generation."""
    consumer = request.params["consumer_uuid"]
    await write(request.service, lambda tx: store.remove(tx, consumer))
    return no_content()


def claims_of(request: Asked, bodies: Mapping[str, Any]) -> Sequence[Claim]:
    """One claim for each consumer in a body that is keyed by consumer."""
    return [_claim(request, consumer, body) for consumer, body in bodies.items()]


async def write(service: Placement, work: Callable[[Transaction], Awaitable[object]]) -> None:
    """Do ``work`` in a transaction, again when another writer was quicker. Raises ChangedMeanwhile in the end."""
    for attempt in range(service.settings.tries_on_conflict):
        try:
            async with service.db.transaction() as tx:
                if attempt:  # those who lost once go one after another, so that each gets through
                    await tx.alone("claims", "again")
                await work(tx)
            return
        except (ChangedMeanwhile, Overtaken):
            if attempt + 1 == service.settings.tries_on_conflict:
                raise


def _claim(request: Asked, consumer: str, body: Mapping[str, Any]) -> Claim:
    settings = request.service.settings
    allocations = body["allocations"]
    pairs: Iterable[tuple[str, Mapping[str, Any]]]
    if isinstance(allocations, list):  # before 1.12
        pairs = [(str(UUID(one["resource_provider"]["uuid"])), one) for one in allocations]
    else:
        pairs = allocations.items()
    return Claim(
        consumer=consumer,
        allocations={provider: one["resources"] for provider, one in pairs},
        project_id=body.get("project_id", settings.no_project),
        user_id=body.get("user_id", settings.no_user),
        generation=body.get("consumer_generation", UNSAID),
        consumer_type=body.get("consumer_type", UNSAID),
    )
