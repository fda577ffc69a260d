"""Bringing a server's cached network cards up to date with what the network service says now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.model.servers import FixedIp, Vif
from kilonova.compute.store import servers


async def refresh(request: ComputeRequest, server_id: str, *, names_and_floating: bool = True) -> None:
    """Ask for the ports of a server and their floating addresses, and note them in its row.

    Without ``names_and_floating`` the names of networks and the floating addresses stay as they are known: a card
    that was plugged does not change them.

    Which cards a server has is the conductor's to say; here only their addresses, names and states change, and
    cards whose port is gone go.
    """
    network, service = request.service.network, request.service
    ports = {port.id: port for port in await network.ports_of(server_id)}
    floating: dict[tuple[str, str], tuple[str, ...]] = {}
    names = {}
    if names_and_floating:
        for f in await network.floating_ips(list(ports)) if ports else []:
            key = (f.port_id or "", f.fixed_ip or "")
            floating[key] = (*floating.get(key, ()), f.address)
        names = {n.id: n.name for n in await network.networks({port.network_id for port in ports.values()})}

    def fresh(vif: Vif) -> Vif:
        port = ports[vif.port_id]
        known = floating if names_and_floating else {(port.id, ip.address): ip.floating for ip in vif.fixed_ips}
        ips = tuple(FixedIp(ip.address, ip.subnet_id, known.get((port.id, ip.address), ())) for ip in port.fixed_ips)
        name = names.get(port.network_id, vif.network_name)
        return replace(vif, network_name=name, mac=port.mac, fixed_ips=ips, active=port.status == "ACTIVE")

    async with service.db.transaction() as tx:
        row: Any = await servers.find(tx, server_id, for_update=True)
        if row is None:
            return
        known = msgspec.convert(row.vifs, tuple[Vif, ...])
        now = tuple(fresh(vif) for vif in known if vif.port_id in ports)
        if now != known:
            await servers.change(tx, server_id, service.clock.now(), servers.vif_values(now))
