"""Subnets and subnet pools over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.db import Row
from kilonova.kernel.web import Request
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import REQUIRED, at_birth, both, shown
from kilonova.network.api.collection import Parent, Resource, Wire, common, reader_of
from kilonova.network.model import ipam
from kilonova.network.service import Network
from kilonova.network.store import networks as network_store
from kilonova.network.store import subnets as store
from kilonova.network.workflows import subnets as work
from kilonova.network.workflows.change import Change

_POOLS = {
    "type": ["array", "null"],
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {"start": {"type": "string", "format": "ip"}, "end": {"type": "string", "format": "ip"}},
        "required": ["start", "end"],
        "additionalProperties": False,
    },
}
_SERVERS = {"type": ["array", "null"], "maxItems": 100, "items": {"type": "string", "format": "ip"}}
_ROUTES = {
    "type": ["array", "null"],
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "destination": {"type": "string", "format": "cidr"},
            "nexthop": {"type": "string", "format": "ip"},
        },
        "required": ["destination", "nexthop"],
        "additionalProperties": False,
    },
}
_MODE = {"enum": [*ipam.IPV6_MODES, None]}
_TYPES = {"type": "array", "maxItems": 20, "items": rows.text(64)}


def _servers(value: Any) -> list[str]:
    return [rows.to_ip(one) for one in value or ()]


ATTRIBUTES = (
    *rows.standard(),
    at_birth("network_id", rows.ID, REQUIRED),
    at_birth(
        "ip_version", {"type": ["integer", "string", "null"], "enum": [4, 6, "4", "6", None]}, None, rows.or_none(int)
    ),
    at_birth("cidr", {"type": ["string", "null"], "maxLength": 64}),
    at_birth("prefixlen", {**rows.INTEGER_OR_NONE, "minimum": 0}, None, rows.or_none(rows.to_int), filters=False),
    at_birth("subnetpool_id", rows.text_or_none(36)),
    both("gateway_ip", rows.IP_OR_NONE, ""),
    both("enable_dhcp", rows.BOOL, True, rows.to_bool),
    at_birth("ipv6_ra_mode", _MODE),
    at_birth("ipv6_address_mode", _MODE),
    both("allocation_pools", _POOLS, None, filters=False),
    both("dns_nameservers", _SERVERS, (), _servers, filters=False),
    both("host_routes", _ROUTES, (), rows.to_list, filters=False),
    both("service_types", _TYPES, (), rows.to_list, filters=False),
    both("dns_publish_fixed_ip", rows.BOOL, False, rows.to_bool),
    shown("segment_id"),
    shown("shared"),
    shown("router:external", becomes="external"),
)


def view(row: Row[Any], related: Any) -> Wire:
    """A subnet on the wire."""
    return {
        **common(row),
        "name": row.name,
        "network_id": row.network_id,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "enable_dhcp": row.enable_dhcp,
        "ipv6_ra_mode": row.ipv6_ra_mode,
        "ipv6_address_mode": row.ipv6_address_mode,
        "allocation_pools": [{"start": first, "end": last} for first, last in row.allocation_pools],
        "dns_nameservers": row.dns_nameservers,
        "host_routes": [{"destination": d, "nexthop": h} for d, h in row.host_routes],
        "service_types": row.service_types,
        "dns_publish_fixed_ip": row.dns_publish_fixed_ip,
        "subnetpool_id": row.subnetpool_id,
        "segment_id": None,
        "router:external": bool(row.external),
        "tags": row.tags,
    }


def facts(row: Row[Any]) -> Mapping[str, Any]:
    """What rules ask about a subnet's network."""
    return {"network:project_id": row.network_project_id, "shared": bool(row.shared)}


async def network_of(change: Change, request: Request[Network], ask: Mapping[str, Any]) -> Parent:
    """The network that a new object is for, which the caller must be able to see."""
    found = await network_store.LISTING.one(change.tx, reader_of(request.context), ask["network_id"])
    if found is None:
        raise errors.NetworkNotFound(id=ask["network_id"])
    return Parent(found, network_facts(found))


def network_facts(row: Row[Any]) -> Mapping[str, Any]:
    """What rules ask about a network."""
    return {"network:project_id": row.project_id, "shared": bool(row.shared)}


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    assert parent.row is not None
    asked = dict(ask)
    if asked["subnetpool_id"] is not None:
        pool = await store.POOLS.one(change.tx, reader_of(change.context), asked["subnetpool_id"])
        if pool is None:
            raise errors.SubnetPoolNotFound(id=asked["subnetpool_id"])
    return await work.create_subnet(change, parent.row, asked)


async def _network(change: Change, row: Row[Any]) -> Row[Any]:
    found = await network_store.facts(change.tx, row.network_id, change.context.project_id)
    if found is None:
        raise errors.NetworkNotFound(id=row.network_id)
    return found


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_subnet(change, await _network(change, row), row, ask)


async def _remove(change: Change, row: Row[Any]) -> None:
    await work.delete_subnet(change, await _network(change, row), row)


SUBNETS = Resource(
    name="subnet",
    plural="subnets",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.SubnetNotFound,
    view=view,
    facts=facts,
    parent=network_of,
    make=_make,
    alter=_alter,
    remove=_remove,
)

# --- pools ------------------------------------------------------------------------------------------------------

_PREFIXES = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "format": "cidr"}}
_LENGTH = {**rows.INTEGER_OR_NONE, "minimum": 0, "maximum": 128}

POOL_ATTRIBUTES = (
    *rows.standard(),
    both("prefixes", _PREFIXES, REQUIRED, filters=False),
    both("default_prefixlen", _LENGTH, None, rows.or_none(rows.to_int)),
    both("min_prefixlen", _LENGTH, None, rows.or_none(rows.to_int)),
    both("max_prefixlen", _LENGTH, None, rows.or_none(rows.to_int)),
    both("default_quota", {**rows.INTEGER_OR_NONE, "minimum": 0}, None, rows.or_none(rows.to_int)),
    both("is_default", rows.BOOL, False, rows.to_bool),
    at_birth("shared", rows.BOOL, False, rows.to_bool),
    shown("ip_version"),
    shown("address_scope_id"),
)


def pool_view(row: Row[Any], related: Any) -> Wire:
    """A subnet pool on the wire."""
    return {
        **common(row),
        "name": row.name,
        "prefixes": row.prefixes,
        "ip_version": row.ip_version,
        "default_prefixlen": row.default_prefixlen,
        "min_prefixlen": row.min_prefixlen,
        "max_prefixlen": row.max_prefixlen,
        "default_quota": row.default_quota,
        "is_default": row.is_default,
        "shared": bool(row.shared),
        "address_scope_id": None,
        "tags": row.tags,
    }


async def _make_pool(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    return await work.create_pool(change, ask)


async def _alter_pool(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_pool(change, row, ask)


SUBNET_POOLS = Resource(
    name="subnetpool",
    plural="subnetpools",
    attributes=POOL_ATTRIBUTES,
    listing=store.POOLS,
    missing=errors.SubnetPoolNotFound,
    view=pool_view,
    make=_make_pool,
    alter=_alter_pool,
    remove=work.delete_pool,
)
