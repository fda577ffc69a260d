"""Security groups and (before 2.44) floating addresses of a server: changed at its ports in the network service."""

from __future__ import annotations

from typing import Any

from kilonova.clients.network import NetworkRefused, SecurityGroup
from kilonova.compute.api.access import check_may_change, server_row
from kilonova.compute.api.network_cache import refresh
from kilonova.compute.api.old.security_groups import shown_groups
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.store import servers
from kilonova.kernel.db import Row
from kilonova.kernel.errors import BadRequest, Conflict, Forbidden, NotFound
from kilonova.kernel.web import Response, accepted, answer


async def _server(request: ComputeRequest) -> Row[Any]:
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    check_may_change(request, row, "change_security_groups")
    return row


async def _group(request: ComputeRequest, row: Row[Any], word: str) -> SecurityGroup:
    known = await request.service.network.security_groups(row.project_id, token=request.context.token)
    found = [g for g in known if g.id == word] or [g for g in known if g.name == word]
    if not found:
        raise NotFound(f"Security group {word} not found for project {row.project_id}.")
    if len(found) > 1:
        raise Conflict(f"More than one security group is named {word}: give its id.")
    return found[0]


async def _change(request: ComputeRequest, word: str, *, add: bool) -> Response:
    row, service = await _server(request), request.service
    group = await _group(request, row, word)
    ports = await service.network.ports_of(row.id, token=request.context.token)
    if not ports:
        raise BadRequest(f"Instance {row.id} has no port that a security group could hold for.")
    for port in ports:
        has = port.security_group_ids
        wanted = (*has, group.id) if add else tuple(one for one in has if one != group.id)
        if not add and group.id not in has:
            raise NotFound(f"Security group {word} is not associated with instance {row.id}.")
        if set(wanted) != set(has):
            await service.network.set_port_groups(port.id, list(dict.fromkeys(wanted)), token=request.context.token)
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        names = [name for name in row.security_groups if name != group.name]
        values = {"security_groups": [*names, group.name] if add else names}
        await servers.change(tx, row.id, service.clock.now(), values)
    return accepted()


async def add_security_group(request: ComputeRequest) -> Response:
    """addSecurityGroup"""
    return await _change(request, request.body["addSecurityGroup"]["name"], add=True)


async def remove_security_group(request: ComputeRequest) -> Response:
    """removeSecurityGroup"""
    return await _change(request, request.body["removeSecurityGroup"]["name"], add=False)


async def list_security_groups(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-security-groups"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    network, token = request.service.network, request.context.token
    ids = {one for port in await network.ports_of(row.id, token=token) for one in port.security_group_ids}
    known = await network.security_groups(row.project_id, token=token)
    return answer({"security_groups": shown_groups([group for group in known if group.id in ids], known)})


async def add_floating_ip(request: ComputeRequest) -> Response:
    """addFloatingIp"""
    asked = request.body["addFloatingIp"]
    row, service = await _server(request), request.service
    if not row.vifs:
        raise BadRequest("The server has no fixed address that a floating one could lead to.")
    floating = await service.network.floating_ip_at(asked["address"], token=request.context.token)
    if floating is None:
        raise NotFound(f"floating IP {asked['address']} not found")
    fixed = asked.get("fixed_address")
    pairs = [(vif["port_id"], ip["address"]) for vif in row.vifs for ip in vif["fixed_ips"] if ":" not in ip["address"]]
    chosen = [pair for pair in pairs if fixed in (None, pair[1])]
    if not chosen:
        raise BadRequest("The server has no such fixed address.")
    try:
        await service.network.set_floating_ip(floating.id, *chosen[0], token=request.context.token)
    except NetworkRefused as refused:
        raise (Forbidden if refused.status == 403 else BadRequest)(refused.message) from None
    await refresh(request, row.id)
    return accepted()


async def remove_floating_ip(request: ComputeRequest) -> Response:
    """removeFloatingIp"""
    address = request.body["removeFloatingIp"]["address"]
    row, service = await _server(request), request.service
    floating = await service.network.floating_ip_at(address, token=request.context.token)
    if floating is None:
        raise NotFound(f"floating IP {address} not found")
    if floating.port_id not in [vif["port_id"] for vif in row.vifs]:
        raise Conflict(f"Floating address {address} does not lead to instance {row.id}.")
    try:
        await service.network.set_floating_ip(floating.id, None, None, token=request.context.token)
    except NetworkRefused as refused:
        raise (Forbidden if refused.status == 403 else BadRequest)(refused.message) from None
    await refresh(request, row.id)
    return accepted()
