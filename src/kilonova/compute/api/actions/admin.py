"""Lock, unlock, forceDelete, resetState: what changes only our own record, or ends it."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.access import server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.servers import remove
from kilonova.compute.microversions import v
from kilonova.compute.model.states import VmState
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import servers
from kilonova.kernel.web import Response, accepted

OWNER, ADMIN = "owner", "admin"


async def lock(request: ComputeRequest) -> Response:
    """lock"""
    asked = request.body["lock"] if request.version >= v(73) else None
    service = request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        is_owner = row.project_id == request.context.project_id
        values: dict[str, Any] = {
            "locked_by": OWNER if is_owner and not request.context.is_admin else ADMIN,
            "locked_reason": (asked or {}).get("locked_reason"),
        }
        if row.locked_by is None or request.context.is_admin:
            await servers.change(tx, row.id, service.clock.now(), values)
        await service.journal.write_done(tx, "lock", row.id, asker=request.context)
    return accepted()


async def unlock(request: ComputeRequest) -> Response:
    """unlock"""
    service = request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        if row.locked_by == ADMIN:
            request.allow(
                {"project_id": row.project_id, "user_id": row.user_id},
                PREFIX + "os-lock-server:unlock:unlock_override",
            )
        await servers.change(tx, row.id, service.clock.now(), {"locked_by": None, "locked_reason": None})
        await service.journal.write_done(tx, "unlock", row.id, asker=request.context)
    return accepted()


async def force_delete(request: ComputeRequest) -> Response:
    """forceDelete"""
    await remove(request, "force_delete", forced=True)
    return accepted()


async def reset_state(request: ComputeRequest) -> Response:
    """os-resetState"""
    wanted = {"active": VmState.ACTIVE, "error": VmState.ERROR}[request.body["os-resetState"]["state"]]
    service = request.service
    async with service.db.transaction() as tx:
        row = await server_row(request, tx, for_update=True)
        values = {"vm_state": str(wanted), "task_state": None}
        await servers.change(tx, row.id, service.clock.now(), values)
    return accepted()
