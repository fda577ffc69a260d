"""What the conductor does for the agents: registers hosts, notes that they live, hears what guests did by
themselves, and tells the scheduler what only the database knows.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import os_resource_classes as orc

from kilonova.clients.placement import Inventory
from kilonova.compute.calls import (
    AggregateFacts,
    CloudFacts,
    Done,
    HostReport,
    HostUse,
    PowerChanged,
    Registered,
    ServiceAlive,
    ServiceFacts,
    Wanted,
)
from kilonova.compute.conductor.parts import Parts, order_now
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.operations import STOP
from kilonova.compute.model.servers import Server
from kilonova.compute.model.states import PowerState, TaskState, VmState
from kilonova.compute.store import hosts, placing, servers
from kilonova.kernel.db import Transaction
from kilonova.kernel.ids import new_uuid

LOG = logging.getLogger(__name__)

_RUNS = frozenset((VmState.ACTIVE, VmState.RESCUED, VmState.RESIZED))


async def register_host(parts: Parts, report: HostReport) -> Registered:
    """Provider and inventory in Placement, service and host in the database; the guests that belong there."""
    await parts.placement.ensure_provider(report.id, report.hypervisor_hostname)
    await parts.placement.set_inventories(report.id, inventories(report))
    await parts.placement.set_traits(report.id, report.traits)
    now = parts.clock.now()
    async with parts.db.transaction() as tx:
        await hosts.save_service(tx, id=new_uuid(), host=report.host, binary=hosts.COMPUTE, topic="compute", now=now)
        await hosts.save_host(tx, now, host_values(report, _uses(await placing.counts(tx)).get(report.host)))
        there = await servers.on_host(tx, report.host)
        known = await placing.states(tx, report.servers)
        under_way = {operation.subject for operation in await parts.journal.open_operations(tx)}
    parts.hosts.hear(report)
    LOG.info("host %s is registered: %d VCPUs, %d servers belong there", report.host, report.vcpus, len(there))
    has = set(report.servers)
    wanted = [
        Wanted(server_id=server.id, is_to_run=is_to_run(server), order=await order_now(parts, server))
        for server in there
        if server.id not in has and server.id not in under_way and server.launched_at is not None
    ]
    gone = tuple(
        server_id
        for server_id in report.servers
        if server_id not in under_way and _does_not_belong(known.get(server_id), report.host)
    )
    return Registered(wanted=tuple(wanted), gone=gone)


def _does_not_belong(row: Any, host: str) -> bool:
    """Proof that a guest is not wanted on a host: its row says that it is deleted, or that it is elsewhere. That
    there is no row proves nothing: the database may be an old copy.
    """
    return row is not None and (row.deleted or row.host != host)


def is_to_run(server: Server) -> bool:
    """Whether the guest of a server at rest should be running."""
    return server.vm_state in _RUNS and server.power_state == PowerState.RUNNING


def inventories(report: HostReport) -> dict[str, Inventory]:
    """What a host offers, as Placement keeps it."""
    rows = (
        (orc.VCPU, report.vcpus, report.reserved_vcpus, report.cpu_allocation_ratio),
        (orc.MEMORY_MB, report.ram_mib, report.reserved_ram_mib, report.ram_allocation_ratio),
        (orc.DISK_GB, report.disk_gib, report.reserved_disk_gib, report.disk_allocation_ratio),
    )
    return {
        name: Inventory(total=total, reserved=reserved, max_unit=total, allocation_ratio=ratio)
        for name, total, reserved, ratio in rows
        if total > 0
    }


def host_values(report: HostReport, use: HostUse | None) -> dict[str, Any]:
    """The columns of a host, from its report and from what its servers take."""
    use = use or HostUse(host=report.host)
    return {
        "id": report.id,
        "host": report.host,
        "hypervisor_hostname": report.hypervisor_hostname,
        "hypervisor_type": report.hypervisor_type,
        "hypervisor_version": report.hypervisor_version,
        "host_ip": report.host_ip,
        "vcpus": report.vcpus,
        "vcpus_used": use.vcpus,
        "ram_mib": report.ram_mib,
        "ram_used_mib": use.ram_mib + report.reserved_ram_mib,
        "disk_gib": report.disk_gib,
        "disk_used_gib": use.disk_gib,
        "disk_available_least_gib": report.disk_gib - report.disk_used_gib,
        "running_servers": use.servers,
        "workload": use.busy,
        "cpu_info": report.cpu_info,
        "supported": [list(row) for row in report.supported],
        "uptime": uptime(report.uptime_s),
    }


def uptime(seconds: float) -> str:
    """How long the machine is up, in the form of the program of that name."""
    days, rest = divmod(int(seconds), 86400)
    return f"up {days} days, {rest // 3600}:{rest % 3600 // 60:02d}"


async def write_what_was_heard(parts: Parts) -> int:
    """Note in the database which hosts live: one transaction for all that were heard of since the last time."""
    hosts_heard, parts.hosts.unwritten = sorted(parts.hosts.unwritten), set()
    heard, parts.hosts.services = tuple(parts.hosts.services.values()), {}
    ours = ServiceAlive(binary="nova-conductor", host=parts.settings.host, topic="conductor")
    now = parts.clock.now()
    async with parts.db.transaction() as tx:
        for one in (ours, *heard):
            await hosts.save_service(tx, id=new_uuid(), host=one.host, binary=one.binary, topic=one.topic, now=now)
        uses = _uses(await placing.counts(tx)) if hosts_heard else {}
        for host in hosts_heard:
            report = parts.hosts.reports[host]
            await hosts.save_service(tx, id=new_uuid(), host=host, binary=hosts.COMPUTE, topic="compute", now=now)
            await hosts.save_host(tx, now, host_values(report, uses.get(host)))
    return len(hosts_heard)


async def cloud_facts(parts: Parts, _ask: Done) -> CloudFacts:
    """What the scheduler cannot learn from the agents."""
    async with parts.db.read() as tx:
        services = await hosts.list_services(tx, binary=hosts.COMPUTE)
        aggregates = await hosts.list_aggregates(tx)
        uses = _uses(await placing.counts(tx))
    return CloudFacts(
        services=tuple(
            ServiceFacts(host=s.host, disabled=s.disabled, forced_down=s.forced_down, reason=s.disabled_reason)
            for s in services
        ),
        aggregates=tuple(
            AggregateFacts(number=a.number, id=a.id, name=a.name, metadata=a.metadata, hosts=a.hosts)
            for a in aggregates
        ),
        uses=tuple(uses.values()),
        reports=tuple(report for host, report in parts.hosts.reports.items() if parts.hosts.is_up(host)),
    )


def _uses(rows: Any) -> dict[str, HostUse]:
    found: dict[str, HostUse] = {}
    for row in rows:
        before = found.get(row.host) or HostUse(host=row.host)
        flavor = msgspec.convert(row.flavor, FlavorSnapshot)
        disk = flavor.disk_gib + flavor.ephemeral_gib
        projects = {**before.projects, row.project_id: before.projects.get(row.project_id, 0) + row.many}
        found[row.host] = HostUse(
            host=row.host,
            servers=before.servers + row.many,
            vcpus=before.vcpus + row.many * flavor.vcpus,
            ram_mib=before.ram_mib + row.many * flavor.ram_mib,
            disk_gib=before.disk_gib + row.many * disk,
            busy=before.busy + (row.many if placing.is_busy(row.task_state) else 0),
            projects=projects,
        )
    return found


async def power_changed(parts: Parts, seen: PowerChanged) -> Done:
    """A guest did something by itself: the server follows, unless somebody is at work on it."""
    async with parts.db.transaction() as tx:
        await follow_power(parts, tx, seen)
    return Done()


async def follow_power(parts: Parts, tx: Transaction, seen: PowerChanged) -> bool:
    """Make the row true to the guest's power state; False when there was nothing to do."""
    row = (await placing.states(tx, [seen.server_id])).get(seen.server_id)
    if row is None or row.deleted or row.host != seen.host or row.task_state is not None:
        return False
    if row.power_state == seen.power_state:
        return False
    values: dict[str, Any] = {"power_state": seen.power_state}
    off = seen.power_state in (PowerState.SHUTDOWN, PowerState.CRASHED)
    if row.vm_state == VmState.ACTIVE and off:
        values["vm_state"] = str(VmState.STOPPED)
    elif row.vm_state == VmState.ACTIVE and seen.power_state == PowerState.PAUSED:
        values["vm_state"] = str(VmState.PAUSED)
    elif row.vm_state == VmState.PAUSED and seen.power_state == PowerState.RUNNING:
        values["vm_state"] = str(VmState.ACTIVE)
    elif row.vm_state == VmState.PAUSED and off:
        values["vm_state"] = str(VmState.STOPPED)
    elif row.vm_state == VmState.STOPPED and seen.power_state == PowerState.RUNNING:
        # Somebody started it behind our back: what its owner asked for holds.
        values["task_state"] = str(TaskState.POWERING_OFF)
        await parts.journal.write(tx, STOP, seen.server_id)
    LOG.warning(
        "server %s: power state %s became %s by itself (was %s)",
        seen.server_id,
        row.power_state,
        seen.power_state,
        row.vm_state,
    )
    return await servers.change(tx, seen.server_id, parts.clock.now(), values)
