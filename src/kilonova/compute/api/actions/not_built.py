"""Actions of the API that this cloud does not carry out yet: they are known, and say so."""

from __future__ import annotations

from kilonova.compute.api.access import check_may_change, server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import NotBuiltYet
from kilonova.compute.model import states
from kilonova.compute.policies import PREFIX
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
_ROW_OF = {PREFIX + row.policy: row.name for row in states.ROWS}


_RULES = {action: PREFIX + rule for action, rule in ACTIONS}


async def not_built(request: ComputeRequest) -> Response:
    """Not carried out yet"""
    action = next(iter(request.body))
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    if (name := _ROW_OF.get(_RULES[action])) is not None:
        check_may_change(request, row, name, action)
    raise NotBuiltYet(what=f"The action {action}")
