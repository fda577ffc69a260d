"""Ports with their addresses, groups and bindings. A list of any length takes four statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, exists, false, insert, or_, select, update

from kilonova.kernel.db import Duplicate, Transaction
from kilonova.network import errors
from kilonova.network.model import ipam
from kilonova.network.model.ports import METADATA
from kilonova.network.store import standard
from kilonova.network.store.listing import Filter, Listing, equals, reader
from kilonova.network.store.listing import standard as standard_filters
from kilonova.network.store.standard import Clash
from kilonova.network.store.tables import (
    networks,
    port_addresses,
    port_bindings,
    port_security_groups,
    ports,
    subnets,
)

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"


@dataclass(frozen=True, slots=True)
class Address:
    """One fixed address of a port."""

    subnet_id: str
    ip: str


def _has_address(**match: Any) -> ColumnElement[bool]:
    clause = [port_addresses.c.port_id == ports.c.id]
    return exists().where(and_(*clause, *(match.values())))


def _fixed_ips(texts: Sequence[str]) -> ColumnElement[bool]:
    """``ip_address=A``, ``subnet_id=S`` and ``ip_address_substr=P``: values of one kind are choices, kinds add up."""
    wanted: dict[str, list[str]] = {}
    for text in texts:
        for part in text.split(","):
            name, sign, value = part.partition("=")
            if not sign or name not in ("ip_address", "subnet_id", "ip_address_substr"):
                raise errors.HTTPBadRequest(reason=f"fixed_ips={text} is not a filter: ip_address=, subnet_id=")
            wanted.setdefault(name, []).append(value)
    clauses: list[ColumnElement[bool]] = [port_addresses.c.port_id == ports.c.id]
    if "ip_address" in wanted:
        clauses.append(port_addresses.c.ip_address.in_(wanted["ip_address"]))
    if "subnet_id" in wanted:
        clauses.append(port_addresses.c.subnet_id.in_(wanted["subnet_id"]))
    if "ip_address_substr" in wanted:
        parts = (port_addresses.c.ip_address.contains(p, autoescape=True) for p in wanted["ip_address_substr"])
        clauses.append(or_(*parts))
    return exists().where(and_(*clauses))


_FROM = ports.join(networks, networks.c.id == ports.c.network_id).outerjoin(
    port_bindings, and_(port_bindings.c.port_id == ports.c.id, port_bindings.c.status == ACTIVE)
)

_SELECT = select(
    ports,
    port_bindings.c.host,
    port_bindings.c.vnic_type,
    port_bindings.c.profile,
    port_bindings.c.vif_type,
    port_bindings.c.vif_details,
    networks.c.project_id.label("network_project_id"),
    networks.c.dns_domain.label("network_dns_domain"),
    networks.c.mtu.label("network_mtu"),
).select_from(_FROM)

LISTING = Listing(
    select=_SELECT,
    key=ports.c.id,
    visible=or_(ports.c.project_id == reader(), networks.c.project_id == reader()),
    columns=dict(ports.c),
    filters={
        **standard_filters(ports),
        "host": equals(port_bindings.c.host),
        "vnic_type": equals(port_bindings.c.vnic_type),
        "vif_type": equals(port_bindings.c.vif_type),
        "fixed_ips": Filter(lambda values: false(), literal=_fixed_ips),
        "security_groups": Filter(
            lambda values: exists().where(
                and_(
                    port_security_groups.c.port_id == ports.c.id,
                    port_security_groups.c.security_group_id.in_(values),
                )
            )
        ),
        "mac_address": equals(ports.c.mac_address, lambda text: text.lower().replace("-", ":")),
    },
)


_ADDRESSES = (
    select(port_addresses.c.port_id, port_addresses.c.subnet_id, port_addresses.c.ip_address, subnets.c.cidr)
    .join(subnets, subnets.c.id == port_addresses.c.subnet_id)
    .where(port_addresses.c.port_id.in_(bindparam("ports", expanding=True)))
    .order_by(port_addresses.c.port_id, port_addresses.c.place)
)
_GROUPS = (
    select(port_security_groups.c.port_id, port_security_groups.c.security_group_id)
    .where(port_security_groups.c.port_id.in_(bindparam("ports", expanding=True)))
    .order_by(port_security_groups.c.security_group_id)
)
_BY_IDS = _SELECT.where(ports.c.id.in_(bindparam("ports", expanding=True)))
_TAKEN = select(port_addresses.c.ip_key).where(
    port_addresses.c.subnet_id == bindparam("subnet"),
    port_addresses.c.ip_key.between(bindparam("first"), bindparam("last")),
)
_MAC = select(ports.c.id).where(ports.c.network_id == bindparam("network"), ports.c.mac_address == bindparam("mac"))
_ADD_GROUPS, _ADD_ADDRESSES = insert(port_security_groups), insert(port_addresses)
_ADD_BINDING = insert(port_bindings)
_OWN = {
    table: delete(table).where(table.c.port_id == bindparam("port"))
    for table in (port_addresses, port_security_groups, port_bindings)
}


async def addresses(tx: Transaction, port_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The addresses of each of the ports, in their order: subnet_id, ip_address, cidr."""
    found: dict[str, list[Row[Any]]] = {}
    if not port_ids:
        return found
    for row in await tx.all(_ADDRESSES, {"ports": list(port_ids)}):
        found.setdefault(row.port_id, []).append(row)
    return found


