"""Networks as compute listed them. Only ids and names are left of what its own networks once had."""

from __future__ import annotations

from typing import Any

from kilonova.clients.network import Network, NetworkRefused
from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, answer

_EMPTY = (
    "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6",
)  # fmt: skip
_EMPTY_FOR_ADMINS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip


def _shown(request: ComputeRequest, network: Network) -> dict[str, Any]:
    keys = _EMPTY + _EMPTY_FOR_ADMINS if request.context.is_admin else _EMPTY
    return {"id": network.id, "label": network.name, **dict.fromkeys(keys)}


def _shown_to_project(network: Network) -> dict[str, Any]:
    return {"id": network.id, "label": network.name, "cidr": "None"}


async def _find(request: ComputeRequest) -> Network:
    network_id = request.params["id"]
    try:
        found = await request.service.network.network(network_id, token=request.context.token)
    except NetworkRefused:
        found = None
    if found is None:
        raise NotFound("Network not found")
    return found


async def list_networks(request: ComputeRequest) -> Response:
    """GET /os-networks"""
    found = await request.service.network.visible_networks(token=request.context.token)
    return answer({"networks": [_shown(request, network) for network in found]})


async def show_network(request: ComputeRequest) -> Response:
    """GET /os-networks/{id}"""
    return answer({"network": _shown(request, await _find(request))})


async def list_project_networks(request: ComputeRequest) -> Response:
    """GET /os-tenant-networks"""
    found = await request.service.network.visible_networks(token=request.context.token)
    return answer({"networks": [_shown_to_project(network) for network in found]})


async def show_project_network(request: ComputeRequest) -> Response:
    """GET /os-tenant-networks/{id}"""
    return answer({"network": _shown_to_project(await _find(request))})
