"""Interfaces: give a server one more card, or take one away; also while it is off."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from kilonova.compute.calls import ATTACH_NIC, DETACH_NIC, ChangeNic, Nic, agent_topic
from kilonova.compute.conductor.faults import fault_of
from kilonova.compute.conductor.parts import NotOnHost, Parts, change_server, server_of
from kilonova.compute.conductor.ports import bind_ports, free_vif, give_back
from kilonova.compute.model.operations import (
    ATTACH_INTERFACE,
    DETACH_INTERFACE,
    AttachInterface,
    DetachInterface,
)
from kilonova.compute.model.servers import Server, Vif
from kilonova.compute.orders import nics_of, vif_of
from kilonova.compute.store import servers
from kilonova.kernel.bus import RemoteFailure
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import NotFound
from kilonova.kernel.tasks import Step, Work, Workflow

LOG = logging.getLogger(__name__)


class NoSuchInterface(NotFound):
    text = "Server {server_id} has no interface with port {port_id}."


async def make_port(work: Work[Parts]) -> None:
    """One bound port for the new card."""
    server = await server_of(work)
    ask = msgspec.convert(work.payload, AttachInterface)
    host = _host(server)
    [(port, ours, tag)] = await bind_ports(
        work.parts,
        server,
        (ask.network,),
        host=host,
        zone=server.zone or work.parts.settings.default_zone,
        security_group_ids=ask.security_group_ids,
        fresh=work.fresh,
    )
    facts = await work.parts.networks.of([port.network_id])
    name = facts[port.network_id][0].name if port.network_id in facts else ""
    work.data["nic"] = msgspec.to_builtins(nics_of([port], facts, {port.id: tag})[0])
    work.data["vif"] = msgspec.to_builtins(vif_of(port, name, made_by_us=ours, tag=tag))
    work.tell(host=host)


async def free_port(work: Work[Parts]) -> None:
    """Undo of ``make_port``: whatever ports the server has beyond those in its row."""
    server = await server_of(work)
    ask = msgspec.convert(work.payload, AttachInterface)
    await give_back(work.parts, (ask.network,), server.id, keep=server.vifs)


async def plug(work: Work[Parts]) -> None:
    server = await server_of(work)
    await work.parts.bus.call(agent_topic(_host(server)), ATTACH_NIC, _change(work))


async def unplug(work: Work[Parts]) -> None:
    """Undo of ``plug``."""
    server = await server_of(work)
    try:
        await work.parts.bus.call(agent_topic(_host(server)), DETACH_NIC, _change(work))
    except RemoteFailure as failed:
        if failed.status != 404:
            raise


async def note_card(work: Work[Parts]) -> None:
    """The card is part of the server."""
    vif = msgspec.convert(work.data["vif"], Vif)
    _change_vifs(work, lambda vifs: (*(known for known in vifs if known.port_id != vif.port_id), vif))


async def unplug_card(work: Work[Parts]) -> None:
    """Take the card out of the guest."""
    server = await server_of(work)
    vif = _vif(work, server)
    if vif is None:
        raise NoSuchInterface(server_id=server.id, port_id=_port_id(work))
    if server.host is None:
        return
    nic = Nic(port_id=vif.port_id, network_id=vif.network_id, mac=vif.mac, vnic_type=vif.vnic_type)
    work.tell(host=server.host)
    try:
        await work.parts.bus.call(
            agent_topic(server.host),
            DETACH_NIC,
            ChangeNic(server_id=server.id, ticket=work.operation.ticket, nic=nic),
        )
    except RemoteFailure as failed:
        if failed.status != 404:
            raise


async def free_card(work: Work[Parts]) -> None:
    """Give its port back."""
    vif = _vif(work, await server_of(work))
    if vif is not None:
        await free_vif(work.parts, vif)


async def forget_card(work: Work[Parts]) -> None:
    port_id = _port_id(work)
    _change_vifs(work, lambda vifs: tuple(vif for vif in vifs if vif.port_id != port_id))


async def tell_why(work: Work[Parts]) -> None:
    """The server stays as it is; its fault says why the card is not as asked."""
    if work.failure is None or work.failure.code == "ServerGone":
        return
    fault = fault_of(work.failure, work.parts.clock.now())
    change_server(work, task_state=None, fault=servers.fault_value(fault))


def _change_vifs(work: Work[Parts], change: Any) -> None:
    """Change the cards in the server's row as they are in that very transaction."""

    async def write(tx: Transaction) -> None:
        server = await servers.get(tx, work.subject)
        if server is not None:
            values = servers.vif_values(change(server.vifs))
            await servers.change(tx, server.id, work.parts.clock.now(), {**values, "task_state": None})

    work.also(write)


def _change(work: Work[Parts]) -> ChangeNic:
    nic = msgspec.convert(work.data["nic"], Nic)
    return ChangeNic(server_id=work.subject, ticket=work.operation.ticket, nic=nic)


def _host(server: Server) -> str:
    if server.host is None:
        raise NotOnHost(server_id=server.id)
    return server.host


def _port_id(work: Work[Parts]) -> str:
    return msgspec.convert(work.payload, DetachInterface).port_id


def _vif(work: Work[Parts], server: Server) -> Vif | None:
    port_id = _port_id(work)
    return next((vif for vif in server.vifs if vif.port_id == port_id), None)


ATTACH = Workflow(
    ATTACH_INTERFACE,
    (
        Step("port", make_port, undo=free_port, event="compute__bind_ports"),
        Step("plug", plug, undo=unplug, event="compute_attach_interface", recorded=False),
        Step("note", note_card, event="compute__settle"),
    ),
    on_failure=tell_why,
)

DETACH = Workflow(
    DETACH_INTERFACE,
    (
        Step("unplug", unplug_card, event="compute_detach_interface", recorded=False),
        Step("port", free_card, event="compute__free_ports", recorded=False),
        Step("forget", forget_card, event="compute__settle"),
    ),
    on_failure=tell_why,
    no_return="port",
)
