"""Queries of servers: one, a page of them by filters, new ones, and changes."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    false,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.servers import Fault, ImageSnapshot, Server, ServerSpec, Vif
from kilonova.compute.model.states import VmState, pairs_of
from kilonova.compute.store import console_tokens
from kilonova.compute.store.tables import servers
from kilonova.kernel.db import JsonText, Page, Transaction, paginate

_BULKY = frozenset(("user_data", "public_key"))
SHOWN = tuple(c for c in servers.c if c.name not in _BULKY)
"""What most questions read: all but the columns that may be large."""

_PLAIN = tuple(
    type_coerce(c, Text).label(c.name) if isinstance(c.type, JsonText) else c
    for c in servers.c
    if c.name != "public_key"
)
_PLAIN_BRIEF = tuple(c for c in _PLAIN if c.name != "user_data")
"""What is only shown: JSON stays text, to be passed on, or to be looked up by its text."""

SORTABLE: dict[str, ColumnElement[Any]] = {
    "access_ip_v4": servers.c.access_ipv4,
    "access_ip_v6": servers.c.access_ipv6,
    "auto_disk_config": servers.c.disk_config,
    "availability_zone": servers.c.zone,
    "config_drive": servers.c.config_drive,
    "created_at": servers.c.created_at,
    "display_description": servers.c.description,
    "display_name": servers.c.name,
    "host": servers.c.host,
    "hostname": servers.c.hostname,
    "image_ref": servers.c.image_id,
    "instance_type_id": servers.c.flavor_id,
    "key_name": servers.c.key_name,
    "launch_index": servers.c.launch_index,
    "launched_at": servers.c.launched_at,
    "locked_by": servers.c.locked_by,
    "node": servers.c.node,
    "power_state": servers.c.power_state,
    "progress": servers.c.progress,
    "project_id": servers.c.project_id,
    "root_device_name": servers.c.root_device,
    "task_state": servers.c.task_state,
    "terminated_at": servers.c.terminated_at,
    "updated_at": servers.c.updated_at,
    "user_id": servers.c.user_id,
    "uuid": servers.c.id,
    "vm_state": servers.c.vm_state,
    "number": servers.c.number,
}
"""What a list can be sorted by, under the names of the wire; `number` breaks ties."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which servers are wanted; None or empty asks for nothing.

    `equal`: columns of SORTABLE to values, any of which will do. `patterns`: columns to regular expressions.
    `deleted` None: both living and deleted ones. `statuses`: words that users see.
    """

    project_id: str | None = None
    deleted: bool | None = False
    statuses: tuple[str, ...] = ()
    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    address6: str | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    tags_all: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    tags_not_all: tuple[str, ...] = ()
    tags_not_any: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    locked: bool | None = None
    reservation_id: str | None = None
    ids: tuple[str, ...] | None = None


def _filtered(wanted: Select[Any], by: Filters) -> Select[Any]:
    if by.project_id is not None:
        wanted = wanted.where(servers.c.project_id == by.project_id)
    if by.deleted is not None:
        wanted = wanted.where(servers.c.deleted.is_(by.deleted))
    if by.statuses:
        wanted = wanted.where(_has_status(by.statuses))
    for name, values in by.equal.items():
        column = SORTABLE[name]
        known = [value for value in values if value is not None]
        same = column.in_(known) if known else false()
        wanted = wanted.where(or_(same, column.is_(None)) if None in values else same)
    for name, pattern in by.patterns.items():
        wanted = wanted.where(SORTABLE[name].regexp_match(pattern))
    for address in (by.address, by.address6):
        if address:
            wanted = wanted.where(servers.c.addresses.contains(address, autoescape=True))
    if by.changed_since is not None:
        wanted = wanted.where(servers.c.updated_at >= by.changed_since)
    if by.changed_before is not None:
        wanted = wanted.where(servers.c.updated_at <= by.changed_before)
    if by.locked is not None:
        wanted = wanted.where(servers.c.locked_by.is_not(None) if by.locked else servers.c.locked_by.is_(None))
    if by.reservation_id is not None:
        wanted = wanted.where(servers.c.reservation_id == by.reservation_id)
    if by.ids is not None:
        wanted = wanted.where(servers.c.id.in_(by.ids))
    for key, value in by.metadata.items():
        wanted = wanted.where(_has_metadata(key, value))
    return _tagged(wanted, by)


def _tagged(wanted: Select[Any], by: Filters) -> Select[Any]:
    if by.tags_all:
        wanted = wanted.where(*(_has_tag(tag) for tag in by.tags_all))
    if by.tags_any:
        wanted = wanted.where(or_(*(_has_tag(tag) for tag in by.tags_any)))
    if by.tags_not_all:
        wanted = wanted.where(~and_(*(_has_tag(tag) for tag in by.tags_not_all)))
    if by.tags_not_any:
        wanted = wanted.where(~or_(*(_has_tag(tag) for tag in by.tags_not_any)))
    return wanted


def _has_status(statuses: Collection[str]) -> ColumnElement[bool]:
    choices: list[ColumnElement[bool]] = []
    for vm_state, tasks in pairs_of(statuses):
        words = [task for task in tasks if task is not None]
        while_busy: ColumnElement[bool] = servers.c.task_state.in_(words)
        if None in tasks:
            while_busy = or_(while_busy, servers.c.task_state.is_(None))
        choices.append(and_(servers.c.vm_state == vm_state, while_busy))
    return or_(*choices) if choices else false()


def _has_tag(tag: str) -> ColumnElement[bool]:
    return servers.c.tags.contains(f",{tag},", autoescape=True)


def _has_metadata(key: str, value: str) -> ColumnElement[bool]:
    # The column is JSON text without spaces and with sorted keys; an unescaped quote cannot occur within a value.
    pair = msgspec.json.encode({key: value}).decode()[1:-1]
    text = type_coerce(servers.c.metadata, Text)
    first, later = text.startswith("{" + pair, autoescape=True), text.contains("," + pair, autoescape=True)
    return or_(first, later)


async def page(tx: Transaction, by: Filters, page: Page, *, bulky: bool = False) -> list[Any]:
    """A page of servers to be shown: rows with JSON as text. `bulky`: with the columns that may be large."""
    columns = _PLAIN if bulky else _PLAIN_BRIEF
    rows = await tx.all(paginate(_filtered(select(*columns), by), SORTABLE, page))
    return list(map(_quick(tuple(c.name for c in columns)), rows))


@cache
def _quick(names: tuple[str, ...]) -> Any:
    # A hundred servers have four thousand values to be read; a named tuple finds one in a tenth of a row's time.
    kind: Any = namedtuple("ServerRow", names)  # type: ignore[misc]  # the names are known when it runs
    return kind._make


async def ids_and_names(tx: Transaction, by: Filters, page: Page) -> Sequence[Row[Any]]:
    """A page of servers, but only what a brief list shows."""
    return await tx.all(paginate(_filtered(select(servers.c.number, servers.c.id, servers.c.name), by), SORTABLE, page))


async def sort_values(
    tx: Transaction, server_id: str, project_id: str | None, keys: Sequence[str]
) -> Mapping[str, Any] | None:
    """The marker's values of the sort keys; None when there is no such server in the project."""
    wanted = select(*(SORTABLE[k].label(k) for k in keys)).where(servers.c.id == server_id)
    if project_id is not None:
        wanted = wanted.where(servers.c.project_id == project_id)
    row = await tx.first(wanted)
    return None if row is None else dict(row._mapping)


