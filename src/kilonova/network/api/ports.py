"""Ports and their bindings over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kilonova.kernel.db import Row, Transaction
from kilonova.kernel.web import Request, Response, Route, answer, no_content
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import REQUIRED, at_birth, both, shown
from kilonova.network.api.collection import Parent, Resource, Wire, authorize, common, visible_row
from kilonova.network.api.subnets import network_of
from kilonova.network.config import Settings
from kilonova.network.drivers.driver import Binding, DriverError, NotAble, PortSpec
from kilonova.network.model import ports as rules
from kilonova.network.service import Network
from kilonova.network.store import ports as store
from kilonova.network.workflows import ports as work
from kilonova.network.workflows.change import Change, carry_out

BIND_DEADLINE_S = 10.0

_FIXED_IPS = {
    "type": ["array", "null"],
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {"subnet_id": rows.ID, "ip_address": {"type": "string", "format": "ip"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
}
_PAIRS = {
    "type": ["array", "null"],
    "maxItems": 1000,
    "items": {
        "type": "object",
        "properties": {"ip_address": rows.text(64), "mac_address": rows.text_or_none(32)},
        "required": ["ip_address"],
        "additionalProperties": False,
    },
}
_OPTIONS = {
    "type": ["array", "null"],
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "opt_name": rows.text(64),
            "opt_value": rows.text_or_none(255),
            "ip_version": {"enum": [4, 6, "4", "6"]},
        },
        "required": ["opt_name", "opt_value"],
        "additionalProperties": False,
    },
}


def _groups(value: Any) -> list[str] | None:
    return None if value is None else [rows.need_uuid(one) for one in value]


def _new_groups(value: Any) -> list[str] | None:
    return _groups(value)


def _vnic(value: str) -> str:
    if value not in rules.VNIC_TYPES:
        raise errors.InvalidInput(reason=f"'{value}' is not one of {', '.join(rules.VNIC_TYPES)}")
    return value


ATTRIBUTES = (
    *rows.standard(),
    at_birth("network_id", rows.ID, REQUIRED),
    both("admin_state_up", rows.BOOL, True, rows.to_bool),
    shown("status"),
    both("mac_address", rows.text_or_none(32), None, rows.or_none(rows.to_mac)),
    both("fixed_ips", _FIXED_IPS),
    both("device_id", rows.text(), ""),
    both("device_owner", rows.text(), ""),
    both("port_security_enabled", rows.BOOL, None, rows.or_none(rows.to_bool)),
    both("security_groups", {"type": ["array", "null"], "maxItems": 100, "items": rows.text(36)}, None, _new_groups),
    both("allowed_address_pairs", _PAIRS, (), rows.to_list, filters=False),
    both("extra_dhcp_opts", _OPTIONS, (), rows.to_list, filters=False),
    both("dns_name", rows.text(), "", rules.check_dns_name),
    both("dns_domain", rows.text(), "", rules.check_dns_domain),
    shown("dns_assignment"),
    both("binding:host_id", rows.text_or_none(), "", lambda value: value or "", becomes="host"),
    both("binding:vnic_type", rows.text(64), "normal", _vnic, becomes="vnic_type"),
    both(
        "binding:profile",
        {"type": ["object", "null"], "maxProperties": 64},
        {},
        lambda v: v or {},
        becomes="profile",
        filters=False,
    ),
    shown("binding:vif_type", becomes="vif_type"),
    shown("binding:vif_details", becomes="vif_details", filters=False),
    at_birth("propagate_uplink_status", rows.BOOL, True, rows.to_bool),
    shown("ip_allocation"),
)


@dataclass(frozen=True, slots=True)
class Related:
    """What a list of ports needs beside their rows."""

    addresses: Mapping[str, Sequence[Row[Any]]]
    groups: Mapping[str, list[str]]
    dns_domain: str


async def related(tx: Transaction, found: Sequence[Row[Any]], settings: Settings) -> Related:
    """Addresses and groups of all the ports, in two statements."""
    ids = [row.id for row in found]
    return Related(await store.addresses(tx, ids), await store.group_ids(tx, ids), settings.dns_domain)


def view(row: Row[Any], beside: Related) -> Wire:
    """A port on the wire."""
    addresses = beside.addresses.get(row.id, ())
    domain = row.dns_domain or row.network_dns_domain
    return {
        **common(row),
        "name": row.name,
        "network_id": row.network_id,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "mac_address": row.mac_address,
        "fixed_ips": [{"subnet_id": a.subnet_id, "ip_address": a.ip_address} for a in addresses],
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "port_security_enabled": row.port_security_enabled,
        "security_groups": beside.groups.get(row.id, []),
        "allowed_address_pairs": row.allowed_address_pairs,
        "extra_dhcp_opts": row.extra_dhcp_opts,
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "dns_assignment": rules.dns_assignment(
            row.dns_name, domain or beside.dns_domain, [a.ip_address for a in addresses]
        ),
        "binding:host_id": row.host or "",
        "binding:vnic_type": row.vnic_type or "normal",
        "binding:profile": row.profile or {},
        "binding:vif_type": row.vif_type or rules.UNBOUND,
        "binding:vif_details": row.vif_details or {},
        "propagate_uplink_status": row.propagate_uplink_status,
        "ip_allocation": "immediate" if addresses else "none",
        "tags": row.tags,
    }


def facts(row: Row[Any]) -> Mapping[str, Any]:
    """What rules ask about a port's network."""
    return {"network:project_id": row.network_project_id}


# --- binding ----------------------------------------------------------------------------------------------------


