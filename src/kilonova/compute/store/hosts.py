"""Queries of services, hosts and aggregates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from kilonova.compute.errors import AggregateExists, AggregateHostExists, AggregateHostNotFound
from kilonova.compute.model.hosts import Aggregate, Host, ServiceRecord
from kilonova.compute.store.tables import aggregate_hosts, aggregates, compute_nodes, services
from kilonova.kernel.db import Duplicate, Page, Transaction, paginate

COMPUTE = "nova-compute"
"""Upstream's name for the agent, under which its service record is kept."""

# -- services


def service_of(row: Row[Any]) -> ServiceRecord:
    """A row as a value."""
    return ServiceRecord(**row._mapping)


async def list_services(tx: Transaction, *, host: str | None = None, binary: str | None = None) -> list[ServiceRecord]:
    """All service records, or those of one host or one kind."""
    wanted: Select[Any] = select(services).order_by(services.c.number)
    if host is not None:
        wanted = wanted.where(services.c.host == host)
    if binary is not None:
        wanted = wanted.where(services.c.binary == binary)
    return [service_of(row) for row in await tx.all(wanted)]


_AGENTS = select(services).where(services.c.binary == COMPUTE, services.c.host.in_(bindparam("hosts", expanding=True)))


async def agents(tx: Transaction, hosts: Collection[str]) -> dict[str, ServiceRecord]:
    """The agents' service records of these hosts, by host."""
    rows = await tx.all(_AGENTS, {"hosts": list(hosts)})
    return {row.host: service_of(row) for row in rows}


async def find_service(tx: Transaction, key: str | int) -> ServiceRecord | None:
    """A service record by uuid, or by number when `key` is one."""
    column = services.c.number if isinstance(key, int) else services.c.id
    row = await tx.first(select(services).where(column == key))
    return None if row is None else service_of(row)


async def save_service(tx: Transaction, *, id: str, host: str, binary: str, topic: str, now: datetime) -> ServiceRecord:
    """Note that a service lives: a new record, or a new `last_seen_at` in the one it has. The record as it
    is now.
    """
    key = (services.c.host == host, services.c.binary == binary)
    if not await tx.run(update(services).where(*key).values(last_seen_at=now, updated_at=now)):
        await tx.run(
            insert(services).values(
                id=id, host=host, binary=binary, topic=topic, last_seen_at=now, created_at=now, updated_at=now
            )
        )
    row = await tx.first(select(services).where(*key))
    assert row is not None
    return service_of(row)


async def change_service(tx: Transaction, number: int, now: datetime, values: Mapping[str, Any]) -> None:
    """Set columns of one service record."""
    await tx.run(update(services).where(services.c.number == number).values(updated_at=now, **values))


async def remove_service(tx: Transaction, record: ServiceRecord) -> None:
    """The record, and with an agent's also its host and the host's place in aggregates."""
    await tx.run(delete(services).where(services.c.number == record.number))
    if record.binary == COMPUTE:
        await tx.run(delete(compute_nodes).where(compute_nodes.c.host == record.host))
        await tx.run(delete(aggregate_hosts).where(aggregate_hosts.c.host == record.host))


# -- hosts

HOST_KEYS = {"number": compute_nodes.c.number, "id": compute_nodes.c.id}


def host_of(row: Row[Any]) -> Host:
    """A row as a value."""
    has = dict(row._mapping)
    has["supported"] = tuple(tuple(one) for one in has["supported"])
    return Host(**has)


async def list_hosts(tx: Transaction, page: Page, *, pattern: str | None = None) -> list[Host]:
    """A page of hosts; `pattern` is a part of the hypervisor's host name."""
    wanted: Select[Any] = select(compute_nodes)
    if pattern is not None:
        wanted = wanted.where(compute_nodes.c.hypervisor_hostname.contains(pattern, autoescape=True))
    return [host_of(row) for row in await tx.all(paginate(wanted, HOST_KEYS, page))]


