"""Sweeps of compute: what must hold between servers, guests, claims and ports, looked at again and again.

Nothing is removed without proof: a guest, claim or port goes only when a row says that its server is deleted or is
elsewhere, and when no operation on that server is open.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from kilonova.clients.placement import Claim
from kilonova.compute.calls import DESTROY, LIST_GUESTS, Done, OnGuest, PowerChanged, agent_topic
from kilonova.compute.conductor.hosts import follow_power
from kilonova.compute.conductor.parts import Parts
from kilonova.compute.model.operations import ATTACH_INTERFACE, BUILD, DELETE, AttachInterface, Build
from kilonova.compute.model.resources import need_of
from kilonova.compute.model.servers import Fault
from kilonova.compute.model.states import PowerState, TaskState, VmState
from kilonova.compute.store import placing, servers
from kilonova.kernel.bus import CallFailed
from kilonova.kernel.db import Transaction
from kilonova.kernel.tasks import Finding, Sweep

LOG = logging.getLogger(__name__)

_STUCK_AFTER = timedelta(seconds=60)


async def _under_way(parts: Parts, tx: Transaction) -> set[str]:
    return {operation.subject for operation in await parts.journal.open_operations(tx)}


# --- servers that are busy with nothing -----------------------------------------------------------------------------


async def find_stuck(parts: Parts) -> Sequence[Finding]:
    """Servers with a task_state for which no operation is open."""
    before = parts.clock.now() - _STUCK_AFTER
    async with parts.db.read() as tx:
        busy = await placing.busy_servers(tx)
        working = await _under_way(parts, tx) if busy else set()
    return [
        Finding("stuck server", row.id, f"server {row.id} is {row.task_state}, but nobody works on it")
        for row in busy
        if row.id not in working and row.updated_at < before
    ]


async def repair_stuck(parts: Parts, finding: Finding) -> None:
    """A delete is begun again; a build that nobody remembers is an error; all else comes to rest."""
    async with parts.db.transaction() as tx:
        server = await servers.get(tx, finding.subject)
        if server is None or server.task_state is None or server.id in await _under_way(parts, tx):
            return
        now = parts.clock.now()
        if server.task_state in (TaskState.DELETING, TaskState.SOFT_DELETING):
            await parts.journal.write(tx, DELETE, server.id, payload={})
            return
        values: dict[str, Any] = {"task_state": None}
        if server.vm_state == VmState.BUILDING:
            fault = Fault(500, "The build was interrupted and nothing is left of it.", "", now)
            values.update(vm_state=str(VmState.ERROR), fault=servers.fault_value(fault))
        await servers.change(tx, server.id, now, values)


# --- guests ---------------------------------------------------------------------------------------------------------


async def find_guest_differences(parts: Parts) -> Sequence[Finding]:
    """Compare each living host's guests with the servers that belong there."""
    found: list[Finding] = []
    for host in [host for host in parts.hosts.reports if parts.hosts.is_up(host)]:
        try:
            answer = await parts.bus.call(agent_topic(host), LIST_GUESTS, Done())
        except CallFailed as failed:
            LOG.info("host %s did not list its guests: %s", host, failed)
            continue
        there = {guest.server_id: guest.power_state for guest in answer.guests}
        async with parts.db.read() as tx:
            rows = await placing.states(tx, there)
            placed = [row for row in await placing.placed(tx) if row.host == host]
            working = await _under_way(parts, tx)
        for server_id, power in there.items():
            row = rows.get(server_id)
            if row is None or server_id in working:
                continue
            facts = {"host": host, "power_state": power}
            if row.deleted or row.host != host:
                why = "is deleted" if row.deleted else f"is on {row.host}"
                sentence = f"host {host} has a guest of server {server_id}, which {why}"
                found.append(Finding("orphan guest", server_id, sentence, facts))
            elif row.task_state is None and row.power_state != power:
                sentence = f"server {server_id} has power state {row.power_state}, its guest on {host} has {power}"
                found.append(Finding("power state", server_id, sentence, facts))
        found += [
            Finding("missing guest", row.id, f"host {host} has no guest of server {row.id}", {"host": host})
            for row in placed
            if row.id not in there
            and row.id not in working
            and row.task_state is None
            and row.vm_state in (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED)
        ]
    return found


async def repair_guest(parts: Parts, finding: Finding) -> None:
    host, server_id = finding.facts["host"], finding.subject
    if finding.what == "power state":
        async with parts.db.transaction() as tx:
            seen = PowerChanged(host=host, server_id=server_id, power_state=finding.facts["power_state"])
            await follow_power(parts, tx, seen)
        return
    if finding.what == "missing guest":
        await _mark_missing(parts, server_id, host)
        return
    async with parts.db.read() as tx:
        row = (await placing.states(tx, [server_id])).get(server_id)
        if row is None or server_id in await _under_way(parts, tx) or not (row.deleted or row.host != host):
            return
        history = await parts.journal.of(tx, server_id)
    ticket = history[0].ticket if history else (0, 0)
    await parts.bus.call(agent_topic(host), DESTROY, OnGuest(server_id=server_id, ticket=ticket))