async def group_ids(tx: Transaction, port_ids: Sequence[str]) -> dict[str, list[str]]:
    """The security groups of each of the ports."""
    found: dict[str, list[str]] = {}
    if not port_ids:
        return found
    for row in await tx.all(_GROUPS, {"ports": list(port_ids)}):
        found.setdefault(row.port_id, []).append(row.security_group_id)
    return found


async def find(tx: Transaction, port_id: str) -> Row[Any] | None:
    """A port with its active binding and facts of its network, whoever owns it."""
    return await tx.first(_BY_IDS, {"ports": [port_id]})


async def find_all(tx: Transaction, port_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Ports by id, as ``find`` gives them."""
    if not port_ids:
        return {}
    return {row.id: row for row in await tx.all(_BY_IDS, {"ports": list(port_ids)})}


async def lookup(tx: Transaction, network_id: str, ip_address: str) -> Row[Any] | None:
    """The port that has an address in a network: id, device_id, device_owner, project_id, mac_address."""
    statement = (
        select(ports.c.id, ports.c.device_id, ports.c.device_owner, ports.c.project_id, ports.c.mac_address)
        .join(port_addresses, port_addresses.c.port_id == ports.c.id)
        .where(port_addresses.c.network_id == network_id, port_addresses.c.ip_address == ip_address)
    )
    return await tx.first(statement)


async def metadata_port(tx: Transaction, network_id: str) -> Row[Any] | None:
    """The network's metadata port, if it has one."""
    statement = _SELECT.where(ports.c.network_id == network_id, ports.c.device_owner == METADATA)
    return await tx.first(statement.limit(1))


# --- addresses ------------------------------------------------------------------------------------------------


async def taken(tx: Transaction, subnet_id: str, window: ipam.Pool) -> set[int]:
    """Which addresses of a window ports have."""
    bounds = {"subnet": subnet_id, "first": f"{window.first:032x}", "last": f"{window.last:032x}"}
    return {int(text, 16) for text in await tx.column(_TAKEN, bounds)}


async def holder(tx: Transaction, subnet_id: str, ip: str) -> str | None:
    """The port that has this address."""
    statement = select(port_addresses.c.port_id).where(
        port_addresses.c.subnet_id == subnet_id, port_addresses.c.ip_address == ip
    )
    return await tx.scalar(statement)  # type: ignore[no-any-return]


async def keep_addresses(tx: Transaction, port_id: str, network_id: str, wanted: Sequence[Address]) -> None:
    """Make the port's addresses these. Raises Clash when another port has one of them."""
    await tx.run(_OWN[port_addresses], {"port": port_id})
    rows = [
        {
            "port_id": port_id,
            "network_id": network_id,
            "subnet_id": address.subnet_id,
            "ip_address": address.ip,
            "ip_key": ipam.key_of(address.ip),
            "place": place,
        }
        for place, address in enumerate(wanted)
    ]
    try:
        await tx.run(_ADD_ADDRESSES, rows)
    except Duplicate:
        raise Clash() from None


async def drop_subnet_addresses(tx: Transaction, subnet_id: str) -> list[str]:
    """Take a subnet's addresses from all ports; the ports' ids."""
    statement = select(port_addresses.c.port_id).where(port_addresses.c.subnet_id == subnet_id)
    found = await tx.column(statement)
    await tx.run(delete(port_addresses).where(port_addresses.c.subnet_id == subnet_id))
    return found


# --- groups, bindings -----------------------------------------------------------------------------------------


async def keep_groups(tx: Transaction, port_id: str, wanted: Iterable[str]) -> None:
    """Make the port's security groups these."""
    await tx.run(_OWN[port_security_groups], {"port": port_id})
    rows = [{"port_id": port_id, "security_group_id": group_id} for group_id in dict.fromkeys(wanted)]
    await tx.run(_ADD_GROUPS, rows)


async def bindings(tx: Transaction, port_id: str) -> Sequence[Row[Any]]:
    """All bindings of a port."""
    statement = select(port_bindings).where(port_bindings.c.port_id == port_id)
    return await tx.all(statement.order_by(port_bindings.c.host))


async def add_binding(tx: Transaction, port_id: str, host: str, values: Mapping[str, Any]) -> None:
    """Record a binding. Raises Duplicate when the port has one on that host."""
    await tx.run(_ADD_BINDING, {"port_id": port_id, "host": host, **values})


async def change_binding(tx: Transaction, port_id: str, host: str, values: Mapping[str, Any]) -> None:
    """Change the binding of a port on a host (``host`` itself may be among the values)."""
    match = and_(port_bindings.c.port_id == port_id, port_bindings.c.host == host)
    await tx.run(update(port_bindings).where(match).values(**values))


async def drop_binding(tx: Transaction, port_id: str, host: str | None = None) -> int:
    """Forget the binding on a host, or all."""
    statement = delete(port_bindings).where(port_bindings.c.port_id == port_id)
    if host is not None:
        statement = statement.where(port_bindings.c.host == host)
    return await tx.run(statement)


async def drop(tx: Transaction, port_id: str) -> None:
    """Delete a port with all that is its own."""
    for statement in _OWN.values():
        await tx.run(statement, {"port": port_id})
    await standard.drop(tx, ports, port_id)


async def set_status(tx: Transaction, port_id: str, status: str) -> bool:
    """Note what the driver says of a port; whether that is news. The revision counts only users' changes."""
    return await tx.run(update(ports).where(ports.c.id == port_id, ports.c.status != status).values(status=status)) > 0


async def statuses(tx: Transaction) -> dict[str, str]:
    """Every port's status by id."""
    return {row.id: row.status for row in await tx.all(select(ports.c.id, ports.c.status))}


async def with_subnet(tx: Transaction, subnet_id: str) -> list[str]:
    """Ids of the ports that have an address of the subnet."""
    return await tx.column(select(port_addresses.c.port_id).where(port_addresses.c.subnet_id == subnet_id).distinct())


async def of_network(tx: Transaction, network_id: str) -> list[str]:
    """Ids of a network's ports."""
    return await tx.column(select(ports.c.id).where(ports.c.network_id == network_id))


async def macs_taken(tx: Transaction, network_id: str, mac: str) -> bool:
    """Whether a port of the network has this MAC address."""
    return await tx.first(_MAC, {"network": network_id, "mac": mac}) is not None
