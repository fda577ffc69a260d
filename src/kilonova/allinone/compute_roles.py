"""The processes of compute as parts of one: API, conductor, scheduler, agent, over one in-memory bus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kilonova.clients.image import ImageClient, ImageTickets
from kilonova.clients.network import NetworkFacts
from kilonova.clients.placement import PlacementClient
from kilonova.compute import app as compute_api
from kilonova.compute import config as compute_config
from kilonova.compute.agent import config as agent_config
from kilonova.compute.agent.app import Agent
from kilonova.compute.agent.images import ImageCache
from kilonova.compute.agent.records import Records
from kilonova.compute.api import parts as api_parts
from kilonova.compute.conductor import parts as conductor_parts
from kilonova.compute.conductor.app import Conductor
from kilonova.compute.console import app as consoles
from kilonova.compute.console import config as console_config
from kilonova.compute.metadata.app import MetadataParts, build_metadata
from kilonova.compute.orders import OrderOptions
from kilonova.compute.scheduler import config as scheduler_config
from kilonova.compute.scheduler.app import Scheduler
from kilonova.compute.store.tables import operations
from kilonova.kernel.service import Service
from kilonova.kernel.tasks import Journal

if TYPE_CHECKING:
    from kilonova.allinone.cloud import Cloud


@dataclass(slots=True)
class Roles:
    """Started in this order: who answers before who asks."""

    scheduler: Scheduler
    conductor: Conductor
    agent: Agent

    async def start(self) -> None:
        """Serve and work. Raises DriverError when there is no hypervisor."""
        await self.scheduler.start()
        await self.conductor.start()
        await self.agent.start()

    async def stop(self) -> None:
        """Give back what is under way. Guests run on."""
        await self.agent.stop()
        await self.conductor.stop()
        await self.scheduler.stop()


def _with_consoles(settings: compute_config.Settings, public_url: str) -> compute_config.Settings:
    """Consoles are opened through the API's own port, unless the operator named other addresses."""
    at = f"{public_url}/console/"
    return replace(
        settings,
        novnc_url=settings.novnc_url or f"{at}vnc_auto.html",
        serial_url=settings.serial_url or at.replace("http", "ws", 1),
    )


async def build(cloud: Cloud, metadata_secret: str) -> Roles:
    """Build compute's roles and mount its API."""
    settings = _with_consoles(compute_config.settings(cloud.conf), cloud.settings.public_url)
    host, root = cloud.settings.host, cloud.settings.state_dir
    db = cloud.database("compute")
    journal = Journal(db, operations, cloud.bus, cloud.clock)
    image = ImageClient(cloud.client("image"))
    network = cloud.network_client()
    session = cloud.session("nova")
    placement = PlacementClient(cloud.client("placement"), session)
    api = compute_api.build_api(
        api_parts.Parts(db, journal, cloud.bus, cloud.clock, settings, image, network), cloud.authenticate()
    )
    cloud.add("compute", Service("compute", api, None, close=db.close))
    proxy = consoles.build(console_config.settings(cloud.conf), consoles.spend_tokens(db, cloud.clock), host)
    cloud.add("console", Service("console", proxy, proxy, close=proxy.close))
    networks = NetworkFacts(network, cloud.clock.monotonic)
    metadata = MetadataParts(
        db, network, networks, cloud.clock, metadata_secret, OrderOptions(default_zone=settings.default_zone)
    )
    cloud.add("metadata", Service("metadata", build_metadata(metadata), metadata))
    conductor = Conductor(
        conductor_parts.Parts(
            db=db,
            journal=journal,
            bus=cloud.bus,
            clock=cloud.clock,
            network=network,
            networks=networks,
            placement=placement,
            tickets=ImageTickets(image, session, cloud.clock),
            hosts=conductor_parts.Hosts(cloud.clock, settings.service_down_s),
            settings=conductor_parts.ConductorSettings(
                name=f"conductor@{host}",
                host=host,
                max_attempts=cloud.conf.scheduler.max_attempts,
                down_after_s=settings.service_down_s,
                default_zone=settings.default_zone,
                force_config_drive=settings.force_config_drive,
            ),
        )
    )
    limits = scheduler_config.limits(
        cloud.conf, default_zone=settings.default_zone, down_after_s=settings.service_down_s
    )
    scheduler = Scheduler(cloud.bus, placement, cloud.clock, limits, host=host)
    assert cloud.hypervisor is not None
    agent = Agent(
        host=host,
        driver=cloud.hypervisor.guests,
        records=Records(root / "agent" / "guests"),
        images=ImageCache(root / "agent" / "images", image),
        bus=cloud.bus,
        clock=cloud.clock,
        settings=agent_config.host_settings(cloud.conf),
    )
    return Roles(scheduler, conductor, agent)