async def ask_driver(service: Network, port: PortSpec, host: str) -> Binding | None:
    """How the driver plugs the port on the host; None when it cannot. Raises DriverUnavailable when it is away."""
    try:
        async with asyncio.timeout(BIND_DEADLINE_S):
            return await service.driver.bind_port(port, host)
    except NotAble:
        return None
    except (DriverError, TimeoutError) as error:
        raise errors.DriverUnavailable() from error


async def _bind(request: Request[Network], ask: Mapping[str, Any], port_id: str | None) -> Binding | None:
    """Ask before the transaction; the driver writes nothing for it."""
    if port_id is None:
        if not ask["host"]:
            return None
        spec = PortSpec("new", ask["network_id"], "00:00:00:00:00:00", vnic_type=ask["vnic_type"])
        return await ask_driver(request.service, spec, ask["host"])
    if not {"host", "vnic_type", "profile"} & ask.keys():
        return None
    async with request.service.db.read() as tx:
        row = await store.find(tx, port_id)
    host = ask.get("host", row.host if row is not None else "")
    if row is None or not host:
        return None
    spec = PortSpec(row.id, row.network_id, row.mac_address, vnic_type=ask.get("vnic_type", row.vnic_type))
    return await ask_driver(request.service, spec, host)


async def _parent(change: Change, request: Request[Network], ask: Mapping[str, Any]) -> Parent:
    return await network_of(change, request, ask)


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    assert parent.row is not None
    return await work.create_port(change, parent.row, ask, prepared)


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_port(change, row, ask, prepared)


async def _remove(change: Change, row: Row[Any]) -> None:
    await work.delete_port(change, row)


PORTS = Resource(
    name="port",
    plural="ports",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.PortNotFound,
    view=view,
    related=related,
    facts=facts,
    parent=_parent,
    prepare=_bind,
    make=_make,
    alter=_alter,
    remove=_remove,
)

# --- several bindings of one port (live migration) -----------------------------------------------------------

_BINDING_BODY = {
    "type": "object",
    "properties": {
        "binding": {
            "type": "object",
            "properties": {
                "host": {**rows.text(), "minLength": 1},
                "vnic_type": {"enum": list(rules.VNIC_TYPES)},
                "profile": {"type": "object", "maxProperties": 64},
                "project_id": rows.text(),
                "tenant_id": rows.text(),
            },
            "required": ["host"],
            "additionalProperties": False,
        }
    },
    "required": ["binding"],
    "additionalProperties": False,
}


def _binding_view(row: Row[Any]) -> Wire:
    return {
        "host": row.host,
        "vif_type": row.vif_type,
        "vif_details": row.vif_details,
        "vnic_type": row.vnic_type,
        "profile": row.profile,
        "status": row.status,
    }


async def list_bindings(request: Request[Network]) -> Response:
    """GET a port's bindings."""
    async with request.service.db.read() as tx:
        row = await visible_row(tx, request, PORTS, request.params["id"])
        found = await store.bindings(tx, row.id)
    authorize(request, "get_port_binding", {"project_id": row.project_id})
    return answer({"bindings": [_binding_view(one) for one in found if one.host]})


async def create_binding(request: Request[Network]) -> Response:
    """POST a binding on another host."""
    ask = {"vnic_type": "normal", "profile": {}, **request.body["binding"]}
    async with request.service.db.read() as tx:
        row = await visible_row(tx, request, PORTS, request.params["id"])
    authorize(request, "create_port_binding", {"project_id": row.project_id})
    spec = PortSpec(row.id, row.network_id, row.mac_address, vnic_type=ask["vnic_type"])
    binding = await ask_driver(request.service, spec, ask["host"])

    async def change_it(change: Change) -> list[Row[Any]]:
        there = await visible_row(change.tx, request, PORTS, request.params["id"])
        await work.create_binding(change, there, ask["host"], ask, binding)
        return [one for one in await store.bindings(change.tx, there.id) if one.host == ask["host"]]

    found = await carry_out(request.service, request.context, change_it)
    return answer({"binding": _binding_view(found[0])}, 201)


async def activate_binding(request: Request[Network]) -> Response:
    """PUT: the binding on this host becomes the active one."""
    host = request.params["host"]

    async def change_it(change: Change) -> list[Row[Any]]:
        row = await visible_row(change.tx, request, PORTS, request.params["id"])
        authorize(request, "activate", {"project_id": row.project_id})
        await work.activate_binding(change, row, host)
        return [one for one in await store.bindings(change.tx, row.id) if one.host == host]

    found = await carry_out(request.service, request.context, change_it)
    return answer({"binding": _binding_view(found[0])})


async def delete_binding(request: Request[Network]) -> Response:
    """DELETE the binding on a host."""

    async def change_it(change: Change) -> None:
        row = await visible_row(change.tx, request, PORTS, request.params["id"])
        authorize(request, "delete_port_binding", {"project_id": row.project_id})
        await work.delete_binding(change, row, request.params["host"])

    await carry_out(request.service, request.context, change_it)
    return no_content()


_URL = "/v2.0/ports/{id}/bindings"
BINDING_ROUTES = (
    Route("GET", _URL, list_bindings, "get_port_binding", "List the bindings of a port", checks_target=True),
    Route(
        "POST",
        _URL,
        create_binding,
        "create_port_binding",
        "Bind a port on another host",
        body=_BINDING_BODY,
        status=201,
        checks_target=True,
    ),
    Route(
        "PUT",
        _URL + "/{host}/activate",
        activate_binding,
        "activate",
        "Make a binding the active one",
        body_required=False,
        checks_target=True,
    ),
    Route(
        "DELETE",
        _URL + "/{host}",
        delete_binding,
        "delete_port_binding",
        "Delete a binding",
        status=204,
        checks_target=True,
    ),
)
