"""Networks: what they are, who sees them, which segment they are on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func, or_, select

from kilonova.kernel.db import Transaction
from kilonova.network.model.ports import AUTOMATIC_OWNERS, FLOATING_IP, ROUTER_GATEWAY
from kilonova.network.store import sharing
from kilonova.network.store.listing import READER, Filter, Listing, equals, reader, standard
from kilonova.network.store.tables import networks, port_addresses, ports, subnets

_shared = sharing.granted(networks.c.id, sharing.SHARED)
_external = sharing.granted(networks.c.id, sharing.EXTERNAL, anybody=True)
_external_to_reader = sharing.granted(networks.c.id, sharing.EXTERNAL)

LISTING = Listing(
    select=select(networks, _shared.label("shared"), _external.label("external")),
    key=networks.c.id,
    visible=or_(networks.c.project_id == reader(), _shared, _external_to_reader),
    columns=dict(networks.c),
    filters={
        **standard(networks),
        "shared": sharing.flag_filter(_shared),
        "external": sharing.flag_filter(_external),
        "physical_network": equals(networks.c.physical_network),
        "subnets": Filter(
            lambda values: networks.c.id.in_(select(subnets.c.network_id).where(subnets.c.id.in_(values)))
        ),
    },
)


async def subnet_ids(tx: Transaction, network_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the subnets of each of the networks."""
    found: dict[str, list[str]] = {}
    for row in await tx.all(_SUBNET_IDS, {"networks": list(network_ids)}):
        found.setdefault(row.network_id, []).append(row.id)
    return found


_SUBNET_IDS = (
    select(subnets.c.network_id, subnets.c.id)
    .where(subnets.c.network_id.in_(bindparam("networks", expanding=True)))
    .order_by(subnets.c.created_at, subnets.c.id)
)


async def facts(tx: Transaction, network_id: str, project_id: str | None) -> Row[Any] | None:
    """A network with ``shared`` as ``project_id`` has it, and ``external``; whoever owns it."""
    return await tx.first(_facts, {"network_id": network_id, READER: project_id})


_facts = (
    select(networks, _shared.label("shared"), _external.label("external"))
    .where(networks.c.id == bindparam("network_id"))
    .with_for_update()
)


async def taken_segments(tx: Transaction, network_type: str, physical_network: str, first: int, last: int) -> set[int]:
    """Segmentation ids within first..last that networks have."""
    statement = select(networks.c.segmentation_id).where(
        networks.c.network_type == network_type,
        networks.c.physical_network == physical_network,
        networks.c.segmentation_id.between(first, last),
    )
    return set(await tx.column(statement))


async def ports_in_use(tx: Transaction, network_id: str) -> int:
    """How many ports keep the network from being deleted."""
    statement = select(func.count()).select_from(ports).where(ports.c.network_id == network_id)
    return int(await tx.scalar(statement.where(ports.c.device_owner.not_in(AUTOMATIC_OWNERS))) or 0)


async def automatic_ports(tx: Transaction, network_id: str) -> list[str]:
    """Ids of the ports that go with the network."""
    statement = select(ports.c.id).where(ports.c.network_id == network_id)
    return await tx.column(statement.where(ports.c.device_owner.in_(AUTOMATIC_OWNERS)))


async def has_gateway_ports(tx: Transaction, network_id: str) -> bool:
    """Whether routers or floating IPs live on the network."""
    statement = select(ports.c.id).where(
        ports.c.network_id == network_id, ports.c.device_owner.in_((ROUTER_GATEWAY, FLOATING_IP))
    )
    return await tx.first(statement.limit(1)) is not None


async def other_users(tx: Transaction, network_id: str, owner: str, keep: Collection[str] = ()) -> list[str]:
    """Projects beside the owner (and those of ``keep``) that have ports on the network."""
    statement = (
        select(ports.c.project_id)
        .distinct()
        .where(
            ports.c.network_id == network_id,
            ports.c.project_id.not_in(("", owner, *keep)),
            ports.c.device_owner.not_in((FLOATING_IP, ROUTER_GATEWAY)),
        )
    )
    return await tx.column(statement)


async def default_external(tx: Transaction) -> str | None:
    """The id of the external network that is the default."""
    statement = select(networks.c.id).where(networks.c.is_default, _external)
    return await tx.scalar(statement.limit(1))  # type: ignore[no-any-return]


async def availability(tx: Transaction, network_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """By network, by subnet: how many addresses are used. Networks without used addresses are missing."""
    found: dict[str, dict[str, int]] = {}
    statement = (
        select(port_addresses.c.network_id, port_addresses.c.subnet_id, func.count().label("used"))
        .where(port_addresses.c.network_id.in_(list(network_ids)))
        .group_by(port_addresses.c.network_id, port_addresses.c.subnet_id)
    )
    for row in await tx.all(statement):
        found.setdefault(row.network_id, {})[row.subnet_id] = row.used
    return found
