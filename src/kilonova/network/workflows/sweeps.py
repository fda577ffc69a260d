"""Sweeps: needs that were left over, rows against what the driver carries, statuses against what it reports."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from kilonova.kernel.db import Transaction
from kilonova.kernel.tasks.sweep import Finding, Sweep
from kilonova.network.drivers.driver import Difference, DriverError, HostAgent, Kind, repair_of
from kilonova.network.service import Network
from kilonova.network.store import agents, needs, ports, wanted
from kilonova.network.store.needs import Key

LOG = logging.getLogger(__name__)

NEEDS_EVERY_S, DATAPLANE_EVERY_S, STATUS_EVERY_S, AGENTS_EVERY_S = 2.0, 60.0, 30.0, 10.0


async def find_needs(service: Network) -> Sequence[Finding]:
    """Changes that the driver has not been told of."""
    async with service.db.read() as tx:
        left = await needs.pending(tx, 1000)
    met = service.realiser.met
    now = service.clock.now()
    due = [row for row in left if needs.is_due(row, now) and met.get((Kind(row.kind), row.object_id)) != row.wanted]
    fresh = [row for row in due if (now - row.since).total_seconds() > 1]
    if not fresh:
        if left:
            await service.realiser.catch_up()
        return []
    why = next((row.error for row in fresh if row.error), "")
    return [Finding("needs", "driver", f"{len(fresh)} changes are not carried yet: {why or 'interrupted'}")]


async def repair_needs(service: Network, finding: Finding) -> None:
    """Tell the driver."""
    await service.realiser.catch_up()


async def find_differences(service: Network) -> Sequence[Finding]:
    """Objects that the driver carries otherwise than the rows say."""
    async with service.db.read() as tx:
        keys = await wanted.all_keys(tx)
        specs = await wanted.specs(tx, keys, service.settings.dns_domain)
        left = await needs.pending(tx, 100_000)
    met = service.realiser.met
    pending = {key for row in left if met.get(key := (Kind(row.kind), row.object_id)) != row.wanted}
    try:
        found = await service.driver.differences(specs.values())
    except DriverError as error:
        LOG.warning("the driver cannot compare now: %s", error)
        return []
    return [
        Finding("dataplane", f"{d.kind}/{d.id}", f"{d.kind} {d.id} is {d.how}: {d.detail}", {"difference": d})
        for d in found
        if (d.kind, d.id) not in pending
    ]


async def repair_difference(service: Network, finding: Finding) -> None:
    """Look again, then put or delete."""
    difference: Difference = finding.facts["difference"]
    key: Key = (difference.kind, difference.id)
    async with service.db.read() as tx:
        spec = (await wanted.specs(tx, [key], service.settings.dns_domain)).get(key)
    await service.driver.apply([repair_of(difference, spec)])


async def find_statuses(service: Network) -> Sequence[Finding]:
    """Ports whose status is not what the driver reports."""
    try:
        up = await service.driver.ports_up()
    except DriverError as error:
        LOG.warning("the driver cannot tell which ports are up: %s", error)
        return []
    async with service.db.read() as tx:
        statuses = await ports.statuses(tx)
    return [
        Finding("status", port_id, f"port {port_id} is {status}, the driver says otherwise", {"up": up[port_id]})
        for port_id, status in statuses.items()
        if port_id in up and (status == "ACTIVE") != up[port_id]
    ]


async def repair_status(service: Network, finding: Finding) -> None:
    """As if the driver had reported it now."""
    await service.events.note({finding.subject: bool(finding.facts["up"])})


async def report_agents(service: Network) -> None:
    """Note the hosts that the driver knows; those it no longer knows are dead."""
    try:
        known = await service.driver.agents()
    except DriverError as error:
        LOG.warning("the driver cannot tell its hosts: %s", error)
        return
    async with service.db.transaction() as tx:
        await _note_agents(tx, service, known)


async def _note_agents(tx: Transaction, service: Network, known: Sequence[HostAgent]) -> None:
    now, zone = service.clock.now(), service.settings.availability_zone
    seen = set()
    for host in known:
        kind = "OVN Controller Gateway agent" if host.gateway else "OVN Controller agent"
        seen.add((kind, host.host))
        configurations: dict[str, Any] = {
            "chassis_name": host.chassis,
            "bridge-mappings": ",".join(host.physical_networks),
            "availability_zone": zone,
        }
        await agents.report(tx, kind, host.host, alive=host.alive, configurations=configurations, now=now)
    for row in await agents.all_of(tx):
        if (row.agent_type, row.host) not in seen and row.alive:
            await agents.change(tx, row.id, {"alive": False})


SWEEPS = (
    Sweep("changes the driver was not told of", NEEDS_EVERY_S, find_needs, repair_needs),
    Sweep("rows and dataplane", DATAPLANE_EVERY_S, find_differences, repair_difference, patience=2),
    Sweep("statuses of ports", STATUS_EVERY_S, find_statuses, repair_status, patience=2),
)
