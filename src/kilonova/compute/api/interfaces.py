"""A server's network cards: list, show, attach, detach."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import check_may_change, server_row, write
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.requested_networks import resolve_networks
from kilonova.compute.api.values import IP, TAG, UUID, closed
from kilonova.compute.api.waiting import done
from kilonova.compute.errors import InterfaceNotFound
from kilonova.compute.microversions import v
from kilonova.compute.model import operations
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Field, FieldTable, Response, accepted, answer

INTERFACE = FieldTable(
    Field("port_id", lambda vif: vif["port_id"]),
    Field("net_id", lambda vif: vif["network_id"]),
    Field("mac_addr", lambda vif: vif["mac"]),
    Field("port_state", lambda vif: "ACTIVE" if vif["active"] else "DOWN"),
    Field(
        "fixed_ips",
        lambda vif: [{"ip_address": ip["address"], "subnet_id": ip["subnet_id"]} for ip in vif["fixed_ips"]],
    ),
    Field("tag", lambda vif: vif["tag"], since=v(70)),
)


def _create(tagged: bool) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "net_id": UUID,
        "port_id": UUID,
        "fixed_ips": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": closed({"ip_address": IP}, "ip_address"),
        },
    }
    if tagged:
        keys["tag"] = TAG
    return closed({"interfaceAttachment": closed(keys)})


CREATE = ((None, v(48), _create(False)), (v(49), None, _create(True)))


async def list_interfaces(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-interface"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    return answer({"interfaceAttachments": INTERFACE.render_all(row.vifs, request.version)})


async def show_interface(request: ComputeRequest) -> Response:
    """GET /servers/{id}/os-interface/{port}"""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    return _shown(request, row, request.params["port_id"])


def _shown(request: ComputeRequest, row: Any, port_id: str) -> Response:
    vif = next((one for one in row.vifs if one["port_id"] == port_id), None)
    if vif is None:
        raise InterfaceNotFound(id=row.id, port_id=port_id)
    return answer({"interfaceAttachment": INTERFACE.render(vif, request.version)})


async def attach_interface(request: ComputeRequest) -> Response:
    """POST /servers/{id}/os-interface; answered when the card is there"""
    ask = (request.body or {}).get("interfaceAttachment") or {}
    network, port, fixed = ask.get("net_id"), ask.get("port_id"), ask.get("fixed_ips")
    if network and port:
        raise BadRequest("Must not input both network_id and port_id")
    if fixed and not network:
        raise BadRequest("Must input network_id when request IP address")
    row: Any
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
        check_may_change(request, row, "attach_interface")
    card: dict[str, Any] = {"port": port} if port else {"uuid": network} if network else {}
    if fixed:
        card["fixed_ip"] = fixed[0]["ip_address"]
    if ask.get("tag"):
        card["tag"] = ask["tag"]
    asked = [card] if network or port else None
    found = await resolve_networks(request, asked, (), count=1, least=1)
    if not found.cards:
        raise BadRequest("There is no network that the server could be attached to; name one.")
    payload = operations.AttachInterface(network=found.cards[0])
    before = {vif["port_id"] for vif in row.vifs}
    async with request.service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        check_may_change(request, row, "attach_interface")
        operation_id = await write(request, tx, operations.ATTACH_INTERFACE, row.id, payload)
    operation = await done(request, operation_id)
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    made = operation.data.get("vif", {}).get("port_id") or port
    if made is None:
        made = next((vif["port_id"] for vif in row.vifs if vif["port_id"] not in before), "")
    return _shown(request, row, made)


async def detach_interface(request: ComputeRequest) -> Response:
    """DELETE /servers/{id}/os-interface/{port}"""
    port_id = request.params["port_id"]
    async with request.service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        check_may_change(request, row, "detach_interface")
        if port_id not in [vif["port_id"] for vif in row.vifs]:
            raise InterfaceNotFound(id=row.id, port_id=port_id)
        payload = operations.DetachInterface(port_id=port_id)
        await write(request, tx, operations.DETACH_INTERFACE, row.id, payload)
    return accepted()
