"""Valid things of compute for tests, and the neighbours it asks, played from tables in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import update

from kilonova.clients.image import Image
from kilonova.clients.network import (
    FloatingIp,
    Network,
    NetworkRefused,
    Port,
    PortIp,
    SecurityGroup,
    SecurityRule,
)
from kilonova.compute.api.parts import Parts
from kilonova.compute.app import build_api
from kilonova.compute.config import Settings
from kilonova.compute.model.servers import FixedIp, Vif
from kilonova.compute.store import hosts, servers, tables
from kilonova.kernel.bus.memory import MemoryBus
from kilonova.kernel.db import Database
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.tasks.journal import Journal, Operation
from kilonova.kernel.testing import Answer, FakeClock, TestClient, fake_identity, memory_database

IMAGE = "11111111-1111-4111-8111-111111111111"
NETWORK = "22222222-2222-4222-8222-222222222222"
NOWHERE = "99999999-9999-4999-8999-999999999999"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@home"


@dataclass
class FakeImages:
    """The image service, as far as compute asks it."""

    images: dict[str, Image] = field(default_factory=dict)

    async def get(self, image_id: str, token: str) -> Image | None:
        return self.images.get(image_id)

    @property
    def http(self) -> Any:
        return SimpleNamespace(base_url="http://images")

    async def find(self, query: Any, token: str) -> list[Image]:
        status = dict(query).get("status")
        return [image for image in self.images.values() if status in (None, image.status)]

    async def delete(self, image_id: str, token: str) -> None:
        del self.images[image_id]

    async def change_properties(self, image_id: str, token: str, *, set_to: Any, remove: Any, known: Any) -> Image:
        kept = {key: value for key, value in known.items() if key not in remove}
        self.images[image_id] = replace(self.images[image_id], properties={**kept, **set_to})
        return self.images[image_id]


@dataclass
class FakeNetworks:
    """The network service, as far as compute asks it."""

    known: dict[str, Network] = field(default_factory=dict)
    ports_: dict[str, Port] = field(default_factory=dict)
    groups: list[SecurityGroup] = field(default_factory=list)
    floating: list[FloatingIp] = field(default_factory=list)
    room: int | None = None

    async def networks(self, ids: Any, *, token: str | None = None) -> list[Network]:
        return [self.known[i] for i in ids if i in self.known]

    async def network(self, network_id: str, *, token: str | None = None) -> Network | None:
        return self.known.get(network_id)

    async def visible_networks(self, *, token: str | None = None) -> list[Network]:
        return list(self.known.values())

    async def external_networks(self, *, token: str | None = None) -> list[Network]:
        return [network for network in self.known.values() if network.is_external]

    async def ports(self, ids: Any, *, token: str | None = None) -> list[Port]:
        return [self.ports_[i] for i in ids if i in self.ports_]

    async def available_networks(self, project_id: str, *, token: str | None = None) -> list[Network]:
        return list(self.known.values())

    async def port(self, port_id: str, *, token: str | None = None) -> Port | None:
        return self.ports_.get(port_id)

    async def ports_of(self, device_id: str, *, token: str | None = None) -> list[Port]:
        return [port for port in self.ports_.values() if port.device_id == device_id]

    async def security_groups(self, project_id: str, *, token: str | None = None) -> list[SecurityGroup]:
        return [group for group in self.groups if group.project_id in ("", project_id)]

    async def every_security_group(self, *, token: str | None = None) -> list[SecurityGroup]:
        return self.groups

    async def security_group(self, group_id: str, *, token: str | None = None) -> SecurityGroup | None:
        return next((group for group in self.groups if group.id == group_id), None)

    async def create_security_group(self, name: str, description: str, *, token: str | None = None) -> SecurityGroup:
        self.groups.append(SecurityGroup(new_uuid(), name, "demo", description))
        return self.groups[-1]

    async def update_security_group(
        self, group_id: str, name: str, description: str, *, token: str | None = None
    ) -> SecurityGroup:
        group = replace(self._group(group_id), name=name, description=description)
        self.groups = [group if one.id == group_id else one for one in self.groups]
        return group

    async def delete_security_group(self, group_id: str, *, token: str | None = None) -> None:
        if self._group(group_id).name == "default":
            raise NetworkRefused(409, "SecurityGroupCannotRemoveDefault", "The default group stays.")
        self.groups = [group for group in self.groups if group.id != group_id]

    async def create_security_rule(self, group_id: str, *, token: str | None = None, **rule: Any) -> SecurityRule:
        del rule["ethertype"]
        made = SecurityRule(new_uuid(), group_id, "ingress", **rule)
        group = self._group(group_id)
        self.groups = [replace(g, rules=(*g.rules, made)) if g is group else g for g in self.groups]
        return made

    async def delete_security_rule(self, rule_id: str, *, token: str | None = None) -> None:
        left = [replace(g, rules=tuple(r for r in g.rules if r.id != rule_id)) for g in self.groups]
        if left == self.groups:
            raise NetworkRefused(404, "SecurityGroupRuleNotFound", "There is no such rule.")
        self.groups = left

    def _group(self, group_id: str) -> SecurityGroup:
        found = next((group for group in self.groups if group.id == group_id), None)
        if found is None:
            raise NetworkRefused(404, "SecurityGroupNotFound", "There is no such group.")
        return found

    async def floating_ips_of(self, project_id: str, *, token: str | None = None) -> list[FloatingIp]:
        return self.floating

    async def floating_ip(self, floating_id: str, *, token: str | None = None) -> FloatingIp | None:
        return next((f for f in self.floating if f.id == floating_id), None)

    async def create_floating_ip(self, network_id: str, *, token: str | None = None) -> FloatingIp:
        self.floating.append(FloatingIp(new_uuid(), f"203.0.113.{len(self.floating) + 1}", None, None, network_id))
        return self.floating[-1]

    async def delete_floating_ip(self, floating_id: str, *, token: str | None = None) -> None:
        self.floating = [f for f in self.floating if f.id != floating_id]

    async def room_for_ports(self, project_id: str, *, token: str | None = None) -> int | None:
        return self.room

    async def floating_ip_at(self, address: str, *, token: str | None = None) -> FloatingIp | None:
        return next((f for f in self.floating if f.address == address), None)

    async def floating_ips(self, port_ids: Any, *, token: str | None = None) -> list[FloatingIp]:
        return [f for f in self.floating if f.port_id in port_ids]

    async def set_port_groups(self, port_id: str, group_ids: Any, *, token: str | None) -> None:
        self.ports_[port_id] = replace(self.ports_[port_id], security_group_ids=tuple(group_ids))

    async def set_floating_ip(self, floating_id: str, port_id: str | None, fixed_ip: str | None, *, token: Any) -> None:
        self.floating = [
            replace(f, port_id=port_id, fixed_ip=fixed_ip) if f.id == floating_id else f for f in self.floating
        ]


def image(image_id: str = IMAGE, **more: Any) -> Image:
    """An active image of 20 MB."""
    facts: dict[str, Any] = {
        "id": image_id,
        "name": "tiny",
        "status": "active",
        "disk_format": "qcow2",
        "container_format": "bare",
        "size_bytes": 20 << 20,
        "min_disk_gib": 0,
        "min_ram_mib": 0,
        "checksum": None,
        "hash_algorithm": None,
        "hash_value": None,
        "owner": "demo",
    }
    return Image(**{**facts, **more})


def vif(address: str = "10.0.0.4", *floating: str, network: str = "private") -> Vif:
    """A card with one address."""
    return Vif(
        port_id="33333333-3333-4333-8333-333333333333",
        network_id=NETWORK,
        network_name=network,
        mac="fa:16:3e:00:00:01",
        fixed_ips=(FixedIp(address, "44444444-4444-4444-8444-444444444444", floating),),
    )


def port(port_id: str, **more: Any) -> Port:
    """A free port of project demo."""
    facts: dict[str, Any] = {
        "id": port_id,
        "network_id": NETWORK,
        "project_id": "demo",
        "mac": "fa:16:3e:00:00:02",
        "fixed_ips": (PortIp("10.0.0.9", "44444444-4444-4444-8444-444444444444"),),
    }
    return Port(**{**facts, **more})


@dataclass
class Cloud:
    """Compute's API with an empty database, one image, one network, and nobody behind it."""

    db: Database
    clock: FakeClock
    bus: MemoryBus
    journal: Journal
    images: FakeImages
    network: FakeNetworks
    api: TestClient
    settings: Settings

    async def flavor(self, flavor_id: str = "1", name: str = "tiny", **more: Any) -> Answer:
        body = {"id": flavor_id, "name": name, "ram": 512, "vcpus": 1, "disk": 1, **more}
        return await self.api.post("/v2.1/flavors", json={"flavor": body})

    async def boot(
        self, name: str = "web", *, token: str = "member", version: str = "2.37", hints: Any = None, **more: Any
    ) -> Answer:
        """Ask for a server with the usual flavor, image, and no network."""
        body = {"name": name, "flavorRef": "1", "imageRef": IMAGE, **more}
        if version >= "2.37" or len(version) > 4:
            body.setdefault("networks", "none")
        whole: dict[str, Any] = {"server": body}
        if hints:
            whole["os:scheduler_hints"] = hints
        return await self.api.post("/v2.1/servers", json=whole, token=token, version=version)

    async def server(self, name: str = "web", **columns: Any) -> str:
        """A server that was built: on a host, active, with an address."""
        answer = await self.boot(name)
        assert answer.status == 202, answer.json
        server_id = str(answer.json["server"]["id"])
        await self.settle(server_id, **columns)
        return server_id

    async def settle(self, server_id: str, **columns: Any) -> None:
        """What the conductor would have made of it by now."""
        values: dict[str, Any] = {
            "vm_state": "active",
            "task_state": None,
            "power_state": 1,
            "host": "host1",
            "node": "host1",
            "zone": "nova",
            "launched_at": self.clock.now(),
            **servers.vif_values((vif(),)),
            **columns,
        }
        async with self.db.transaction() as tx:
            assert await servers.change(tx, server_id, self.clock.now(), values)
            ours = tables.operations.c.subject == server_id
            await tx.run(update(tables.operations).where(ours).values(state="done", finished_at=self.clock.now()))

    async def row(self, server_id: str) -> Any:
        async with self.db.read() as tx:
            return await servers.find(tx, server_id, deleted=None, bulky=True)

    async def operations(self, server_id: str) -> list[Operation]:
        """What was asked of a server, oldest first."""
        async with self.db.read() as tx:
            return list(reversed(await self.journal.of(tx, server_id)))

    async def host(self, name: str = "host1", seen_at: datetime | None = None) -> None:
        """A host with a living agent."""
        now = seen_at or self.clock.now()
        async with self.db.transaction() as tx:
            number = len(await hosts.list_services(tx)) + 1
            await hosts.save_service(
                tx,
                id=f"aaaaaaaa-0000-4000-8000-{number:012}",
                host=name,
                binary="nova-compute",
                topic="compute",
                now=now,
            )
            await hosts.save_host(
                tx,
                now,
                {
                    "id": f"bbbbbbbb-0000-4000-8000-{number:012}",
                    "host": name,
                    "hypervisor_hostname": name,
                    "hypervisor_type": "QEMU",
                    "hypervisor_version": 7002000,
                    "host_ip": "127.0.0.1",
                    "vcpus": 8,
                    "ram_mib": 16384,
                    "ram_used_mib": 512,
                    "disk_gib": 100,
                    "cpu_info": {"arch": "x86_64"},
                    "supported": [["x86_64", "qemu", "hvm"]],
                    "uptime": "3 days",
                },
            )


def cloud(**settings: Any) -> Cloud:
    """A new cloud; keyword arguments are Settings."""
    db, clock, bus = memory_database(tables.metadata, "compute"), FakeClock(), MemoryBus()
    journal = Journal(db, tables.operations, bus, clock)
    images = FakeImages({IMAGE: image()})
    network = FakeNetworks({NETWORK: Network(NETWORK, "private", "demo", subnet_ids=("s",))})
    chosen = Settings(**settings)
    parts = Parts(db, journal, bus, clock, chosen, images, network)  # type: ignore[arg-type]
    app = build_api(parts, fake_identity())
    return Cloud(db, clock, bus, journal, images, network, TestClient(app), chosen)
