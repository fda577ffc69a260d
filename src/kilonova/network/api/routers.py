"""Routers and floating IPs over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row, Transaction
from kilonova.kernel.web import Request, Response, Route, answer
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import REQUIRED, at_birth, both, shown
from kilonova.network.api.collection import (
    Parent,
    Resource,
    Sight,
    Wire,
    authorize,
    check_revision,
    common,
    reader_of,
    visible_row,
)
from kilonova.network.config import Settings
from kilonova.network.service import Network
from kilonova.network.store import networks as network_store
from kilonova.network.store import ports as port_store
from kilonova.network.store import routers as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.workflows import routers as work
from kilonova.network.workflows.change import Change, carry_out

_GATEWAY = {
    "type": ["object", "null"],
    "properties": {
        "network_id": rows.ID_OR_NONE,
        "enable_snat": rows.BOOL,
        "external_fixed_ips": {
            "type": ["array", "null"],
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {"subnet_id": rows.ID, "ip_address": {"type": "string", "format": "ip"}},
                "additionalProperties": False,
                "minProperties": 1,
            },
        },
        "qos_policy_id": {"type": "null"},
    },
    "additionalProperties": False,
}
_ROUTE = {
    "type": "object",
    "properties": {"destination": {"type": "string", "format": "cidr"}, "nexthop": {"type": "string", "format": "ip"}},
    "required": ["destination", "nexthop"],
    "additionalProperties": False,
}
_ROUTES = {"type": ["array", "null"], "maxItems": 1000, "items": _ROUTE}


def _gateway(value: Any) -> Mapping[str, Any]:
    asked = dict(value or {})
    if asked and asked.get("network_id") is None and set(asked) - {"network_id", "qos_policy_id"}:
        raise errors.HTTPBadRequest(reason="external_gateway_info needs a network_id")
    if asked.get("enable_snat") is not None:
        asked["enable_snat"] = rows.to_bool(asked["enable_snat"])
    return asked


def _only_false(name: str) -> Callable[[Any], bool]:
    def convert(value: Any) -> bool:
        if value is not None and rows.to_bool(value):
            raise errors.BadRequest(
                resource="router", reason=f"{name} cannot be chosen: every router here is carried alike"
            )
        return False

    return convert


ATTRIBUTES = (
    *rows.standard(),
    both("admin_state_up", rows.BOOL, True, rows.to_bool),
    shown("status"),
    both("external_gateway_info", _GATEWAY, None, _gateway, becomes="gateway", filters=False),
    rows.Attribute("routes", _ROUTES, put=True, convert=rows.to_list, filters=False),
    both(
        "distributed",
        {**rows.BOOL, "type": ["boolean", "string", "integer", "null"]},
        False,
        _only_false("distributed"),
        filters=False,
    ),
    both(
        "ha", {**rows.BOOL, "type": ["boolean", "string", "integer", "null"]}, False, _only_false("ha"), filters=False
    ),
    shown("availability_zone_hints", filters=False),
    shown("availability_zones", filters=False),
    shown("flavor_id"),
)


def view(row: Row[Any], gateways: Mapping[str, Sequence[Row[Any]]]) -> Wire:
    """A router on the wire."""
    return {
        **common(row),
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "external_gateway_info": _gateway_view(row, gateways.get(row.gateway_port_id or "", ())),
        "routes": [{"destination": d, "nexthop": h} for d, h in row.routes],
        "distributed": False,
        "ha": False,
        "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": [],
        "flavor_id": None,
        "tags": row.tags,
    }


def _gateway_view(row: Row[Any], addresses: Sequence[Row[Any]]) -> Wire | None:
    if row.gateway_port_id is None:
        return None
    return {
        "network_id": row.gateway_network_id,
        "enable_snat": row.enable_snat,
        "external_fixed_ips": [{"subnet_id": a.subnet_id, "ip_address": a.ip_address} for a in addresses],
    }


async def _gateways(tx: Transaction, found: Sequence[Row[Any]], settings: Settings) -> Mapping[str, Sequence[Row[Any]]]:
    return await port_store.addresses(tx, [row.gateway_port_id for row in found if row.gateway_port_id])


async def _check_external(change: Change, ask: Mapping[str, Any]) -> None:
    network_id = (ask.get("gateway") or {}).get("network_id")
    if network_id is None:
        return
    if await network_store.LISTING.one(change.tx, reader_of(change.context), network_id) is None:
        raise errors.NetworkNotFound(id=network_id)


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    await _check_external(change, ask)
    gateway = ask["gateway"] if (ask["gateway"] or {}).get("network_id") else None
    return await work.create_router(change, {**ask, "gateway": gateway})


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await _check_external(change, ask)
    await work.update_router(change, row, {k: v for k, v in ask.items() if k not in ("distributed", "ha")})


ROUTERS = Resource(
    name="router",
    plural="routers",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.RouterNotFound,
    view=view,
    related=_gateways,
    make=_make,
    alter=_alter,
    remove=work.delete_router,
)

# --- legs and extra routes --------------------------------------------------------------------------------------

_LEG_BODY = {
    "type": "object",
    "properties": {"subnet_id": rows.ID_OR_NONE, "port_id": rows.ID_OR_NONE},
    "additionalProperties": False,
}
_ROUTES_BODY = {
    "type": "object",
    "properties": {
        "router": {
            "type": "object",
            "properties": {"routes": {"type": "array", "maxItems": 1000, "items": _ROUTE}},
            "required": ["routes"],
            "additionalProperties": False,
        }
    },
    "required": ["router"],
    "additionalProperties": False,
}


async def _router(change: Change, request: Request[Network], rule: str) -> Row[Any]:
    row = await visible_row(change.tx, request, ROUTERS, request.params["id"])
    authorize(request, rule, {"project_id": row.project_id, "tenant_id": row.project_id})
    check_revision(request, row)
    return row


def _which(request: Request[Network]) -> tuple[str | None, str | None]:
    body = request.body or {}
    port_id, subnet_id = body.get("port_id"), body.get("subnet_id")
    if port_id is None and subnet_id is None:
        raise errors.BadRequest(resource="router", reason="Either subnet_id or port_id must be specified")
    return port_id, subnet_id


async def add_interface(request: Request[Network]) -> Response:
    """PUT a leg to a router, by subnet or by port."""
    port_id, subnet_id = _which(request)
    if port_id is not None and subnet_id is not None:
        raise errors.BadRequest(resource="router", reason="Cannot specify both subnet-id and port-id")

    async def change_it(change: Change) -> Wire:
        row = await _router(change, request, "add_router_interface")
        if port_id is not None:
            port = await port_store.LISTING.one(change.tx, reader_of(request.context), port_id)
            if port is None:
                raise errors.PortNotFound(id=port_id)
            return _leg(row, port_id, port.network_id, await work.add_port(change, row, port))
        subnet = await subnet_store.LISTING.one(change.tx, reader_of(request.context), str(subnet_id))
        if subnet is None or not _may_join(request, subnet):
            raise errors.SubnetNotFound(id=subnet_id)
        made = await work.add_subnet(change, row, subnet)
        return _leg(row, made, subnet.network_id, [subnet.id])

    return answer(await carry_out(request.service, request.context, change_it))


def _may_join(request: Request[Network], subnet: Row[Any]) -> bool:
    """Routers join networks of one's own and shared ones; that an external one can be seen does not suffice."""
    own = subnet.network_project_id == request.context.project_id
    return own or bool(subnet.shared) or request.context.is_admin


