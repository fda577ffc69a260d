"""GET /allocation_candidates: what could be claimed, and a summary of the providers in question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from kilonova.kernel.microversion import Version
from kilonova.kernel.web import Response
from kilonova.placement import microversions as mv
from kilonova.placement.api import queries
from kilonova.placement.api.answers import dated
from kilonova.placement.model.candidates import Ask, Candidate, find
from kilonova.placement.model.provider import Provider
from kilonova.placement.model.world import World
from kilonova.placement.parts import Asked

_encode = msgspec.json.Encoder().encode


async def list_candidates(request: Asked) -> Response:
    """Candidates and summaries, both empty when nothing fits."""
    service, settings = request.service, request.service.settings
    ask = queries.ask(request.query, request.version)
    world = await service.snapshot.current()
    queries.know_names(world, ask)

    def shuffled(roots: list[str]) -> list[str]:
        service.random.shuffle(roots)
        return roots

    found = find(
        world,
        ask,
        arrange=shuffled if settings.randomize else None,
        breadth_first=settings.breadth_first,
        most=settings.most_candidates,
    )
    content = {
        "allocation_requests": _requests(found, request.version),
        "provider_summaries": _summaries(world, ask, found, request.version),
    }
    return dated(request, content, None)


def _requests(found: Sequence[Candidate], version: Version) -> list[dict[str, Any]]:
    if not mv.allocations_are_keyed_by_provider(version):
        return [
            {"allocations": [{"resource_provider": {"uuid": u}, "resources": r} for u, r in one.uses.items()]}
            for one in found
        ]
    if not mv.candidates_have_mappings(version):
        return [{"allocations": {u: {"resources": r} for u, r in one.uses.items()}} for one in found]
    return [
        {"allocations": {u: {"resources": r} for u, r in one.uses.items()}, "mappings": one.mappings} for one in found
    ]


def _summaries(world: World, ask: Ask, found: Sequence[Candidate], version: Version) -> Mapping[str, Any]:
    used = dict.fromkeys(uuid for one in found for uuid in one.uses)
    if ask.nested:
        roots = dict.fromkeys(world.providers[uuid].root for uuid in used)
        return {uuid: _raw(world, provider) for root in roots for uuid, provider in world.trees[root].items()}
    classes = None
    if not mv.summaries_have_all_classes(version):
        classes = {rc for group in ask.groups for rc in group.resources}
    return {uuid: _summary(world.providers[uuid], version, classes) for uuid in used}


def _raw(world: World, provider: Provider) -> msgspec.Raw:
    """The summary as JSON, kept until the provider changes: most of an answer's bytes are traits that do not."""
    kept: msgspec.Raw | None = world.notes.get(provider.uuid)
    if kept is None:
        kept = msgspec.Raw(_encode(_summary(provider, mv.SPOKEN.max, None)))
        world.notes[provider.uuid] = kept
    return kept


def _summary(provider: Provider, version: Version, classes: Iterable[str] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "resources": {
            rc: {"capacity": inventory.capacity, "used": inventory.used}
            for rc, inventory in provider.inventories.items()
            if classes is None or rc in classes
        }
    }
    if mv.summaries_have_traits(version):
        shown["traits"] = sorted(provider.traits)
    if mv.candidates_are_nested(version):
        shown["parent_provider_uuid"] = provider.parent
        shown["root_provider_uuid"] = provider.root
    return shown
