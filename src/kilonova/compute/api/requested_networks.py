"""The networks, ports and security groups that a create request names, checked with the network service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilonova.clients.network import NetworkRefused
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import (
    NetworkAmbiguous,
    NetworkNeedsSubnet,
    NetworkUnknown,
    PortInUse,
    PortQuotaExceeded,
    PortUnknown,
    SecurityGroupAmbiguous,
    SecurityGroupUnknown,
)
from kilonova.compute.microversions import networks_must_be_asked
from kilonova.compute.model.servers import RequestedNetwork
from kilonova.compute.policies import PREFIX
from kilonova.kernel.errors import BadRequest, Forbidden

DEFAULT_GROUP = "default"


@dataclass(frozen=True, slots=True)
class Networks:
    """`cards` None: the conductor makes the project its own network. `group_ids` empty: the default group."""

    cards: tuple[RequestedNetwork, ...] | None
    group_names: tuple[str, ...]
    group_ids: tuple[str, ...]


async def resolve_networks(
    request: ComputeRequest, asked: Any, groups: tuple[str, ...], *, count: int, least: int
) -> Networks:
    """What the server's cards will be. Raises the refusals of this file's imports."""
    if asked:
        request.allow(request.own_target(), PREFIX + "servers:create:attach_network")
    try:
        cards = await _cards(request, asked, count)
        names, ids = await _security_groups(request, groups)
        await _check_room(request, cards, least)
    except NetworkRefused as refused:
        raise BadRequest(f"The network service refused: {refused.message}") from None
    return Networks(cards, names, ids)


async def _cards(request: ComputeRequest, asked: Any, count: int) -> tuple[RequestedNetwork, ...] | None:
    if asked == "none":
        return ()
    if asked == "auto" or not asked:
        may_be_made = asked == "auto" and networks_must_be_asked(request.version)
        return await _any_network(request, may_be_made)
    rows = [row for row in asked if row]
    if len(rows) != len(asked):
        raise BadRequest("Bad networks format: each entry names a network (uuid) or a port.")
    cards = [_card(row, count) for row in rows]
    await _check_networks(request, [c.network_id for c in cards if c.network_id is not None and not c.port_id])
    await _check_ports(request, [c.port_id for c in cards if c.port_id is not None])
    return tuple(cards)


def _card(row: dict[str, Any], count: int) -> RequestedNetwork:
    port, network, address = row.get("port"), row.get("uuid"), row.get("fixed_ip")
    if not port and not network:
        raise BadRequest("Bad networks format: missing 'uuid' or 'port' in an entry.")
    if port and address:
        raise BadRequest(f"Fixed address {address} cannot be asked for together with port {port}.")
    if count > 1 and (port or address):
        raise BadRequest("A port or a fixed address can be given to one server only, not to several at once.")
    return RequestedNetwork(network_id=None if port else network, port_id=port, fixed_ip=address, tag=row.get("tag"))


async def _any_network(request: ComputeRequest, may_be_made: bool) -> tuple[RequestedNetwork, ...] | None:
    project_id = request.context.project_id or ""
    networks = await request.service.network.available_networks(project_id, token=request.context.token)
    usable = [n for n in networks if n.subnet_ids and not n.is_external]
    if len(usable) > 1:
        raise NetworkAmbiguous(count=len(usable))
    if usable:
        return (RequestedNetwork(network_id=usable[0].id),)
    return None if may_be_made else ()


async def _check_networks(request: ComputeRequest, ids: list[str]) -> None:
    if not ids:
        return
    found = {n.id: n for n in await request.service.network.networks(ids, token=request.context.token)}
    for network_id in ids:
        network = found.get(network_id)
        if network is None:
            raise NetworkUnknown(id=network_id)
        if not network.subnet_ids:
            raise NetworkNeedsSubnet(id=network_id)
        closed = network.is_external and not network.is_shared
        if closed and not request.may("network:attach_external_network"):
            raise Forbidden(f"You may not attach a server to external network {network_id}.")


async def _check_ports(request: ComputeRequest, ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise BadRequest("The same port is named twice.")
    for port_id in ids:
        port = await request.service.network.port(port_id, token=request.context.token)
        if port is None or (port.project_id != request.context.project_id and not request.context.is_admin):
            raise PortUnknown(id=port_id)
        if port.device_id:
            raise PortInUse(id=port_id, device=port.device_id)
        if not port.fixed_ips and port.vnic_type == "normal":
            raise BadRequest(f"Port {port_id} has no address; give it one first.")


async def _security_groups(request: ComputeRequest, asked: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names to show and ids to set; no ids where the project's default group is meant, which needs no
    question.
    """
    if not asked or asked == (DEFAULT_GROUP,):
        return (DEFAULT_GROUP,), ()
    project_id = request.context.project_id or ""
    known = await request.service.network.security_groups(project_id, token=request.context.token)
    names, ids = [], []
    for word in asked:
        found = [g for g in known if g.id == word] or [g for g in known if g.name == word]
        if not found:
            raise SecurityGroupUnknown(name=word, project_id=project_id)
        if len(found) > 1:
            raise SecurityGroupAmbiguous(name=word)
        names.append(found[0].name)
        ids.append(found[0].id)
    return tuple(names), tuple(dict.fromkeys(ids))


async def _check_room(request: ComputeRequest, cards: tuple[RequestedNetwork, ...] | None, least: int) -> None:
    needs = least * len([c for c in cards or () if c.port_id is None])
    if not needs:
        return
    project_id = request.context.project_id or ""
    room = await request.service.network.room_for_ports(project_id)  # only managers may read quotas
    if room is not None and needs > room:
        raise PortQuotaExceeded(needs=needs, room=max(room, 0))
