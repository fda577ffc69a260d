"""Taking a cloud down: what runs beside our process (guests, daemons, namespaces, taps) goes, its data stays."""

from __future__ import annotations

from typing import Any

from kilonova.allinone.config import Settings
from kilonova.allinone.hypervisor import guests_dir
from kilonova.allinone.state_dir import StateDir
from kilonova.kernel.process import Supervisor, running_in, stop_process


async def tear_down(conf: Any, settings: Settings, state: StateDir) -> list[str]:
    """Remove everything but data; what could not be removed is told in sentences. May be repeated."""
    if settings.hypervisor == "fake":
        return []
    from kilonova.compute.virt.driver import DriverError
    from kilonova.compute.virt.libvirt import config as libvirt_config
    from kilonova.compute.virt.libvirt.driver import LibvirtDriver
    from kilonova.compute.virt.vif import OvsVifs
    from kilonova.network.agent.config import engine_settings
    from kilonova.network.agent.engine import Engine

    root, left = state.root, []
    engine = Engine(engine_settings(conf, root / "network", settings.host))
    netns = engine.settings.netns or None
    supervisor, vifs = Supervisor(), OvsVifs(engine.ovs_connection, netns)
    driver = LibvirtDriver(
        libvirt_config.settings(conf),
        cloud=str(root),
        directory=guests_dir(root),
        state_dir=root / "libvirt",
        run_dir=root / "run",
        supervisor=supervisor,
        vifs=vifs,
        netns=netns,
        hostname=settings.host,
    )
    if running_in(root / "run"):
        try:
            await driver.open()
            for guest in await driver.list_guests():
                await driver.power_off(guest.uuid)
                await vifs.unplug_all(guest.uuid)
            await driver.close()
        except DriverError as error:
            left.append(f"guests: {error}")
    await supervisor.aclose()
    for one in running_in(root / "run"):
        await stop_process(one)
    try:
        await engine.teardown()
    except OSError as error:
        left.append(f"network: {error}")
    return left
