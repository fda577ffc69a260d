"""What the steps of the conductor's workflows work with, and small reads that many of them share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kilonova.clients.network import NetworkClient, NetworkFacts
from kilonova.clients.placement import Claim, Inventory
from kilonova.compute.calls import GuestOrder, HostReport, ServiceAlive
from kilonova.compute.model.servers import Server
from kilonova.compute.orders import OrderOptions, fresh_order
from kilonova.compute.store import servers
from kilonova.kernel.bus import Bus
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database, Transaction
from kilonova.kernel.errors import Error, ServiceUnavailable
from kilonova.kernel.tasks import Journal, Work


class Placement(Protocol):
    """What the conductor asks of Placement: ``clients.placement.PlacementClient``, or a fake."""

    async def claim(self, *claims: Claim, fresh: bool = False) -> None: ...

    async def release(self, consumer: str) -> bool: ...

    async def claimed_from(self, provider: str) -> dict[str, Mapping[str, int]]: ...

    async def ensure_provider(self, uuid: str, name: str) -> object: ...

    async def set_inventories(self, uuid: str, offers: Mapping[str, Inventory]) -> bool: ...

    async def set_traits(self, uuid: str, names: Collection[str]) -> bool: ...


class Tickets(Protocol):
    """Leave for a host to download an image: ``clients.image.ImageTickets``, or a fake."""

    async def ticket(self, image_id: str) -> str: ...


class ServerGone(Error):
    """The server was deleted before the work could begin."""

    status = 404
    text = "Server {server_id} is gone."


class HostsNotHeardYet(ServiceUnavailable):
    """We have only just begun to listen: hosts that live may not have said so."""

    text = "No host has reported yet."


class NotOnHost(Error):
    """The server was never built, or has no host any more."""

    status = 409
    text = "Server {server_id} is on no host."


@dataclass(frozen=True, slots=True)
class ConductorSettings:
    """``max_attempts``: hosts tried for one build. Seconds: ``down_after_s`` of silence until a host is down."""

    name: str = "conductor"
    host: str = "localhost"
    max_attempts: int = 3
    workers: int = 32
    down_after_s: float = 60.0
    seen_every_s: float = 20.0
    default_zone: str = "nova"
    force_config_drive: bool = False
    dns_domain: str = "novalocal"
    keep_history_days: int = 90

    @property
    def orders(self) -> OrderOptions:
        return OrderOptions(self.force_config_drive, self.default_zone, self.dns_domain)


@dataclass(slots=True)
class Hosts:
    """Which hosts live, by their heartbeats: in memory, written down only now and then."""

    clock: Clock
    down_after_s: float
    reports: dict[str, HostReport] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    services: dict[tuple[str, str], ServiceAlive] = field(default_factory=dict)
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.clock.monotonic()

    @property
    def may_still_be_coming(self) -> bool:
        """Whether we have not listened for long enough to know which hosts live."""
        return self.clock.monotonic() - self.since < 30

    def hear(self, report: HostReport) -> None:
        self.reports[report.host] = report
        self.heard[report.host] = self.clock.monotonic()
        self.unwritten.add(report.host)

    def hear_service(self, service: ServiceAlive) -> None:
        self.services[(service.binary, service.host)] = service

    def is_up(self, host: str) -> bool:
        heard = self.heard.get(host)
        return heard is not None and self.clock.monotonic() - heard <= self.down_after_s


@dataclass(slots=True)
class Parts:
    """Held by the conductor alone: the database, the journal, and the service's credentials."""

    db: Database
    journal: Journal
    bus: Bus
    clock: Clock
    network: NetworkClient
    networks: NetworkFacts
    placement: Placement
    tickets: Tickets
    hosts: Hosts
    settings: ConductorSettings = field(default_factory=ConductorSettings)


async def order_now(parts: Parts, server: Server) -> GuestOrder:
    """The order of a server that exists, with its ports as they are now."""
    return await fresh_order(parts.network, parts.networks, parts.settings.orders, server)


async def server_of(work: Work[Parts], *, also_deleted: bool = False) -> Server:
    """The server that the operation is about, read once for all steps. Raises ServerGone."""
    known: Server | None = work.memo.get("server")
    if known is None:
        async with work.parts.db.read() as tx:
            known = await servers.get(tx, work.subject, deleted=None if also_deleted else False)
        if known is None:
            raise ServerGone(server_id=work.subject)
        work.memo["server"] = known
    return known


def change_server(work: Work[Parts], **values: Any) -> None:
    """Set columns of the server in the transaction that records this step. One that is gone stays gone."""

    async def write(tx: Transaction) -> None:
        await servers.change(tx, work.subject, work.parts.clock.now(), values)

    work.also(write)
