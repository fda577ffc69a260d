"""Subnets and subnet pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from kilonova.kernel.db import Transaction
from kilonova.network.model.ports import AUTOMATIC_OWNERS
from kilonova.network.store import sharing
from kilonova.network.store.listing import Listing, reader, standard
from kilonova.network.store.tables import networks, port_addresses, ports, subnetpools, subnets

_shared = sharing.granted(subnets.c.network_id, sharing.SHARED)
_external = sharing.granted(subnets.c.network_id, sharing.EXTERNAL, anybody=True)
_external_to_reader = sharing.granted(subnets.c.network_id, sharing.EXTERNAL)

LISTING = Listing(
    select=select(
        subnets,
        _shared.label("shared"),
        _external.label("external"),
        networks.c.project_id.label("network_project_id"),
    ).join(networks, networks.c.id == subnets.c.network_id),
    key=subnets.c.id,
    visible=or_(subnets.c.project_id == reader(), networks.c.project_id == reader(), _shared, _external_to_reader),
    columns=dict(subnets.c),
    filters={
        **standard(subnets),
        "shared": sharing.flag_filter(_shared),
        "external": sharing.flag_filter(_external),
    },
)

_pool_shared = sharing.granted(subnetpools.c.id, sharing.SHARED)

POOLS = Listing(
    select=select(subnetpools, _pool_shared.label("shared")),
    key=subnetpools.c.id,
    visible=or_(subnetpools.c.project_id == reader(), _pool_shared),
    columns=dict(subnetpools.c),
    filters={**standard(subnetpools), "shared": sharing.flag_filter(_pool_shared)},
)


async def of_network(tx: Transaction, network_id: str) -> Sequence[Row[Any]]:
    """The subnets of a network, oldest first."""
    return await tx.all(_OF_NETWORK, {"network": network_id})


_OF_NETWORK = (
    select(subnets).where(subnets.c.network_id == bindparam("network")).order_by(subnets.c.created_at, subnets.c.id)
)


async def of_pool(tx: Transaction, pool_id: str) -> Sequence[Row[Any]]:
    """The subnets that were allocated from a pool."""
    return await tx.all(select(subnets).where(subnets.c.subnetpool_id == pool_id))


async def users(tx: Transaction, subnet_id: str) -> Sequence[Row[Any]]:
    """The ports that have an address of the subnet: id, device_owner, ip_address, ``automatic`` or not."""
    return await tx.all(
        select(ports.c.id, ports.c.device_owner, ports.c.device_id, port_addresses.c.ip_address)
        .join(port_addresses, port_addresses.c.port_id == ports.c.id)
        .where(port_addresses.c.subnet_id == subnet_id)
    )


async def first_user(tx: Transaction, subnet_id: str, *, slaac: bool) -> Row[Any] | None:
    """A port that keeps the subnet from being deleted. Ports lose a self-made (SLAAC) address with its
    subnet.
    """
    statement = (
        select(ports.c.id, ports.c.device_owner)
        .join(port_addresses, port_addresses.c.port_id == ports.c.id)
        .where(port_addresses.c.subnet_id == subnet_id, ports.c.device_owner.not_in(AUTOMATIC_OWNERS))
    )
    if slaac:
        statement = statement.where(ports.c.device_owner.like("network:%"))
    return await tx.first(statement.limit(1))