_ONE = select(*servers.c)
_SHOW = select(*SHOWN)
_SHOW_PLAIN = {True: select(*_PLAIN), False: select(*_PLAIN_BRIEF)}


async def find(
    tx: Transaction,
    server_id: str,
    *,
    project_id: str | None = None,
    deleted: bool | None = False,
    bulky: bool = False,
    plain: bool = False,
    for_update: bool = False,
) -> Row[Any] | None:
    """A server's row, or None. `project_id` None: whose ever it is. `for_update` locks it where engines can.

    `bulky`: with the columns that may be large. `plain`: to be shown, with JSON as text.
    """
    given = {"_id": server_id} if project_id is None else {"_id": server_id, "_project": project_id}
    return await tx.first(_finding(bulky, plain, deleted, project_id is not None, for_update), given)


@cache
def _finding(bulky: bool, plain: bool, deleted: bool | None, of_project: bool, for_update: bool) -> Select[Any]:
    # Each of the few statements is built once: building one costs several times what running it does.
    start: Select[Any] = _SHOW_PLAIN[bulky] if plain else _ONE if bulky else _SHOW
    wanted = start.where(servers.c.id == bindparam("_id"))
    if deleted is not None:
        wanted = wanted.where(servers.c.deleted.is_(deleted))
    if of_project:
        wanted = wanted.where(servers.c.project_id == bindparam("_project"))
    return wanted.with_for_update() if for_update else wanted


async def get(tx: Transaction, server_id: str, *, deleted: bool | None = False) -> Server | None:
    """A server as a value, with all that is known of it."""
    row = await find(tx, server_id, deleted=deleted, bulky=True)
    return None if row is None else server_of(row)


