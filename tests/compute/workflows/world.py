"""A whole compute service with one or more fake hosts, and the neighbours it talks to played from tables."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from kilonova.clients.network import Network, NetworkFacts, NetworkRefused, Port, PortIp, Subnet
from kilonova.clients.placement import Claim, Inventory, NoRoom
from kilonova.compute.agent.app import Agent
from kilonova.compute.agent.images import ImageCache
from kilonova.compute.agent.inventory import HostSettings
from kilonova.compute.agent.records import Records
from kilonova.compute.calls import HEARTBEAT, HOSTS
from kilonova.compute.conductor.app import WORKFLOWS, Conductor
from kilonova.compute.conductor.delete import DELETE_SERVER
from kilonova.compute.conductor.parts import ConductorSettings, Hosts, Parts
from kilonova.compute.model import operations as ops
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.servers import ImageSnapshot, RequestedNetwork, Server, ServerSpec
from kilonova.compute.scheduler.app import Scheduler
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.store import servers, tables
from kilonova.compute.virt.fake import FakeDriver, FakeMachine
from kilonova.kernel.bus import MemoryBus
from kilonova.kernel.context import Context
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.tasks import Journal, Operation, Worker
from kilonova.kernel.testing import FakeClock, memory_database
from kilonova.kernel.testing.workflows import Trouble, run_with_clock

NETWORK, SUBNET = "22222222-2222-4222-8222-222222222222", "44444444-4444-4444-8444-444444444444"
PRIVATE = (RequestedNetwork(network_id=NETWORK),)
PROJECT, USER = "demo", "ann"


@dataclass
class FakeNetwork:
    """The network service: ports in a table."""

    ports_: dict[str, Port] = field(default_factory=dict)
    full: bool = False
    unbindable: set[str] = field(default_factory=set)
    made: int = 0

    async def networks(self, ids: Collection[str], *, token: str | None = None) -> list[Network]:
        return [Network(one, "private", PROJECT, subnet_ids=(SUBNET,), mtu=1442) for one in ids]

    async def subnets(self, ids: Collection[str], *, token: str | None = None) -> list[Subnet]:
        return [Subnet(one, NETWORK, "10.0.0.0/24", 4, gateway_ip="10.0.0.1") for one in ids]

    async def available_networks(self, project_id: str, *, token: str | None = None) -> list[Network]:
        return await self.networks([NETWORK])

    async def ports_of(self, device_id: str, *, token: str | None = None) -> list[Port]:
        return [port for port in self.ports_.values() if port.device_id == device_id]

    async def server_ports(self) -> list[Port]:
        return [port for port in self.ports_.values() if port.device_owner.startswith("compute:")]

    async def create_port(self, *, network_id: str, fixed_ip: str | None = None, **facts: Any) -> Port:
        if self.full:
            raise NetworkRefused(409, "OverQuota", "Quota exceeded for resources: ['port'].")
        self.made += 1
        facts.pop("security_group_ids")
        assert "." not in facts.pop("dns_name", "")
        port = Port(
            id=new_uuid(),
            network_id=network_id,
            mac=f"fa:16:3e:00:00:{self.made:02x}",
            fixed_ips=(PortIp(fixed_ip or f"10.0.0.{self.made + 3}", SUBNET),),
            **facts,
        )
        return self._bound(port)

    async def bind_port(self, port_id: str, **facts: Any) -> Port:
        return self._bound(replace(self.ports_[port_id], **facts))

    async def unbind_port(self, port_id: str) -> None:
        if port_id in self.ports_:
            self.ports_[port_id] = replace(self.ports_[port_id], host="", device_id="", device_owner="")

    async def delete_port(self, port_id: str, *, token: str | None = None) -> None:
        self.ports_.pop(port_id, None)

    def _bound(self, port: Port) -> Port:
        fails = port.host in self.unbindable
        port = replace(port, vif_type="binding_failed" if fails else "ovs", vif_details={"mtu": 1442})
        self.ports_[port.id] = port
        return port


@dataclass
class FakePlacement:
    """Placement: inventories and claims in tables."""

    hosts: dict[str, dict[str, Inventory]] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    race: int = 0

    async def ensure_provider(self, uuid: str, name: str) -> None:
        self.hosts.setdefault(uuid, {})

    async def set_inventories(self, uuid: str, offers: Mapping[str, Inventory]) -> bool:
        self.hosts[uuid] = dict(offers)
        return True

    async def set_traits(self, uuid: str, names: Collection[str]) -> bool:
        return True

    async def offers(self, resources: Mapping[str, int], **_more: Any) -> dict[str, dict[str, dict[str, int]]]:
        return {uuid: {uuid: dict(resources)} for uuid in self.hosts if self._fits(uuid, resources)}

    async def claim(self, *claims: Claim, fresh: bool = False) -> None:
        for claim in claims:
            if self.race:
                self.race -= 1
                raise NoRoom(409, "placement.undefined_code", "the inventory is full")
            for uuid, amounts in claim.uses.items():
                if not self._fits(uuid, amounts, but=claim.consumer):
                    raise NoRoom(409, "placement.undefined_code", "the inventory is full")
            self.claims[claim.consumer] = claim

    async def release(self, consumer: str) -> bool:
        return self.claims.pop(consumer, None) is not None

    async def claimed_from(self, provider: str) -> dict[str, Mapping[str, int]]:
        return {c.consumer: c.uses[provider] for c in self.claims.values() if provider in c.uses}

    def _fits(self, uuid: str, amounts: Mapping[str, int], but: str = "") -> bool:
        used: dict[str, int] = {}
        for consumer, claim in self.claims.items():
            if consumer != but:
                for name, amount in claim.uses.get(uuid, {}).items():
                    used[name] = used.get(name, 0) + amount
        offered = self.hosts[uuid]
        return all(
            name in offered
            and used.get(name, 0) + amount
            <= (offered[name].total - offered[name].reserved) * offered[name].allocation_ratio
            for name, amount in amounts.items()
        )


class FakeTickets:
    async def ticket(self, image_id: str) -> str:
        return f"leave for {image_id}"


class NoImages:
    """The fake driver runs nothing, so it asks for no image."""


class World:
    """Compute with its journal, a scheduler, conductors, and hosts that pretend."""

    others = (DELETE_SERVER,)

    def __init__(self, kind: str = ops.BUILD) -> None:
        self.kind = kind
        self.clock = FakeClock()
        self.bus = MemoryBus()
        self.db = memory_database(tables.metadata, "compute")
        self.journal = Journal(self.db, tables.operations, self.bus, self.clock)
        self.network, self.placement = FakeNetwork(), FakePlacement()
        self.parts = Parts(
            db=self.db,
            journal=self.journal,
            bus=self.bus,
            clock=self.clock,
            network=self.network,  # type: ignore[arg-type]
            networks=NetworkFacts(self.network, self.clock.monotonic),  # type: ignore[arg-type]
            placement=self.placement,
            tickets=FakeTickets(),
            hosts=Hosts(self.clock, 60),
            settings=ConductorSettings(),
        )
        self.conductor = Conductor(self.parts)
        self.scheduler = Scheduler(
            self.bus,
            self.placement,
            self.clock,
            Limits(facts_every_s=0),
            rng=random.Random(1),
        )
        self.agents: dict[str, Agent] = {}
        self._dir = tempfile.TemporaryDirectory(prefix="kilonova-test-")
        self.server_id = ""

    async def up(self, *hosts: str, **machine: Any) -> World:
        self.conductor.listen()
        await self.scheduler.start()
        assert self.scheduler._alive is not None
        self.scheduler._alive.cancel()  # nobody may wait on the clock but the work under test
        for host in hosts or ("host1",):
            await self.add_host(host, **machine)
        return self

    async def add_host(self, host: str, **machine: Any) -> Agent:
        home = Path(self._dir.name) / host
        facts = {"vcpus": 8, "ram_mib": 16384, "disk_gib": 100, **machine}
        agent = Agent(
            host,
            FakeDriver(home / "guests", FakeMachine(hostname=host, **facts)),
            Records(home / "records"),
            ImageCache(home / "images", NoImages()),  # type: ignore[arg-type]
            self.bus,
            self.clock,
            HostSettings(),
        )
        await agent.start()
        for task in agent._tasks:
            task.cancel()  # tests send heartbeats themselves
        self.agents[host] = agent
        self.beat()
        return agent

    def beat(self) -> None:
        """Every living host says so."""
        for agent in self.agents.values():
            assert agent._report is not None
            self.bus.announce(HOSTS, HEARTBEAT, agent._report)

    async def lose(self, host: str) -> Agent:
        """The host goes down: nobody answers, nobody beats."""
        agent = self.agents.pop(host)
        for serving in agent._serving:
            serving.close()
        await self.clock.advance(100)
        self.beat()
        return agent

    def driver(self, host: str = "host1") -> FakeDriver:
        driver = self.agents[host].driver
        assert isinstance(driver, FakeDriver)
        return driver

    # -- servers

    async def ask(self, name: str = "web", *, networks: Any = PRIVATE, **more: Any) -> str:
        """A server that was asked for just now, with its build in the journal; its id."""
        server = a_server(self.clock.now(), name=name, **more)
        async with self.db.transaction() as tx:
            await servers.insert_servers(tx, [server])
            payload = msgspec.to_builtins(ops.Build(networks=networks))
            await self.journal.write(tx, ops.BUILD, server.id, payload=payload, asker=Context())
        self.server_id = server.id
        return server.id

    async def wish(
        self, kind: str, server_id: str, *, overtakes: bool = False, payload: Any = None, **columns: Any
    ) -> int:
        async with self.db.transaction() as tx:
            if columns:
                await servers.change(tx, server_id, self.clock.now(), columns)
            body = msgspec.to_builtins(payload) if payload is not None else {}
            return await self.journal.write(tx, kind, server_id, payload=body, asker=Context(), overtakes=overtakes)

    async def run(self) -> None:
        """Carry out everything that was asked for."""
        flows = {flow.kind: flow for flow in WORKFLOWS}
        await run_with_clock(self.clock, Worker(self.journal, flows, self.parts, "test").drain())

    async def built(self, name: str = "web", **more: Any) -> str:
        server_id = await self.ask(name, **more)
        await self.run()
        return server_id

    async def server(self, server_id: str = "", *, deleted: bool | None = None) -> Server:
        async with self.db.read() as tx:
            found = await servers.get(tx, server_id or self.server_id, deleted=deleted)
        assert found is not None
        return found

    async def history(self, server_id: str = "") -> list[Operation]:
        async with self.db.read() as tx:
            return await self.journal.of(tx, server_id or self.server_id)

    async def guests(self) -> dict[str, str]:
        """Host by server id of every guest on every living host."""
        found = {}
        for host, agent in self.agents.items():
            for guest in await agent.driver.list_guests():
                assert guest.uuid not in found, "a guest on two hosts"
                found[guest.uuid] = host
        return found

    # -- the standing tests

    async def start(self) -> int:
        if self.kind == ops.BUILD:
            server_id = await self.ask()
            return (await self.history(server_id))[0].id
        server_id = await self.built()
        return await self.wish(self.kind, server_id, task_state="deleting", overtakes=True)

    async def overtake(self) -> None:
        await self.wish(ops.DELETE, self.server_id, overtakes=True, task_state="deleting")

    async def begin_life(self) -> None:
        self.beat()

    async def check(self, operation: Operation, trouble: Trouble) -> None:
        await self.check_whole()
        server = await self.server()
        assert server.task_state is None
        assert server.vm_state in ("active", "error", "deleted")
        if operation.kind == ops.BUILD and operation.state == "done":
            assert server.vm_state == "active"
        if operation.kind == ops.BUILD and operation.state == "failed":
            assert server.fault is not None
        if operation.kind == ops.BUILD and operation.state == "cancelled":
            assert server.vm_state == "deleted"
        if operation.kind == ops.DELETE and operation.state == "done":
            assert server.vm_state == "deleted"

    async def check_whole(self) -> None:
        """No guest, port or claim without a server; none of them missing for a server that lives."""
        async with self.db.read() as tx:
            rows = await tx.all(tables.servers.select())
        living = {row.id: row for row in rows if not row.deleted}
        guests = await self.guests()
        placed = {one: row.host for one, row in living.items() if row.host is not None}
        assert guests == placed, "guests are where their servers are"
        assert set(self.placement.claims) == set(placed), "claims are of placed servers"
        owned = {p.id for p in self.network.ports_.values() if p.device_owner.startswith("compute:")}
        cards = {vif["port_id"] for row in living.values() for vif in row.vifs}
        assert owned == cards, "ports are of servers"


def a_server(now: Any, *, name: str = "web", **more: Any) -> Server:
    """A server as the API writes it."""
    flavor = more.pop("flavor", None) or FlavorSnapshot("1", "tiny", vcpus=1, ram_mib=512, disk_gib=1)
    facts: dict[str, Any] = {
        "id": new_uuid(),
        "number": 0,
        "generation": 0,
        "project_id": PROJECT,
        "user_id": USER,
        "name": name,
        "description": None,
        "hostname": name,
        "vm_state": "building",
        "task_state": "scheduling",
        "power_state": 0,
        "flavor": flavor,
        "image": ImageSnapshot("11111111-1111-4111-8111-111111111111", "tiny", "qcow2", "bare"),
        "spec": ServerSpec(),
        "vifs": (),
        "metadata": {},
        "tags": (),
        "created_at": now,
        "updated_at": now,
    }
    return Server(**{**facts, **more})
