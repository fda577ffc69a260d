"""Agents and availability zones over HTTP: the hosts that carry ports, as the driver knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.kernel.db import Row
from kilonova.kernel.web import Request, Response, Route, answer
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import both, shown
from kilonova.network.api.collection import Resource, Wire
from kilonova.network.service import Network
from kilonova.network.store import agents as store
from kilonova.network.workflows.change import Change

ATTRIBUTES = (
    shown("id"),
    shown("agent_type"),
    shown("binary", filters=False),
    shown("host"),
    shown("topic", filters=False),
    shown("alive"),
    shown("availability_zone", filters=False),
    shown("created_at"),
    shown("started_at"),
    shown("heartbeat_timestamp"),
    shown("configurations", filters=False),
    both("admin_state_up", rows.BOOL, True, rows.to_bool),
    both("description", rows.text_or_none(), "", lambda value: value or ""),
)

BINARIES = {"OVN Controller Gateway agent": "ovn-controller", "OVN Controller agent": "ovn-controller"}


def view(row: Row[Any], related: Any) -> Wire:
    """An agent on the wire; its moments are written as upstream does for agents, without a zone."""
    return {
        "id": row.id,
        "agent_type": row.agent_type,
        "binary": BINARIES.get(row.agent_type, "ovn-controller"),
        "host": row.host,
        "topic": "n/a",
        "alive": row.alive,
        "admin_state_up": row.admin_state_up,
        "availability_zone": row.configurations.get("availability_zone"),
        "created_at": _moment(row.created_at),
        "started_at": _moment(row.started_at),
        "heartbeat_timestamp": _moment(row.heartbeat_timestamp),
        "description": row.description,
        "configurations": row.configurations,
        "resources_synced": None,
    }


def _moment(value: Any) -> str:
    return str(value.isoformat(sep=" ")[:19])


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await store.change(change.tx, row.id, ask)


async def _remove(change: Change, row: Row[Any]) -> None:
    if row.alive:
        raise errors.BadRequest(resource="agent", reason="a live agent cannot be deleted; stop it first")
    await store.drop(change.tx, row.id)


AGENTS = Resource(
    name="agent",
    plural="agents",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.AgentNotFound,
    view=view,
    alter=_alter,
    remove=_remove,
    taggable=False,
)


async def list_zones(request: Request[Network]) -> Response:
    """GET the availability zones that hosts are in."""
    async with request.service.db.read() as tx:
        found = await store.all_of(tx)
    zones: dict[str, bool] = {}
    for row in found:
        name = row.configurations.get("availability_zone") or request.service.settings.availability_zone
        zones[name] = zones.get(name, False) or (row.alive and row.admin_state_up)
    listed = [
        {"name": name, "resource": resource, "state": "available" if up else "unavailable"}
        for name, up in sorted(zones.items())
        for resource in ("network", "router")
    ]
    for key in ("name", "resource", "state"):
        if key in request.query:
            listed = [zone for zone in listed if zone[key] in request.query[key]]
    return answer({"availability_zones": listed})


ROUTES = (Route("GET", "/v2.0/availability_zones", list_zones, "get_availability_zone", "List availability zones"),)