async def find_host(tx: Transaction, key: str | int) -> Host | None:
    """A host by uuid, or by number when `key` is one."""
    column = compute_nodes.c.number if isinstance(key, int) else compute_nodes.c.id
    row = await tx.first(select(compute_nodes).where(column == key))
    return None if row is None else host_of(row)


async def named_hosts(tx: Transaction, *, host: str | None = None, node: str | None = None) -> list[Host]:
    """The hosts with this name and this hypervisor's name."""
    wanted: Select[Any] = select(compute_nodes)
    if host is not None:
        wanted = wanted.where(compute_nodes.c.host == host)
    if node is not None:
        wanted = wanted.where(compute_nodes.c.hypervisor_hostname == node)
    return [host_of(row) for row in await tx.all(wanted)]


async def save_host(tx: Transaction, now: datetime, values: Mapping[str, Any]) -> None:
    """What an agent reported of its host: a new row, or the columns of the one it has. `values` by column."""
    key = (
        compute_nodes.c.host == values["host"],
        compute_nodes.c.hypervisor_hostname == values["hypervisor_hostname"],
    )
    if not await tx.run(update(compute_nodes).where(*key).values(updated_at=now, **values)):
        await tx.run(insert(compute_nodes).values(created_at=now, updated_at=now, **values))


# -- aggregates


async def list_aggregates(tx: Transaction) -> list[Aggregate]:
    """All aggregates with their hosts."""
    rows = await tx.all(select(aggregates).order_by(aggregates.c.number))
    return await _with_hosts(tx, rows) if rows else []


async def find_aggregate(tx: Transaction, number: int) -> Aggregate | None:
    """One aggregate with its hosts, or None."""
    rows = await tx.all(select(aggregates).where(aggregates.c.number == number))
    return (await _with_hosts(tx, rows))[0] if rows else None


async def _with_hosts(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Aggregate]:
    wanted = select(aggregate_hosts).order_by(aggregate_hosts.c.host)
    if len(rows) == 1:
        wanted = wanted.where(aggregate_hosts.c.aggregate_number == rows[0].number)
    members: dict[int, list[str]] = {}
    for member in await tx.all(wanted):
        members.setdefault(member.aggregate_number, []).append(member.host)
    return [Aggregate(**row._mapping, hosts=tuple(members.get(row.number, ()))) for row in rows]


async def insert_aggregate(tx: Transaction, values: Mapping[str, Any]) -> int:
    """A new aggregate; its number. Raises AggregateExists."""
    try:
        return await tx.insert_id(insert(aggregates), dict(values))
    except Duplicate:
        raise AggregateExists(name=values["name"]) from None


async def change_aggregate(tx: Transaction, number: int, now: datetime, values: Mapping[str, Any]) -> None:
    """Set columns of one aggregate. Raises AggregateExists."""
    try:
        await tx.run(update(aggregates).where(aggregates.c.number == number).values(updated_at=now, **values))
    except Duplicate:
        raise AggregateExists(name=values.get("name", "")) from None


async def remove_aggregate(tx: Transaction, number: int) -> None:
    """The aggregate; its hosts must have been taken out."""
    await tx.run(delete(aggregates).where(aggregates.c.number == number))


async def add_host(tx: Transaction, number: int, host: str) -> None:
    """Raises AggregateHostExists."""
    try:
        await tx.run(insert(aggregate_hosts).values(aggregate_number=number, host=host))
    except Duplicate:
        raise AggregateHostExists(id=number, host=host) from None


async def remove_host(tx: Transaction, number: int, host: str) -> None:
    """Raises AggregateHostNotFound."""
    gone = await tx.run(
        delete(aggregate_hosts).where(aggregate_hosts.c.aggregate_number == number, aggregate_hosts.c.host == host)
    )
    if not gone:
        raise AggregateHostNotFound(id=number, host=host)
