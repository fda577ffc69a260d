"""What the handlers of placement find as ``request.service``."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.web import Request
from kilonova.placement.config import Settings
from kilonova.placement.store.snapshot import Snapshot


@dataclass(slots=True)
class Placement:
    """The parts of the service. ``random`` is given so that tests can repeat what it does."""

    db: Database
    snapshot: Snapshot
    clock: Clock
    settings: Settings
    random: Random


Asked = Request[Placement]
