"""Queries about where servers are: for the choice of a host, and for comparing with hosts and Placement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, func, select

from kilonova.compute.model.states import TaskState
from kilonova.compute.store.tables import servers
from kilonova.kernel.db import Transaction

_BUSY = tuple(
    str(task)
    for task in (
        TaskState.NETWORKING,
        TaskState.SPAWNING,
        TaskState.RESIZE_MIGRATING,
        TaskState.REBUILDING,
        TaskState.IMAGE_UPLOADING,
        TaskState.UNSHELVING,
    )
)
"""What loads a host's disks: counted as its I/O operations."""


async def hosts_of(tx: Transaction, server_ids: Collection[str]) -> list[str]:
    """The hosts of these living servers, once for each server that has one."""
    if not server_ids:
        return []
    return await tx.column(
        select(servers.c.host).where(
            servers.c.id.in_(list(server_ids)), servers.c.deleted.is_(False), servers.c.host.is_not(None)
        )
    )


async def counts(tx: Transaction) -> Sequence[Row[Any]]:
    """host, project_id, flavor (JSON), task_state, and how many living servers share these."""
    return await tx.all(
        select(
            servers.c.host,
            servers.c.project_id,
            servers.c.flavor,
            servers.c.task_state,
            func.count().label("many"),
        )
        .where(servers.c.deleted.is_(False), servers.c.host.is_not(None))
        .group_by(servers.c.host, servers.c.project_id, servers.c.flavor, servers.c.task_state)
    )


def is_busy(task_state: str | None) -> bool:
    """Whether a server in this state loads its host."""
    return task_state in _BUSY


async def states(tx: Transaction, server_ids: Collection[str]) -> dict[str, Row[Any]]:
    """id, deleted, host, vm_state, task_state by id, deleted servers included."""
    found: dict[str, Row[Any]] = {}
    ids = list(server_ids)
    for start in range(0, len(ids), 500):
        rows = await tx.all(
            select(
                servers.c.id,
                servers.c.deleted,
                servers.c.host,
                servers.c.vm_state,
                servers.c.task_state,
                servers.c.power_state,
                servers.c.updated_at,
            ).where(servers.c.id.in_(ids[start : start + 500]))
        )
        found.update((row.id, row) for row in rows)
    return found


async def busy_servers(tx: Transaction) -> Sequence[Row[Any]]:
    """id, host, vm_state, task_state, updated_at of living servers that are busy with something."""
    return await tx.all(
        select(servers.c.id, servers.c.host, servers.c.vm_state, servers.c.task_state, servers.c.updated_at).where(
            servers.c.deleted.is_(False), servers.c.task_state.is_not(None)
        )
    )


async def placed(tx: Transaction) -> Sequence[Row[Any]]:
    """id, host, vm_state, task_state, power_state of living servers that are on a host."""
    return await tx.all(
        select(servers.c.id, servers.c.host, servers.c.vm_state, servers.c.task_state, servers.c.power_state).where(
            servers.c.deleted.is_(False), servers.c.host.is_not(None)
        )
    )