async def on_host(tx: Transaction, host: str) -> list[Server]:
    """All living servers that belong on a host."""
    rows = await tx.all(_ONE.where(servers.c.host == host, servers.c.deleted.is_(False)).order_by(servers.c.number))
    return [server_of(row) for row in rows]


async def briefs_on_hosts(tx: Transaction, hosts: Collection[str]) -> Sequence[Row[Any]]:
    """id, number, name, host of the living servers on these hosts."""
    return await tx.all(
        select(servers.c.id, servers.c.number, servers.c.name, servers.c.host)
        .where(servers.c.host.in_(list(hosts)), servers.c.deleted.is_(False))
        .order_by(servers.c.number)
    )


async def any_on_host(tx: Transaction, host: str) -> bool:
    """Whether a living server belongs on the host."""
    found = await tx.scalar(
        select(servers.c.number).where(servers.c.host == host, servers.c.deleted.is_(False)).limit(1)
    )
    return found is not None


def server_of(row: Row[Any]) -> Server:
    """A row with all columns as a value."""
    has = dict(row._mapping)
    for derived in ("deleted", "vcpus", "ram_mib", "flavor_id", "image_id", "addresses"):
        del has[derived]
    has["flavor"] = msgspec.convert(has["flavor"], FlavorSnapshot)
    has["image"] = msgspec.convert(has["image"], ImageSnapshot)
    has["spec"] = msgspec.convert(has["spec"], ServerSpec)
    has["vifs"] = msgspec.convert(has["vifs"], tuple[Vif, ...])
    has["fault"] = None if has["fault"] is None else msgspec.convert(has["fault"], Fault)
    has["tags"] = tags_of(row.tags)
    has["security_groups"] = tuple(has["security_groups"])
    return Server(**has)


def tags_of(text: str) -> tuple[str, ...]:
    """The tags in the column's text."""
    return tuple(text[1:-1].split(",")) if text else ()


def tags_text(tags: Collection[str]) -> str:
    """The column's text for tags."""
    return f",{','.join(tags)}," if tags else ""


def values_of(server: Server) -> dict[str, Any]:
    """All columns of a new server; the number comes from the database."""
    has: dict[str, Any] = {name: getattr(server, name) for name in Server.__dataclass_fields__ if name in servers.c}
    del has["number"]
    has.update(
        flavor=msgspec.to_builtins(server.flavor),
        image=msgspec.to_builtins(server.image),
        spec=msgspec.to_builtins(server.spec),
        fault=msgspec.to_builtins(server.fault),
        tags=tags_text(server.tags),
        security_groups=list(server.security_groups),
        vcpus=server.flavor.vcpus,
        ram_mib=server.flavor.ram_mib,
        flavor_id=server.flavor.flavor_id,
        image_id=server.image.image_id,
        deleted=server.vm_state == VmState.DELETED,
        **vif_values(server.vifs),
    )
    return has


def vif_values(vifs: Sequence[Vif]) -> dict[str, Any]:
    """The columns that tell of the network cards; to be changed only together."""
    every = [a for vif in vifs for ip in vif.fixed_ips for a in (ip.address, *ip.floating)]
    return {"vifs": msgspec.to_builtins(tuple(vifs)), "addresses": tags_text(every)}


def fault_value(fault: Fault | None) -> Any:
    """The column that holds the fault."""
    return None if fault is None else msgspec.to_builtins(fault)


async def insert_servers(tx: Transaction, new: Sequence[Server]) -> None:
    """New servers in one statement."""
    await tx.run(insert(servers), [values_of(server) for server in new])


_CHANGE = (
    update(servers)
    .where(servers.c.id == bindparam("_id"), servers.c.deleted.is_(False))
    .values(generation=servers.c.generation + 1)
)
"""The columns to set are the names of the parameters, so one statement serves every change."""


async def change(
    tx: Transaction, server_id: str, now: datetime, values: Mapping[str, Any], *, where: Any = None
) -> bool:
    """Set columns of one living server, with a new generation; False where it is gone (or `where` fails)."""
    wanted = _CHANGE if where is None else _CHANGE.where(where)
    return bool(await tx.run(wanted, {**values, "updated_at": now, "_id": server_id}))


async def mark_deleted(tx: Transaction, server_id: str, now: datetime) -> bool:
    """The end of a server: its row stays for those who ask what became of it. False where that was done
    already. Its console tokens open nothing any more.
    """
    await console_tokens.forget_server(tx, server_id)
    return await change(
        tx,
        server_id,
        now,
        {
            "vm_state": VmState.DELETED,
            "task_state": None,
            "deleted": True,
            "deleted_at": now,
            "terminated_at": now,
            "power_state": 0,
            "host": None,
            "node": None,
            **vif_values(()),
        },
    )