async def _mark_missing(parts: Parts, server_id: str, host: str) -> None:
    now = parts.clock.now()
    fault = Fault(
        500,
        "The guest is not on its host any more. A hard reboot makes it again from its disk, if that is there.",
        f"host {host} does not list a guest {server_id}",
        now,
    )
    async with parts.db.transaction() as tx:
        row = (await placing.states(tx, [server_id])).get(server_id)
        if row is None or row.deleted or row.host != host or row.task_state is not None:
            return
        values = {
            "vm_state": str(VmState.ERROR),
            "power_state": int(PowerState.NOSTATE),
            "fault": servers.fault_value(fault),
        }
        await servers.change(tx, server_id, now, values)


# --- claims ---------------------------------------------------------------------------------------------------------


async def find_claim_differences(parts: Parts) -> Sequence[Finding]:
    """Claims of servers that are deleted or nowhere, and servers on a host without a claim."""
    found: list[Finding] = []
    for report in tuple(parts.hosts.reports.values()):
        claims = await parts.placement.claimed_from(report.id)
        async with parts.db.read() as tx:
            rows = await placing.states(tx, claims)
            placed = [row for row in await placing.placed(tx) if row.host == report.host]
            working = await _under_way(parts, tx)
        facts = {"provider_id": report.id, "host": report.host}
        found += [
            Finding("orphan claim", one, f"server {one} holds a claim on {report.host}, but is not there", facts)
            for one in claims
            if one not in working and (row := rows.get(one)) is not None and (row.deleted or row.host is None)
        ]
        found += [
            Finding("missing claim", row.id, f"server {row.id} is on {report.host} without a claim", facts)
            for row in placed
            if row.id not in claims and row.id not in working and row.task_state is None
        ]
    return found


async def repair_claim(parts: Parts, finding: Finding) -> None:
    async with parts.db.read() as tx:
        server = await servers.get(tx, finding.subject)
        if finding.subject in await _under_way(parts, tx):
            return
    if finding.what == "orphan claim":
        if server is None or server.host is None:
            await parts.placement.release(finding.subject)
        return
    if server is not None and server.host == finding.facts["host"]:
        uses = {finding.facts["provider_id"]: need_of(server.flavor, server.image).resources}
        await parts.placement.claim(Claim(server.id, uses, server.project_id, server.user_id))


# --- ports ----------------------------------------------------------------------------------------------------------


async def find_orphan_ports(parts: Parts) -> Sequence[Finding]:
    """Ports that say they are a server's which is deleted."""
    ports = await parts.network.server_ports()
    async with parts.db.read() as tx:
        rows = await placing.states(tx, {port.device_id for port in ports if port.device_id})
        working = await _under_way(parts, tx)
    return [
        Finding(
            "orphan port",
            port.id,
            f"port {port.id} belongs to server {port.device_id}, which is deleted",
            {"server_id": port.device_id},
        )
        for port in ports
        if (row := rows.get(port.device_id)) is not None and row.deleted and port.device_id not in working
    ]


async def repair_port(parts: Parts, finding: Finding) -> None:
    """A port that the user made is unbound, one of ours is deleted; what was asked for tells which is which."""
    server_id = finding.facts["server_id"]
    async with parts.db.read() as tx:
        history = await parts.journal.of(tx, server_id)
    users: set[str | None] = set()
    for operation in history:
        if operation.kind == BUILD:
            users |= {one.port_id for one in msgspec.convert(operation.payload, Build).networks or ()}
        elif operation.kind == ATTACH_INTERFACE:
            users.add(msgspec.convert(operation.payload, AttachInterface).network.port_id)
    if finding.subject in users:
        await parts.network.unbind_port(finding.subject)
    else:
        await parts.network.delete_port(finding.subject)


# --- history --------------------------------------------------------------------------------------------------------


async def find_old_history(parts: Parts) -> Sequence[Finding]:
    """Operations that ended so long ago that nobody will ask for them."""
    before = parts.clock.now() - timedelta(days=parts.settings.keep_history_days)
    async with parts.db.read() as tx:
        many = await parts.journal.ended_before(tx, before)
    if not many:
        return ()
    return (Finding("old history", "journal", f"{many} operations ended before {before.date()}", {"before": before}),)


async def forget_old_history(parts: Parts, finding: Finding) -> None:
    await parts.journal.forget(finding.facts["before"])


SWEEPS: tuple[Sweep, ...] = (
    Sweep("stuck servers", 30, find_stuck, repair_stuck),
    Sweep("guests", 60, find_guest_differences, repair_guest, patience=2),
    Sweep("claims", 120, find_claim_differences, repair_claim, patience=2),
    Sweep("ports", 300, find_orphan_ports, repair_port, patience=2),
    Sweep("history", 3600, find_old_history, forget_old_history),
)
