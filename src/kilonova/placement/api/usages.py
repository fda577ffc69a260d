"""Usages: of a provider by class, and of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.web import Response
from kilonova.placement import microversions as mv
from kilonova.placement.api.allocations import UNKNOWN_TYPE
from kilonova.placement.api.answers import dated
from kilonova.placement.api.resource_providers import provider_of
from kilonova.placement.parts import Asked
from kilonova.placement.store import allocations as store

ALL_TYPES = "all"


async def show_provider_usages(request: Asked) -> Response:
    """How much of each inventory is used."""
    provider = await provider_of(request)
    usages = {rc: inventory.used for rc, inventory in provider.inventories.items()}
    return dated(request, {"resource_provider_generation": provider.generation, "usages": usages}, None)


async def show_usages(request: Asked) -> Response:
    """What a project (or one user in it) uses: by class, from 1.38 on by type of consumer and class."""
    project_id, user_id = str(request.q("project_id")), request.q("user_id")
    request.allow({"project_id": project_id, "user_id": request.context.user_id})
    by_type = mv.consumers_have_type(request.version)
    counts: Mapping[str | None, int] = {}
    async with request.service.db.read() as tx:
        rows = await store.usage(tx, project_id, user_id)
        if by_type:
            counts = await store.count_consumers(tx, project_id, user_id)
    if by_type:
        usages: dict[str, Any] = _by_type(rows, counts, request.q("consumer_type"))
    else:
        usages = {}
        for row in rows:
            usages[row.resource_class] = usages.get(row.resource_class, 0) + row.used
    return dated(request, {"usages": usages}, None)


def _by_type(rows: Sequence[store.Usage], counts: Mapping[str | None, int], only: str | None) -> dict[str, Any]:
    shown: dict[str, dict[str, int]] = {}

    def name(kind: str | None) -> str:
        return ALL_TYPES if only == ALL_TYPES else kind or UNKNOWN_TYPE

    for kind, count in counts.items():
        of_type = shown.setdefault(name(kind), {"consumer_count": 0})
        of_type["consumer_count"] += count
    for row in rows:
        of_type = shown[name(row.consumer_type)]
        of_type[row.resource_class] = of_type.get(row.resource_class, 0) + row.used
    return shown if only is None else {kind: of_type for kind, of_type in shown.items() if kind == only}
