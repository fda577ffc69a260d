"""Every option of the cloud, by group: what one INI file may hold."""

from __future__ import annotations

from kilonova.allinone import config as allinone
from kilonova.compute import config as compute
from kilonova.compute.agent import config as agent
from kilonova.compute.console import config as console
from kilonova.compute.scheduler import config as scheduler
from kilonova.compute.virt.libvirt import config as libvirt
from kilonova.identity import config as identity
from kilonova.image import config as image
from kilonova.kernel.config import Group
from kilonova.network import config as network
from kilonova.network.agent import config as network_agent
from kilonova.placement import config as placement

ALL_GROUPS: tuple[Group, ...] = (
    *allinone.GROUPS,
    *identity.GROUPS,
    *placement.GROUPS,
    *image.GROUPS,
    *network.GROUPS,
    *network_agent.GROUPS,
    *compute.GROUPS,
    *scheduler.GROUPS,
    *agent.GROUPS,
    *console.GROUPS,
    *libvirt.GROUPS,
)
