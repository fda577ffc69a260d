"""The parts that every handler of compute finds as `request.service`."""

from __future__ import annotations

from dataclasses import dataclass

from kilonova.clients.image import ImageClient
from kilonova.clients.network import NetworkClient
from kilonova.compute.config import Settings
from kilonova.kernel.bus import Bus
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.tasks.journal import Journal
from kilonova.kernel.web import Request


@dataclass(frozen=True, slots=True)
class Parts:
    """Compute's own database and journal, the bus to its agents, and the neighbours it asks for facts."""

    db: Database
    journal: Journal
    bus: Bus
    clock: Clock
    settings: Settings
    image: ImageClient
    network: NetworkClient


ComputeRequest = Request[Parts]
