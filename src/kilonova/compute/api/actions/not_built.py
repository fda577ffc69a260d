"""Actions of the API that this cloud does not carry out yet: they are known, and say so."""

from __future__ import annotations

from kilonova.compute.api.access import server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import NotBuiltYet
from kilonova.kernel.web import Response

ACTIONS: tuple[tuple[str, str], ...] = (
    ("resize", "servers:resize"),
    ("confirmResize", "servers:confirm_resize"),
    ("revertResize", "servers:revert_resize"),
    ("rebuild", "servers:rebuild"),
    ("createImage", "servers:create_image"),
    ("createBackup", "os-create-backup"),
    ("rescue", "os-rescue"),
    ("unrescue", "os-unrescue"),
    ("shelve", "os-shelve:shelve"),
    ("shelveOffload", "os-shelve:shelve_offload"),
    ("unshelve", "os-shelve:unshelve"),
    ("migrate", "os-migrate-server:migrate"),
    ("os-migrateLive", "os-migrate-server:migrate_live"),
    ("evacuate", "os-evacuate"),
    ("restore", "os-deferred-delete:restore"),
    ("changePassword", "os-admin-password"),
    ("trigger_crash_dump", "servers:trigger_crash_dump"),
    ("injectNetworkInfo", "os-admin-actions:inject_network_info"),
    ("addFixedIp", "os-multinic:add"),
    ("removeFixedIp", "os-multinic:remove"),
)
"""The action's key in the body, and its rule."""


async def not_built(request: ComputeRequest) -> Response:
    """Not carried out yet"""
    async with request.service.db.read() as tx:
        await server_row(request, tx)
    raise NotBuiltYet(what=f"The action {next(iter(request.body))}")
