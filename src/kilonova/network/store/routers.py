"""Routers, their legs, and floating IPs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from kilonova.kernel.db import Transaction
from kilonova.network.store.listing import Listing, reader, standard
from kilonova.network.store.tables import (
    floatingips,
    networks,
    port_addresses,
    ports,
    router_interfaces,
    routers,
    subnets,
)

LISTING = Listing(
    select=select(routers),
    key=routers.c.id,
    visible=routers.c.project_id == reader(),
    columns=dict(routers.c),
    filters=standard(routers),
)

FLOATING_IPS = Listing(
    select=select(
        floatingips,
        ports.c.name.label("port_name"),
        ports.c.mac_address.label("port_mac"),
        ports.c.network_id.label("port_network_id"),
        ports.c.status.label("port_status"),
        ports.c.admin_state_up.label("port_admin_state_up"),
        ports.c.device_id.label("port_device_id"),
        ports.c.device_owner.label("port_device_owner"),
    ).select_from(floatingips.outerjoin(ports, ports.c.id == floatingips.c.port_id)),
    key=floatingips.c.id,
    visible=floatingips.c.project_id == reader(),
    columns=dict(floatingips.c),
    filters=standard(floatingips),
)


async def legs(tx: Transaction, router_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """For each router the addresses of its legs, with what their ports, subnets and networks say."""
    found: dict[str, list[Row[Any]]] = {}
    statement = (
        select(
            router_interfaces.c.router_id,
            ports.c.id.label("port_id"),
            ports.c.network_id,
            ports.c.mac_address,
            networks.c.mtu,
            port_addresses.c.subnet_id,
            port_addresses.c.ip_address,
            subnets.c.cidr,
            subnets.c.ip_version,
            subnets.c.gateway_ip,
            subnets.c.ipv6_ra_mode,
            subnets.c.ipv6_address_mode,
            subnets.c.dns_nameservers,
        )
        .select_from(router_interfaces)
        .join(ports, ports.c.id == router_interfaces.c.port_id)
        .join(networks, networks.c.id == ports.c.network_id)
        .join(port_addresses, port_addresses.c.port_id == ports.c.id)
        .join(subnets, subnets.c.id == port_addresses.c.subnet_id)
        .where(router_interfaces.c.router_id.in_(list(router_ids)))
        .order_by(ports.c.id, port_addresses.c.place)
    )
    for row in await tx.all(statement):
        found.setdefault(row.router_id, []).append(row)
    return found


async def gateway_addresses(tx: Transaction, port_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The addresses of gateway ports, with what their subnets and networks say."""
    found: dict[str, list[Row[Any]]] = {}
    if not port_ids:
        return found
    statement = (
        select(
            ports.c.id.label("port_id"),
            ports.c.network_id,
            ports.c.mac_address,
            networks.c.mtu,
            port_addresses.c.subnet_id,
            port_addresses.c.ip_address,
            subnets.c.cidr,
            subnets.c.ip_version,
            subnets.c.gateway_ip,
        )
        .select_from(ports)
        .join(networks, networks.c.id == ports.c.network_id)
        .join(port_addresses, port_addresses.c.port_id == ports.c.id)
        .join(subnets, subnets.c.id == port_addresses.c.subnet_id)
        .where(ports.c.id.in_(list(port_ids)))
        .order_by(ports.c.id, port_addresses.c.place)
    )
    for row in await tx.all(statement):
        found.setdefault(row.port_id, []).append(row)
    return found


async def add_interface(tx: Transaction, router_id: str, port_id: str) -> None:
    """Make a port a leg of a router. Raises Duplicate when it is one already."""
    await tx.run(insert(router_interfaces).values(router_id=router_id, port_id=port_id))


async def drop_interface(tx: Transaction, port_id: str) -> None:
    """The port is no longer a leg."""
    await tx.run(delete(router_interfaces).where(router_interfaces.c.port_id == port_id))


async def router_of_port(tx: Transaction, port_id: str) -> str | None:
    """The router whose leg a port is."""
    statement = select(router_interfaces.c.router_id).where(router_interfaces.c.port_id == port_id)
    return await tx.scalar(statement)  # type: ignore[no-any-return]


async def routers_on_network(tx: Transaction, network_id: str) -> list[str]:
    """Routers that have a leg or their gateway in a network."""
    by_leg = (
        select(router_interfaces.c.router_id)
        .join(ports, ports.c.id == router_interfaces.c.port_id)
        .where(ports.c.network_id == network_id)
    )
    by_gateway = select(routers.c.id).where(routers.c.gateway_network_id == network_id)
    return sorted({*await tx.column(by_leg), *await tx.column(by_gateway)})


async def routers_joining(tx: Transaction, external_network_id: str, subnet_id: str) -> Sequence[Row[Any]]:
    """Routers with their gateway in the external network and a leg in the subnet: id, gateway_ip, ip_address."""
    return await tx.all(
        select(routers.c.id, routers.c.gateway_port_id, port_addresses.c.ip_address, subnets.c.gateway_ip)
        .select_from(router_interfaces)
        .join(routers, routers.c.id == router_interfaces.c.router_id)
        .join(port_addresses, port_addresses.c.port_id == router_interfaces.c.port_id)
        .join(subnets, subnets.c.id == port_addresses.c.subnet_id)
        .where(routers.c.gateway_network_id == external_network_id, port_addresses.c.subnet_id == subnet_id)
        .order_by(routers.c.created_at, routers.c.id)
    )


async def floating_ips_of_router(tx: Transaction, router_id: str) -> Sequence[Row[Any]]:
    """Floating IPs that go through a router."""
    return await tx.all(select(floatingips).where(floatingips.c.router_id == router_id))


async def floating_ips_of_port(tx: Transaction, port_id: str) -> Sequence[Row[Any]]:
    """Floating IPs that lead to a port."""
    return await tx.all(select(floatingips).where(floatingips.c.port_id == port_id))


async def idle_floating_ips(tx: Transaction, network_id: str) -> Sequence[Row[Any]]:
    """Floating IPs of an external network that lead nowhere."""
    statement = select(floatingips).where(floatingips.c.floating_network_id == network_id)
    return await tx.all(statement.where(floatingips.c.port_id.is_(None)))


async def floating_ip_of_own_port(tx: Transaction, port_id: str) -> str | None:
    """The floating IP whose address a port holds."""
    statement = select(floatingips.c.id).where(floatingips.c.floating_port_id == port_id)
    return await tx.scalar(statement)  # type: ignore[no-any-return]


async def router_of_gateway_port(tx: Transaction, port_id: str) -> str | None:
    """The router whose gateway a port is."""
    statement = select(routers.c.id).where(routers.c.gateway_port_id == port_id)
    return await tx.scalar(statement)  # type: ignore[no-any-return]


async def floating_ip_at(tx: Transaction, network_id: str, port_id: str, fixed_ip: str) -> Row[Any] | None:
    """The floating IP of an external network that leads to a port's address."""
    return await tx.first(
        select(floatingips).where(
            floatingips.c.floating_network_id == network_id,
            floatingips.c.port_id == port_id,
            floatingips.c.fixed_ip_address == fixed_ip,
        )
    )


async def set_floating_ip_status(tx: Transaction, floating_ip_id: str, status: str) -> None:
    """Note whether the address is carried."""
    await tx.run(update(floatingips).where(floatingips.c.id == floating_ip_id).values(status=status))
