"""How many addresses networks have, and how many are used."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from kilonova.kernel.db import Row, Transaction
from kilonova.kernel.web import Request, Response, Route, answer
from kilonova.network import errors
from kilonova.network.api.collection import Wire, authorize
from kilonova.network.service import Network
from kilonova.network.store import networks as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.listing import Reader

_RULE = "get_network_ip_availability"
_FILTERS = {"network_id": "id", "network_name": "name", "tenant_id": "project_id", "project_id": "project_id"}


def _total(subnet: Row[Any]) -> int:
    return sum(
        int(ipaddress.ip_address(last)) - int(ipaddress.ip_address(first)) + 1
        for first, last in subnet.allocation_pools
    )


async def _views(tx: Transaction, found: Sequence[Row[Any]], version: int | None) -> list[Wire]:
    used = await store.availability(tx, [row.id for row in found]) if found else {}
    views = []
    for row in found:
        subnets = [
            {
                "subnet_id": subnet.id,
                "subnet_name": subnet.name,
                "cidr": subnet.cidr,
                "ip_version": subnet.ip_version,
                "total_ips": _total(subnet),
                "used_ips": used.get(row.id, {}).get(subnet.id, 0),
            }
            for subnet in await subnet_store.of_network(tx, row.id)
            if version in (None, subnet.ip_version)
        ]
        views.append(
            {
                "network_id": row.id,
                "network_name": row.name,
                "tenant_id": row.project_id,
                "project_id": row.project_id,
                "total_ips": sum(s["total_ips"] for s in subnets),
                "used_ips": sum(s["used_ips"] for s in subnets),
                "subnet_ip_availability": subnets,
            }
        )
    return views


async def list_all(request: Request[Network]) -> Response:
    """GET for all networks, or those of the filters."""
    authorize(request, _RULE, request.own_target())
    wanted, version = {}, None
    for name, values in request.query.items():
        if name == "ip_version" and values[-1] in ("4", "6"):
            version = int(values[-1])
        elif name in _FILTERS:
            wanted[_FILTERS[name]] = values
        else:
            raise errors.HTTPBadRequest(reason=f"['{name}'] is invalid attribute for filtering")
    async with request.service.db.read() as tx:
        found = await store.LISTING.rows(tx, Reader(request.context.project_id, True), wanted)
        views = await _views(tx, found, version)
    return answer({"network_ip_availabilities": views})


async def show_one(request: Request[Network]) -> Response:
    """GET for one network."""
    authorize(request, _RULE, request.own_target())
    async with request.service.db.read() as tx:
        row = await store.LISTING.one(tx, Reader(request.context.project_id, True), request.params["id"])
        if row is None:
            raise errors.NetworkNotFound(id=request.params["id"])
        views = await _views(tx, [row], None)
    return answer({"network_ip_availability": views[0]})


_URL = "/v2.0/network-ip-availabilities"
ROUTES = (
    Route("GET", _URL, list_all, _RULE, "List the use of networks' addresses", checks_target=True),
    Route("GET", _URL + "/{id}", show_one, _RULE, "Show the use of a network's addresses", checks_target=True),
)
