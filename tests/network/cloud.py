"""A network service in memory with the driver that carries nothing, and short ways to ask it for things."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.kernel.service import Service
from kilonova.kernel.testing import Answer, FakeClock, TestClient, fake_identity, memory_database
from kilonova.network.app import build
from kilonova.network.config import QUOTAS, Settings
from kilonova.network.drivers.driver import Kind, PortEvent
from kilonova.network.drivers.fake import FakeDriver
from kilonova.network.service import Network
from kilonova.network.store.tables import metadata
from kilonova.network.workflows.events import ServerEvent

ADMIN, MEMBER, OTHER, READER, SERVICE = "admin:ops", "member:demo", "member:rival", "reader:demo", "service:compute"


@dataclass
class Cloud:
    """One network service and its callers."""

    service: Service
    driver: FakeDriver
    clock: FakeClock
    client: TestClient
    told: list[ServerEvent] = field(default_factory=list)
    reports: list[PortEvent] = field(default_factory=list)

    @property
    def parts(self) -> Network:
        found: Network = self.service.parts
        return found

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = MEMBER, **more: Any) -> Answer:
        return await self.client.request(method, f"/v2.0/{path}", json=body, token=token, **more)

    async def ok(self, method: str, path: str, body: Any = None, *, token: str = MEMBER) -> Any:
        reply = await self.ask(method, path, body, token=token)
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.json}"
        return reply.json

    async def make(self, noun: str, *, token: str = MEMBER, **attributes: Any) -> Any:
        path = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}
        plural = {"rbac_policy": "rbac-policies"}.get(noun, path.get(noun, f"{noun}s"))
        return (await self.ok("POST", plural, {noun: attributes}, token=token))[noun]

    async def refused(self, status: int, kind: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        reply = await self.ask(method, path, body, **more)
        assert (reply.status, reply.json["NeutronError"]["type"]) == (status, kind), reply.json
        return reply.json["NeutronError"]

    async def network(self, cidr: str = "10.0.0.0/24", *, token: str = MEMBER, **attributes: Any) -> tuple[Any, Any]:
        network = await self.make("network", token=token, **attributes)
        subnet = await self.make("subnet", token=token, network_id=network["id"], cidr=cidr)
        return network, subnet

    async def outside(self, cidr: str = "203.0.113.0/24") -> tuple[Any, Any]:
        network = await self.make(
            "network",
            token=ADMIN,
            name="outside",
            **{
                "router:external": True,
                "provider:network_type": "flat",
                "provider:physical_network": "public",
            },
        )
        subnet = await self.make("subnet", token=ADMIN, network_id=network["id"], cidr=cidr, enable_dhcp=False)
        return network, subnet

    async def note_reports(self) -> None:
        """What the background task does with the driver's reports."""
        reported = {event.port_id: event.up for event in self.reports}
        self.reports.clear()
        await self.parts.events.note(reported)

    def carried(self, kind: Kind) -> set[str]:
        return {object_id for there, object_id in self.driver.objects if there is kind}


def make_cloud(hosts: Sequence[str] = ("one", "two"), *, quotas: dict[str, int] | None = None, **more: Any) -> Cloud:
    """A fresh one; the clock stands still."""
    clock, driver = FakeClock(), FakeDriver(hosts=tuple(hosts))
    told: list[ServerEvent] = []

    async def tell(events: Sequence[ServerEvent]) -> None:
        told.extend(events)

    service = build(
        Settings(quotas={**QUOTAS, **(quotas or {})}, **more),
        memory_database(metadata, "network"),
        clock,
        driver=driver,
        authenticate=fake_identity(),
        send=tell,
        chance=random.Random(7),
    )
    cloud = Cloud(service, driver, clock, TestClient(service.app, service_type="network"), told)
    driver.on_port_event(cloud.reports.append)
    return cloud
