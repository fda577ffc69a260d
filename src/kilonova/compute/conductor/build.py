"""Build: choose a host, claim what the server takes there, bind its ports, make the guest, settle.

A host that fails is given back all of it and the next candidate is tried, up to ``max_attempts``. When nothing is
left to try the server is buried: ERROR, no host, no ports, no claim, and a fault that says why.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from kilonova.clients.placement import Claim, NoRoom
from kilonova.compute.calls import (
    DESTROY,
    SCHEDULER,
    SELECT_DESTINATIONS,
    SILENT,
    SPAWN,
    Candidate,
    GroupFacts,
    Nic,
    OnGuest,
    PlacementAsk,
    Spawn,
    agent_topic,
)
from kilonova.compute.conductor.faults import BuildFailed, NoValidHost, fault_of, say_hosts, say_why
from kilonova.compute.conductor.parts import HostsNotHeardYet, Parts, change_server, server_of
from kilonova.compute.conductor.ports import BindingFailed, bind_ports, give_back
from kilonova.compute.model import groups as policies
from kilonova.compute.model.operations import BUILD, Build
from kilonova.compute.model.servers import RequestedNetwork, Server
from kilonova.compute.model.states import TaskState, VmState
from kilonova.compute.model.trace import hop
from kilonova.compute.orders import make_order, nics_of, vif_of
from kilonova.compute.store import groups, placing, servers
from kilonova.kernel.bus import CallFailed, RemoteFailure, Unreachable
from kilonova.kernel.db import Transaction
from kilonova.kernel.tasks import LeaseLost, StartOver, Step, Work, Workflow
from kilonova.kernel.tasks.workflow import is_passing

LOG = logging.getLogger(__name__)

_MOST_RACES = 20
_SECRETS = ("admin_password", "files")
_IMAGE_FAULTS = frozenset(("ImageUnusable",))


# --- choose ---------------------------------------------------------------------------------------------------------


async def choose_host(work: Work[Parts]) -> None:
    """The best candidate, or the next one of an earlier answer when the best has failed."""
    server = await server_of(work)
    left: list[dict[str, Any]] = work.data.get("alternates", [])
    excluded: dict[str, str] = work.data.get("excluded", {})
    while left:
        work.data["alternates"], candidate = left[1:], left[0]
        if candidate["host"] not in excluded:
            work.data["candidate"] = candidate
            return
        left = work.data["alternates"]
    LOG.info("%s: server %s", hop("8"), server.id)
    ask = await _ask(work, server, excluded)
    choice = await work.parts.bus.call(SCHEDULER, SELECT_DESTINATIONS, ask)
    if not choice.candidates:
        silent = not choice.hosts_seen or any(row.reason == SILENT for row in choice.refusals)
        if silent and work.parts.hosts.may_still_be_coming and not work.last_try:
            raise HostsNotHeardYet
        work.data["refusals"] = msgspec.to_builtins(choice.refusals)
        raise NoValidHost(why=say_why(choice))
    first, *others = (msgspec.to_builtins(candidate) for candidate in choice.candidates)
    work.data["candidate"], work.data["alternates"] = first, others
    work.tell(host=first["host"])


async def _ask(work: Work[Parts], server: Server, excluded: dict[str, str]) -> PlacementAsk:
    spec = server.spec
    group = same = different = None
    hints = spec.hints
    if spec.group_id or "same_host" in hints or "different_host" in hints:
        async with work.parts.db.read() as tx:
            group = await _group_facts(tx, spec.group_id, server.id) if spec.group_id else None
            same = await _hosts_of(tx, hints.get("same_host"))
            different = await _hosts_of(tx, hints.get("different_host"))
    return PlacementAsk(
        server_id=server.id,
        project_id=server.project_id,
        flavor=server.flavor,
        image=server.image,
        zone=spec.zone,
        forced_host=spec.forced_host,
        forced_node=spec.forced_node,
        asked_host=spec.asked_host,
        asked_node=spec.asked_node,
        group=group,
        hints=hints,
        same_hosts=same,
        different_hosts=different,
        excluded=excluded,
        alternates=max(0, work.parts.settings.max_attempts - 1),
    )


async def _group_facts(tx: Transaction, group_id: str, but: str) -> GroupFacts | None:
    row = await groups.find(tx, group_id)
    if row is None:
        return None
    members = (await groups.members(tx, [row.number])).get(row.number, [])
    hosts: dict[str, int] = {}
    for one in await placing.hosts_of(tx, [member for member in members if member != but]):
        hosts[one] = hosts.get(one, 0) + 1
    return GroupFacts(id=row.id, policy=row.policy, max_server_per_host=row.max_server_per_host, hosts=hosts)


async def _hosts_of(tx: Transaction, server_ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if server_ids is None else tuple(await placing.hosts_of(tx, server_ids))


# --- claim ----------------------------------------------------------------------------------------------------------


async def claim_resources(work: Work[Parts]) -> None:
    """Take the room on the chosen host, and record the host in the same transaction that looks at the group once
    more: two members that were placed at the same moment cannot both stay.
    """
    server, candidate = await server_of(work), _candidate(work)
    try:
        claim = Claim(server.id, candidate.claim, server.project_id, server.user_id)
        await work.parts.placement.claim(claim, fresh=work.fresh and "excluded" not in work.data)
    except NoRoom as full:
        races = work.data["races"] = work.data.get("races", 0) + 1
        if races > _MOST_RACES:
            raise
        raise StartOver("choose", f"{candidate.host} had no room left when it was claimed: {full}") from None
    LOG.info("%s: server %s on %s", hop("11"), server.id, candidate.host)
    work.tell(host=candidate.host)

    async def record(tx: Transaction) -> None:
        await _refuse_broken_group(tx, server, candidate.host)
        now = work.parts.clock.now()
        await servers.change(
            tx,
            server.id,
            now,
            {
                "host": candidate.host,
                "node": candidate.node,
                "zone": candidate.zone,
                "task_state": str(TaskState.NETWORKING),
            },
        )

    work.also(record)


async def _refuse_broken_group(tx: Transaction, server: Server, host: str) -> None:
    if server.spec.group_id is None:
        return
    group = await _group_facts(tx, server.spec.group_id, server.id)
    if group is None:
        return
    if group.policy == policies.ANTI_AFFINITY and group.hosts.get(host, 0) >= (group.max_server_per_host or 1):
        raise StartOver("choose", f"another member of the group came to {host} at the same moment")
    if group.policy == policies.AFFINITY and group.hosts and host not in group.hosts:
        raise StartOver("choose", "another member of the group came to another host at the same moment")


async def drop_claim(work: Work[Parts]) -> None:
    """Undo of ``claim_resources``."""
    await work.parts.placement.release(work.subject)
    change_server(work, host=None, node=None)


# --- ports ----------------------------------------------------------------------------------------------------------


async def bind_server_ports(work: Work[Parts]) -> None:
    """A bound port for each card; the cards become part of the server's row."""
    server, candidate = await server_of(work), _candidate(work)
    asked = await _asked_networks(work, server)
    if not asked:
        work.data["bound"] = []
        change_server(work, task_state=str(TaskState.SPAWNING))
        return
    LOG.info("%s: server %s, %d on %s", hop("23-25"), server.id, len(asked), candidate.host)
    try:
        bound = await bind_ports(
            work.parts,
            server,
            asked,
            host=candidate.host,
            zone=candidate.zone,
            security_group_ids=_build(work).security_group_ids,
            fresh=work.fresh and "excluded" not in work.data,
        )
    except BindingFailed as failed:
        _count_host(work, candidate.host, failed.message)
        raise
    facts = await work.parts.networks.of([port.network_id for port, _ours, _tag in bound])
    vifs = [
        vif_of(port, facts[port.network_id][0].name if port.network_id in facts else "", made_by_us=ours, tag=tag)
        for port, ours, tag in bound
    ]
    nics = nics_of([port for port, _o, _t in bound], facts, {port.id: tag for port, _o, tag in bound})
    work.data["nics"] = msgspec.to_builtins(nics)
    work.memo["nics"] = nics
    change_server(work, task_state=str(TaskState.SPAWNING), **servers.vif_values(vifs))