def _leg(row: Row[Any], port_id: str, network_id: str, subnet_ids: Sequence[str]) -> Wire:
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "port_id": port_id,
        "network_id": network_id,
        "subnet_id": subnet_ids[0],
        "subnet_ids": list(subnet_ids),
    }


async def remove_interface(request: Request[Network]) -> Response:
    """PUT: take a leg of a router away."""
    port_id, subnet_id = _which(request)

    async def change_it(change: Change) -> Wire:
        row = await _router(change, request, "remove_router_interface")
        removed, subnet_ids, network_id = await work.remove_leg(change, row, port_id=port_id, subnet_id=subnet_id)
        return _leg(row, removed, network_id, [subnet_id] if subnet_id else subnet_ids)

    return answer(await carry_out(request.service, request.context, change_it))


def _routes_handler(rule: str, *, add: bool) -> Callable[[Request[Network]], Awaitable[Response]]:
    async def handle(request: Request[Network]) -> Response:
        routes = [(one["destination"], one["nexthop"]) for one in request.body["router"]["routes"]]

        async def change_it(change: Change) -> Wire | None:
            row = await _router(change, request, rule)
            await work.change_routes(change, row, routes, add=add)
            after = await visible_row(change.tx, request, ROUTERS, row.id)
            return Sight(request, ROUTERS).show(after, await _gateways(change.tx, [after], change.settings))

        return answer({"router": await carry_out(request.service, request.context, change_it)})

    return handle


