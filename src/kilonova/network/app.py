"""Builds the network service from its parts."""

from __future__ import annotations

import logging
import random
from pathlib import Path

from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database
from kilonova.kernel.policy import Policies
from kilonova.kernel.service import Service
from kilonova.kernel.tasks.sweep import Sweeper
from kilonova.kernel.web import NEUTRON, ServiceApp, build_app
from kilonova.kernel.web.app import Authenticate
from kilonova.network.config import Settings
from kilonova.network.drivers.driver import NetworkDriver
from kilonova.network.policies import RULES
from kilonova.network.routes import ROUTES
from kilonova.network.service import Network
from kilonova.network.workflows.events import PortEvents, Send, send_nowhere
from kilonova.network.workflows.realise import Realiser
from kilonova.network.workflows.sweeps import AGENTS_EVERY_S, SWEEPS, report_agents

LOG = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "store" / "migrations"


def build(
    settings: Settings,
    db: Database,
    clock: Clock,
    *,
    driver: NetworkDriver,
    authenticate: Authenticate,
    send: Send = send_nowhere,
    policy_file: Path | None = None,
    chance: random.Random | None = None,
) -> Service:
    """The network service on ``db``, whose schema must be there (``kernel.db.upgrade`` with :data:`MIGRATIONS`).

    ``driver`` carries the packets; it is started and stopped here. ``send`` hands events of ports to compute.
    """
    events = PortEvents(
        db, clock, send if settings.notify_compute else send_nowhere, interval_s=settings.notify_interval_s
    )
    driver.on_port_event(events.listen)
    parts = Network(
        db=db,
        driver=driver,
        realiser=Realiser(db, driver, clock, settings.dns_domain),
        events=events,
        settings=settings,
        clock=clock,
        chance=chance or random.Random(),
    )
    spec = ServiceApp(
        name="network",
        routes=ROUTES,
        dialect=NEUTRON,
        policies=Policies(RULES, file=policy_file, enforce_scope=True),
        authenticate=authenticate,
    )

    async def carry() -> None:
        await driver.start()
        await Sweeper(SWEEPS, parts, clock).run()

    async def watch_hosts() -> None:
        while True:
            try:
                await report_agents(parts)
            except Exception:  # the owner of this loop
                LOG.exception("the hosts could not be noted")
            await clock.sleep(AGENTS_EVERY_S)

    async def close() -> None:
        await driver.stop()
        await db.close()

    return Service(
        name="network",
        app=build_app(spec, parts),
        parts=parts,
        background=[events.run, events.deliver, carry, watch_hosts],
        close=close,
    )
