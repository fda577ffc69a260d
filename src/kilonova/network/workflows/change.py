"""One API change: its transaction, what it touched, and the retry when two requests chose the same address."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from kilonova.kernel.context import Context
from kilonova.kernel.db import Overtaken, Row, Transaction
from kilonova.kernel.errors import ServiceUnavailable
from kilonova.network import errors
from kilonova.network.config import Settings
from kilonova.network.drivers.driver import Kind
from kilonova.network.store import needs, quotas
from kilonova.network.store.needs import Key
from kilonova.network.store.standard import Clash
from kilonova.network.workflows.events import ServerEvent

if TYPE_CHECKING:
    from kilonova.network.service import Network

T = TypeVar("T")
ATTEMPTS = 10


class TooBusy(ServiceUnavailable):
    text = "Too many requests changed the same thing at once; try again."


@dataclass(slots=True)
class Change:
    """One API change in the making. ``touch`` what the driver must hear of."""

    tx: Transaction
    context: Context
    settings: Settings
    now: datetime
    chance: random.Random
    network_types: tuple[str, ...]
    physical_networks: tuple[str, ...]
    overlay_mtu: int
    physical_mtu: int
    touched: dict[Key, None] = field(default_factory=dict)
    news: list[ServerEvent] = field(default_factory=list)

    def touch(self, kind: Kind, *object_ids: str) -> None:
        """The driver must hear of these objects: new, changed or gone."""
        for object_id in object_ids:
            self.touched[kind, object_id] = None

    def tell_compute(self, name: str, port: Row[Any]) -> None:
        """Compute must hear that a port of a server changed, unless it is the one who changed it."""
        if port.device_owner.startswith("compute:") and port.device_id and "service" not in self.context.roles:
            self.news.append(ServerEvent(name, port.device_id, port.id))

    async def check_quota(self, project_id: str, resource: str, more: int = 1) -> None:
        """Raise OverQuota when ``more`` of the resource would exceed the project's limit."""
        if not project_id:
            return
        limits = await quotas.limits_of(self.tx, project_id)
        limit = limits.get(resource, self.settings.quotas[resource])
        if limit < 0:
            return
        await self.tx.alone("quota", project_id)
        if await quotas.used(self.tx, project_id, resource) + more > limit:
            raise errors.OverQuota(resources=[resource])


async def carry_out(service: Network, context: Context, work: Callable[[Change], Awaitable[T]]) -> T:
    """Run ``work`` in one transaction, then tell the driver. Tries again from the start when another got in between."""
    abilities, settings = service.driver.abilities, service.settings
    for _ in range(ATTEMPTS):
        settled = service.realiser.met
        try:
            async with service.db.transaction() as tx:
                change = Change(
                    tx,
                    context,
                    settings,
                    service.clock.now(),
                    service.chance,
                    abilities.network_types,
                    abilities.physical_networks,
                    min(abilities.tenant_mtu, settings.overlay_mtu or abilities.tenant_mtu),
                    min(abilities.provider_mtu, settings.physical_mtu),
                )
                result = await work(change)
                await service.realiser.settle(tx)
                written = await needs.write(tx, change.touched, change.now) if change.touched else {}
        except BaseException as error:
            service.realiser.unsettle(settled)
            if isinstance(error, Clash | Overtaken):
                continue
            raise
        service.events.post(change.news)
        if written:
            await service.realiser.carry_out(written)
        return result
    raise TooBusy()
