"""What runs guests and carries their traffic on this host: libvirt with OVN, or simulations of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonova.allinone.config import Settings
from kilonova.compute.virt.driver import Driver
from kilonova.compute.virt.fake import FakeDriver, FakeMachine
from kilonova.kernel.clock import Clock
from kilonova.kernel.http import Client
from kilonova.kernel.process import Supervisor
from kilonova.network.agent.config import driver_settings, engine_settings
from kilonova.network.drivers.driver import NetworkDriver


@dataclass(slots=True)
class Hypervisor:
    """``start`` brings the dataplane up before anything is plugged; ``stop`` leaves guests and daemons running."""

    guests: Driver
    network: NetworkDriver
    engine: Any = None
    metadata: Any = None

    async def start(self) -> None:
        if self.engine is not None:
            await self.engine.start()

    async def serve_metadata(self) -> None:
        """Answer 169.254.169.254 in every network; compute's metadata service must be there."""
        if self.metadata is not None:
            await self.metadata.start()

    async def stop(self) -> None:
        if self.metadata is not None:
            await self.metadata.stop()
        if self.engine is not None:
            await self.engine.stop()


def guests_dir(root: Path) -> Path:
    """Where guests' disks are."""
    return root / "guests"


def build(settings: Settings, conf: Any, clock: Clock, metadata: Client, secret: str) -> Hypervisor:
    """The parts that ``compute.hypervisor`` names. ``metadata``: a client of compute's metadata service."""
    root = settings.state_dir
    if settings.hypervisor == "fake":
        from kilonova.network.drivers.fake import FakeDriver as FakeNetwork

        machine = FakeMachine(hostname=settings.host)
        return Hypervisor(FakeDriver(guests_dir(root), machine), FakeNetwork())
    return _real(settings, conf, clock, metadata, secret)


def _real(settings: Settings, conf: Any, clock: Clock, metadata: Client, secret: str) -> Hypervisor:
    from kilonova.compute.virt.libvirt import config as libvirt_config
    from kilonova.compute.virt.libvirt.driver import LibvirtDriver
    from kilonova.compute.virt.vif import OvsVifs
    from kilonova.network.agent.engine import Engine
    from kilonova.network.agent.metadata import MetadataAgent
    from kilonova.network.drivers.ovn.driver import OvnDriver

    root = settings.state_dir
    engine = Engine(engine_settings(conf, root / "network", settings.host))
    netns = engine.settings.netns or None
    driver = LibvirtDriver(
        libvirt_config.settings(conf),
        cloud=str(root),
        directory=guests_dir(root),
        state_dir=root / "libvirt",
        run_dir=root / "run",
        supervisor=Supervisor(),
        vifs=OvsVifs(engine.ovs_connection, netns),
        netns=netns,
        hostname=settings.host,
    )
    agent = MetadataAgent(engine, metadata, secret, clock)
    network = OvnDriver(
        engine.connections, driver_settings(conf, tso=engine.datapath.tso), engine.abilities, clock=clock
    )
    return Hypervisor(driver, network, engine, agent)