async def _asked_networks(work: Work[Parts], server: Server) -> tuple[RequestedNetwork, ...]:
    build = _build(work)
    if build.networks is not None:
        return build.networks
    available = [
        network
        for network in await work.parts.network.available_networks(server.project_id)
        if network.project_id == server.project_id or not network.is_external
    ]
    if len(available) == 1:
        return (RequestedNetwork(network_id=available[0].id),)
    return (RequestedNetwork(network_id=await work.parts.network.auto_topology(server.project_id)),)


async def give_ports_back(work: Work[Parts]) -> None:
    """Undo of ``bind_server_ports``."""
    networks = _build(work).networks
    if networks != ():
        await give_back(work.parts, networks or (), work.subject)
    change_server(work, **servers.vif_values(()))


# --- spawn ----------------------------------------------------------------------------------------------------------


async def spawn_guest(work: Work[Parts]) -> None:
    """Have the host make the guest. What the host cannot do, the next one is asked to."""
    server, candidate = await server_of(work), _candidate(work)
    nics = work.memo.get("nics")
    if nics is None:
        nics = msgspec.convert(work.data.get("nics", []), tuple[Nic, ...])
    facts = await work.parts.networks.of([nic.network_id for nic in nics])
    zoned = make_order(work.parts.settings.orders, server, nics, facts, _build(work))
    persona = msgspec.structs.replace(zoned.persona, zone=candidate.zone)
    order = msgspec.structs.replace(zoned, persona=persona)
    leave = await work.parts.tickets.ticket(server.image.image_id) if server.image.image_id else ""
    LOG.info("%s: server %s, none: its disk is the host's own", hop("26-28"), server.id)
    LOG.info("%s: server %s on %s", hop("12"), server.id, candidate.host)
    work.tell(host=candidate.host)
    try:
        report = await work.parts.bus.call(
            agent_topic(candidate.host), SPAWN, Spawn(order=order, ticket=work.operation.ticket, image_ticket=leave)
        )
    except RemoteFailure as failed:
        if failed.code in _IMAGE_FAULTS:
            raise
        if failed.code == "TicketTooOld":
            raise LeaseLost(failed.message) from None  # the host knows of a worker that came after us
        if is_passing(failed) and not work.last_try:
            raise
        _count_host(work, candidate.host, failed.message)
    except Unreachable as away:
        if not work.last_try:
            raise
        _count_host(work, candidate.host, str(away))
    except CallFailed as failed:
        _count_host(work, candidate.host, str(failed))
    else:
        work.data["power_state"] = report.power_state


