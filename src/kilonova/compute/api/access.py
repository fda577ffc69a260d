"""Finding a server for a request: whose it is, whether the caller may, whether its state allows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import NeverLaunched, NotReady, ServerLocked, ServerNotFound, WrongState
from kilonova.compute.model import operations, states
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import servers
from kilonova.kernel.db import Row, Transaction


async def server_row(
    request: ComputeRequest,
    tx: Transaction,
    *,
    rule: str | None = None,
    deleted: bool | None = False,
    bulky: bool = False,
    plain: bool = False,
    for_update: bool = False,
) -> Row[Any]:
    """The server named in the URL, after the route's rule (or `rule`) allowed the caller to touch it.

    Raises ServerNotFound (also for another project's, so that ids tell nothing) and PolicyForbids.
    """
    server_id = request.params["server_id"]
    context = request.context
    row = await servers.find(
        tx,
        server_id,
        project_id=None if context.is_admin or "service" in context.service_roles else context.project_id or "",
        deleted=deleted,
        bulky=bulky,
        plain=plain,
        for_update=for_update,
    )
    if row is None:
        raise ServerNotFound(id=server_id)
    request.allow(target_of(row), rule)
    return row


def target_of(row: Row[Any]) -> dict[str, Any]:
    """What rules compare the caller with."""
    return {"project_id": row.project_id, "user_id": row.user_id}


def check_may_change(request: ComputeRequest, row: Row[Any], name: str, action: str | None = None) -> None:
    """Raise where the lock or the state of a server stands in the way of the row `name` of the table of
    states.
    """
    rule = states.ROW[name]
    if rule.minds_the_lock and row.locked_by is not None and not request.context.is_admin:
        raise ServerLocked(id=row.id)
    word = action or rule.action or name
    no = states.refusal(
        rule,
        vm_state=row.vm_state,
        task_state=row.task_state,
        launched=row.launched_at is not None,
        placed=row.host is not None,
    )
    if no is None:
        return
    if no.attribute == "host":
        raise NotReady(id=row.id)
    if no.attribute == "launched_at":
        raise NeverLaunched(id=row.id, action=word)
    raise WrongState(id=row.id, action=word, attribute=no.attribute, value=no.value)


async def ask_for(
    request: ComputeRequest,
    name: str,
    *,
    payload: msgspec.Struct | None = None,
    values: dict[str, Any] | None = None,
    overtakes: bool = False,
) -> Row[Any]:
    """Accept one operation on the server in the URL: check, set what it leads to, write it into the journal.

    `values`: more columns to set in the same transaction. Returns the row as it was before.
    """
    service = request.service
    rule = states.ROW[name]
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, rule=PREFIX + rule.policy, for_update=True)
        check_may_change(request, row, name)
        changes: dict[str, Any] = dict(values or {})
        if rule.leads_to is not None:
            changes["task_state"] = str(rule.leads_to)
        now: datetime = service.clock.now()
        if changes:
            await servers.change(tx, row.id, now, changes)
        await write(request, tx, name, row.id, payload, overtakes=overtakes)
    return row


async def write(
    request: ComputeRequest,
    tx: Transaction,
    kind: str,
    server_id: str,
    payload: msgspec.Struct | None = None,
    *,
    overtakes: bool = False,
) -> int:
    """Write one operation, with its typed payload; the operation's id."""
    body = payload if payload is not None else operations.Nothing()
    return await request.service.journal.write(
        tx,
        kind,
        server_id,
        payload=msgspec.to_builtins(body),
        asker=request.context,
        overtakes=overtakes,
    )
