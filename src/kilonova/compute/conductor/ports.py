"""Ports of a server: made or taken over for a host, and given back. Used by build, delete and the interfaces."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.clients.network import NetworkRefused, Port
from kilonova.compute.conductor.parts import Parts
from kilonova.compute.model.servers import RequestedNetwork, Server, Vif
from kilonova.kernel.errors import Error


class NetworkFailed(Error):
    """The network service refused what the server needs; its owner may read why."""

    status = 400
    code = "NetworkRefused"
    text = "{why}"


class BindingFailed(Error):
    """The chosen host cannot carry the port; another might."""

    status = 500
    text = "Binding failed for port {port_id}, please check the network service's log for what host {host} lacks."


def owner_of(zone: str) -> str:
    """The ``device_owner`` of a server's port."""
    return f"compute:{zone}"


async def bind_ports(
    parts: Parts,
    server: Server,
    asked: Sequence[RequestedNetwork],
    *,
    host: str,
    zone: str,
    security_group_ids: Sequence[str],
    fresh: bool,
) -> list[tuple[Port, bool, str | None]]:
    """A bound port for each card that is asked for, in order: (port, made by us, tag).

    Looks first for ports that an earlier try made, unless ``fresh`` says that there was none. Raises NetworkFailed
    or BindingFailed.
    """
    there: list[Port] = [] if fresh else await parts.network.ports_of(server.id)
    taken = {one.port_id for one in asked if one.port_id} | {vif.port_id for vif in server.vifs}
    # Anybody may write our server's id on a port of theirs: only the server's own project's ports can be what we made.
    spare = [port for port in there if port.id not in taken and port.project_id == server.project_id]
    bound = []
    for one in asked:
        try:
            if one.port_id:
                port = await parts.network.bind_port(
                    one.port_id, device_id=server.id, device_owner=owner_of(zone), host=host
                )
            else:
                port = await _made(parts, server, one, spare, host, zone, security_group_ids)
        except NetworkRefused as refused:
            raise NetworkFailed(why=refused.message) from refused
        if port.vif_type == "binding_failed":
            raise BindingFailed(port_id=port.id, host=host)
        bound.append((port, one.port_id is None, one.tag))
    return bound


async def _made(
    parts: Parts,
    server: Server,
    one: RequestedNetwork,
    spare: list[Port],
    host: str,
    zone: str,
    security_group_ids: Sequence[str],
) -> Port:
    for port in spare:
        fits = port.network_id == one.network_id and (
            one.fixed_ip is None or one.fixed_ip in {ip.address for ip in port.fixed_ips}
        )
        if fits:
            spare.remove(port)
            if port.host == host:
                return port
            return await parts.network.bind_port(port.id, device_id=server.id, device_owner=owner_of(zone), host=host)
    return await parts.network.create_port(
        network_id=one.network_id or "",
        project_id=server.project_id,
        device_id=server.id,
        device_owner=owner_of(zone),
        host=host,
        fixed_ip=one.fixed_ip,
        security_group_ids=security_group_ids,
        dns_name=server.hostname.partition(".")[0],  # so that its neighbours know it by name
    )


async def give_back(parts: Parts, asked: Sequence[RequestedNetwork], server_id: str, keep: Sequence[Vif] = ()) -> None:
    """Undo of ``bind_ports``: ports that users made are unbound, all others of the server are deleted."""
    own = {one.port_id for one in asked if one.port_id}
    kept = {vif.port_id for vif in keep}
    for port in await parts.network.ports_of(server_id):
        if port.id in kept:
            continue
        if port.id in own:
            await parts.network.unbind_port(port.id)
        else:
            await parts.network.delete_port(port.id)


async def free_vif(parts: Parts, vif: Vif) -> None:
    """Give back one card's port: delete it when we made it, else unbind it."""
    if vif.made_by_us:
        await parts.network.delete_port(vif.port_id)
    else:
        await parts.network.unbind_port(vif.port_id)