def _count_host(work: Work[Parts], host: str, why: str) -> None:
    """This host will not do: try another one, unless enough have been tried. Always raises."""
    excluded: dict[str, str] = work.data.setdefault("excluded", {})
    excluded[host] = why
    work.tell(host=host)
    if len(excluded) >= work.parts.settings.max_attempts:
        raise BuildFailed(attempts=len(excluded))
    raise StartOver("choose", f"host {host}: {why}")


async def destroy_guest(work: Work[Parts]) -> None:
    """Undo of ``spawn_guest``. A host that is away keeps what it has until it registers again: the server's row
    will then not name it any more, which is the proof that the guest has to go.
    """
    host = _candidate(work).host
    try:
        await work.parts.bus.call(
            agent_topic(host), DESTROY, OnGuest(server_id=work.subject, ticket=work.operation.ticket)
        )
    except Unreachable:
        if work.parts.hosts.is_up(host):
            raise
        LOG.warning("server %s: host %s is away; its guest is removed when it comes back", work.subject, host)


# --- settle ---------------------------------------------------------------------------------------------------------


async def mark_active(work: Work[Parts]) -> None:
    """The server runs. What only its first boot was told is not kept."""
    work.forget(*_SECRETS)
    now = work.parts.clock.now()
    change_server(
        work,
        vm_state=str(VmState.ACTIVE),
        task_state=None,
        power_state=int(work.data.get("power_state", 1)),
        launched_at=now,
        progress=0,
        fault=None,
    )
    LOG.info("%s: server %s", hop("30"), work.subject)


async def bury(work: Work[Parts]) -> None:
    """Everything is undone: the server shows why."""
    failure = work.failure
    work.forget(*_SECRETS)
    if failure is None:
        return
    details = say_hosts(work.data["refusals"]) if failure.code == "NoValidHost" and "refusals" in work.data else ""
    excluded = work.data.get("excluded", {})
    details = "\n".join([details, *(f"{host}: {why}" for host, why in excluded.items())]).strip()
    fault = fault_of(failure, work.parts.clock.now(), details)
    change_server(
        work,
        vm_state=str(VmState.ERROR),
        task_state=None,
        host=None,
        node=None,
        fault=servers.fault_value(fault),
    )
    LOG.error("server %s could not be built: %s", work.subject, failure.message)


async def forget_secrets(work: Work[Parts]) -> None:
    """The build was overtaken: nobody will be told the password."""
    work.forget(*_SECRETS)


def _candidate(work: Work[Parts]) -> Candidate:
    return msgspec.convert(work.data["candidate"], Candidate)


def _build(work: Work[Parts]) -> Build:
    known: Build | None = work.memo.get("build")
    if known is None:
        known = work.memo["build"] = msgspec.convert(work.payload, Build)
    return known


BUILD_SERVER = Workflow(
    BUILD,
    (
        Step(
            "choose",
            choose_host,
            event="conductor_schedule_and_build_instances",
            recorded=False,
            deadline_s=120,
            tries=6,
        ),
        Step("claim", claim_resources, undo=drop_claim, event="compute__claim_resources"),
        Step("ports", bind_server_ports, undo=give_ports_back, event="compute__bind_ports"),
        Step(
            "spawn",
            spawn_guest,
            undo=destroy_guest,
            deadline_s=1000,
            event="compute__do_build_and_run_instance",
            recorded=False,
        ),
        Step("settle", mark_active, event="compute__settle"),
    ),
    on_failure=bury,
    on_cancel=forget_secrets,
)