_URL = "/v2.0/routers/{id}"
ROUTER_ROUTES = (
    Route(
        "PUT",
        _URL + "/add_router_interface",
        add_interface,
        "add_router_interface",
        "Connect a router with a subnet",
        body=_LEG_BODY,
        checks_target=True,
    ),
    Route(
        "PUT",
        _URL + "/remove_router_interface",
        remove_interface,
        "remove_router_interface",
        "Disconnect a router from a subnet",
        body=_LEG_BODY,
        checks_target=True,
    ),
    Route(
        "PUT",
        _URL + "/add_extraroutes",
        _routes_handler("add_extraroutes", add=True),
        "add_extraroutes",
        "Add extra routes to a router",
        body=_ROUTES_BODY,
        checks_target=True,
    ),
    Route(
        "PUT",
        _URL + "/remove_extraroutes",
        _routes_handler("remove_extraroutes", add=False),
        "remove_extraroutes",
        "Remove extra routes from a router",
        body=_ROUTES_BODY,
        checks_target=True,
    ),
)

# --- floating IPs -----------------------------------------------------------------------------------------------

FLOATING_ATTRIBUTES = (
    *rows.standard(name=False),
    at_birth("floating_network_id", rows.ID, REQUIRED),
    at_birth("floating_ip_address", rows.IP_OR_NONE, None, rows.or_none(rows.to_ip)),
    at_birth("subnet_id", rows.ID_OR_NONE, filters=False),
    both("port_id", rows.ID_OR_NONE),
    both("fixed_ip_address", rows.IP_OR_NONE, None, rows.or_none(rows.to_ip)),
    at_birth("dns_name", rows.text(), ""),
    at_birth("dns_domain", rows.text(), ""),
    shown("router_id"),
    shown("status"),
    shown("port_details"),
    shown("port_forwardings"),
)


def floating_view(row: Row[Any], related: Any) -> Wire:
    """A floating IP on the wire."""
    return {
        **common(row),
        "floating_network_id": row.floating_network_id,
        "floating_ip_address": row.floating_ip_address,
        "port_id": row.port_id,
        "fixed_ip_address": row.fixed_ip_address,
        "router_id": row.router_id,
        "status": row.status,
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "port_details": _port_details(row),
        "port_forwardings": [],
        "qos_policy_id": None,
        "tags": row.tags,
    }


def _port_details(row: Row[Any]) -> Wire | None:
    if row.port_id is None:
        return None
    return {
        "name": row.port_name,
        "network_id": row.port_network_id,
        "mac_address": row.port_mac,
        "admin_state_up": row.port_admin_state_up,
        "status": row.port_status,
        "device_id": row.port_device_id,
        "device_owner": row.port_device_owner,
    }


async def _target(change: Change, port_id: str | None) -> Row[Any] | None:
    if port_id is None:
        return None
    found = await port_store.LISTING.one(change.tx, reader_of(change.context), port_id)
    if found is None:
        raise errors.PortNotFound(id=port_id)
    return found


async def _make_floating(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    network_id = ask["floating_network_id"]
    if await network_store.LISTING.one(change.tx, reader_of(change.context), network_id) is None:
        raise errors.NetworkNotFound(id=network_id)
    if ask["port_id"] is None and ask["fixed_ip_address"] is not None:
        raise errors.BadRequest(resource="floatingip", reason="fixed_ip_address cannot be specified without a port_id")
    return await work.create_floating_ip(change, ask, await _target(change, ask["port_id"]))


async def _alter_floating(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    port_id = ask.get("port_id", row.port_id if "fixed_ip_address" in ask else None)
    if port_id is None and ask.get("fixed_ip_address") is not None:
        raise errors.BadRequest(resource="floatingip", reason="fixed_ip_address cannot be specified without a port_id")
    await work.update_floating_ip(change, row, ask, await _target(change, port_id))


FLOATING_IPS = Resource(
    name="floatingip",
    plural="floatingips",
    attributes=FLOATING_ATTRIBUTES,
    listing=store.FLOATING_IPS,
    missing=errors.FloatingIPNotFound,
    view=floating_view,
    make=_make_floating,
    alter=_alter_floating,
    remove=work.delete_floating_ip,
)
