"""Networks over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row, Transaction
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import both, shown
from kilonova.network.api.collection import Parent, Resource, Wire, common
from kilonova.network.config import Settings
from kilonova.network.model.ports import check_dns_domain
from kilonova.network.store import networks as store
from kilonova.network.workflows import networks as work
from kilonova.network.workflows.change import Change

ATTRIBUTES = (
    *rows.standard(),
    both("admin_state_up", rows.BOOL, True, rows.to_bool),
    shown("status"),
    shown("subnets"),
    both("shared", rows.BOOL, False, rows.to_bool),
    both("router:external", rows.BOOL, False, rows.to_bool, becomes="external"),
    both("is_default", rows.BOOL, False, rows.to_bool),
    both("mtu", {**rows.INTEGER, "minimum": 0}, 0, rows.to_int),
    both("port_security_enabled", rows.BOOL, True, rows.to_bool),
    both("dns_domain", rows.text(), "", check_dns_domain),
    both("provider:network_type", rows.text_or_none(32), becomes="network_type"),
    both("provider:physical_network", rows.text_or_none(64), becomes="physical_network"),
    both("provider:segmentation_id", rows.INTEGER_OR_NONE, None, rows.or_none(rows.to_int), becomes="segmentation_id"),
    shown("availability_zone_hints", filters=False),
    shown("availability_zones", filters=False),
    shown("ipv4_address_scope"),
    shown("ipv6_address_scope"),
)


def view(row: Row[Any], subnets: Mapping[str, Sequence[str]]) -> Wire:
    """A network on the wire."""
    return {
        **common(row),
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "subnets": subnets.get(row.id, []),
        "shared": bool(row.shared),
        "router:external": bool(row.external),
        **({"is_default": row.is_default} if row.external else {}),
        "mtu": row.mtu,
        "port_security_enabled": row.port_security_enabled,
        "dns_domain": row.dns_domain,
        "provider:network_type": row.network_type,
        "provider:physical_network": row.physical_network or None,
        "provider:segmentation_id": None if row.segmentation_id < 0 else row.segmentation_id,
        "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "tags": row.tags,
    }


async def _subnets(tx: Transaction, found: Sequence[Row[Any]], settings: Settings) -> Mapping[str, Sequence[str]]:
    return await store.subnet_ids(tx, [row.id for row in found]) if found else {}


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    return await work.create_network(change, ask)


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_network(change, row, ask)


NETWORKS = Resource(
    name="network",
    plural="networks",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.NetworkNotFound,
    view=view,
    related=_subnets,
    make=_make,
    alter=_alter,
    remove=work.delete_network,
)
