"""The parts of the network service, as handlers and workflows find them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.network.config import Settings
from kilonova.network.drivers.driver import NetworkDriver
from kilonova.network.store import ports
from kilonova.network.workflows.events import PortEvents
from kilonova.network.workflows.realise import Realiser


@dataclass(frozen=True, slots=True)
class Network:
    """``chance`` chooses addresses and MACs: seeded in tests."""

    db: Database
    driver: NetworkDriver
    realiser: Realiser
    events: PortEvents
    settings: Settings
    clock: Clock
    chance: random.Random


@dataclass(frozen=True, slots=True)
class PortOwner:
    """Whose port an address in a network is: what a metadata agent asks."""

    port_id: str
    device_id: str
    device_owner: str
    project_id: str
    mac: str


async def owner_of_address(db: Database, network_id: str, ip_address: str) -> PortOwner | None:
    """The port that has ``ip_address`` in a network, or None."""
    async with db.read() as tx:
        row = await ports.lookup(tx, network_id, ip_address)
    if row is None:
        return None
    return PortOwner(row.id, row.device_id, row.device_owner, row.project_id, row.mac_address)
