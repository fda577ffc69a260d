"""Valid things of Placement, and a service to send requests to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kilonova.kernel.db import Database
from kilonova.kernel.testing import Answer, FakeClock, TestClient, fake_identity, memory_database
from kilonova.placement.app import build, prepare
from kilonova.placement.config import Settings
from kilonova.placement.model.provider import Inventory, Provider
from kilonova.placement.model.world import World
from kilonova.placement.parts import Placement
from kilonova.placement.store.tables import metadata

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = "1.39"


def uid(name: str) -> str:
    """The same UUID for the same name, so that stories can speak of things by name."""
    return str(uuid5(NAMESPACE_URL, name))


def inventory(resource_class: str, total: int, **more: Any) -> Inventory:
    values = {
        "reserved": 0, "min_unit": 1, "max_unit": 2**31 - 1, "step_size": 1, "allocation_ratio": 1.0, "used": 0,
        **more,
    }  # fmt: skip
    return Inventory(resource_class=resource_class, total=total, updated_at=MOMENT, **values)


def provider(
    name: str,
    offers: Mapping[str, int | Inventory] | None = None,
    *,
    parent: Provider | None = None,
    traits: str = "",
    aggregates: str = "",
) -> Provider:
    """``traits`` and ``aggregates``: names with spaces between."""
    inventories = {
        rc: offer if isinstance(offer, Inventory) else inventory(rc, offer) for rc, offer in (offers or {}).items()
    }
    return Provider(
        uuid=name,
        name=name,
        generation=0,
        parent=None if parent is None else parent.uuid,
        root=name if parent is None else parent.root,
        created_at=MOMENT,
        updated_at=MOMENT,
        inventories=inventories,
        traits=frozenset(traits.split()),
        aggregates=frozenset(aggregates.split()),
    )


def world(*providers: Provider) -> World:
    made = World()
    made.replace(providers)
    return made


@dataclass(slots=True)
class Cloud:
    """A Placement service in process."""

    client: TestClient
    parts: Placement
    clock: FakeClock
    app: Any

    async def send(self, method: str, path: str, json: Any = None, *, version: str = LATEST, **more: Any) -> Answer:
        return await self.client.request(method, path, json=json, version=version, **more)

    async def provider(
        self,
        name: str,
        offers: Mapping[str, int | Mapping[str, Any]] | None = None,
        *,
        parent: str | None = None,
        traits: list[str] | None = None,
        aggregates: list[str] | None = None,
    ) -> str:
        """Create a provider called ``name``; its uuid."""
        uuid = uid(name)
        body: dict[str, Any] = {"name": name, "uuid": uuid}
        if parent is not None:
            body["parent_provider_uuid"] = uid(parent)
        made = await self.send("POST", "/resource_providers", body)
        assert made.status == 200, made.json
        generation = 0
        if offers:
            rows = {rc: {"total": o} if isinstance(o, int) else dict(o) for rc, o in offers.items()}
            put = await self.send(
                "PUT",
                f"/resource_providers/{uuid}/inventories",
                {"resource_provider_generation": generation, "inventories": rows},
            )
            assert put.status == 200, put.json
            generation = put.json["resource_provider_generation"]
        for word, names in (("traits", traits), ("aggregates", aggregates)):
            if names:
                given = {word: names, "resource_provider_generation": generation}
                put = await self.send("PUT", f"/resource_providers/{uuid}/{word}", given)
                assert put.status == 200, put.json
                generation = put.json["resource_provider_generation"]
        return uuid

    async def claim(
        self, consumer: str, allocations: Mapping[str, Mapping[str, int]], generation: int | None = None, **more: Any
    ) -> Answer:
        """Put allocations by provider name for the consumer called ``consumer``."""
        body = {
            "allocations": {uid(name): {"resources": resources} for name, resources in allocations.items()},
            "project_id": "p", "user_id": "u", "consumer_generation": generation, "consumer_type": "INSTANCE", **more,
        }  # fmt: skip
        return await self.send("PUT", f"/allocations/{uid(consumer)}", body)


async def cloud(db: Database | None = None, **settings: Any) -> Cloud:
    """A fresh service, on a database in memory unless one is given."""
    clock = FakeClock()
    db = db or memory_database(metadata, "placement")
    await prepare(db, clock)
    service = build(Settings(**settings), db, clock, authenticate=fake_identity(), random=Random(1))
    return Cloud(TestClient(service.app, service_type="placement"), service.parts, clock, service.app)
