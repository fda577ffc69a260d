"""Power: start, stop, reboot, pause, suspend and back. One row each; the agent does the work, the row says what
becomes of the server when it worked and when it did not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Literal

from kilonova.compute.calls import GUEST_STATE, POWER, AskGuest, OnGuest, Power, agent_topic
from kilonova.compute.conductor.faults import fault_of
from kilonova.compute.conductor.parts import NotOnHost, Parts, change_server, order_now, server_of
from kilonova.compute.model import operations
from kilonova.compute.model.states import ROW, PowerState, VmState
from kilonova.compute.store import servers
from kilonova.kernel.bus import CallFailed
from kilonova.kernel.tasks import Step, Work, Workflow

LOG = logging.getLogger(__name__)

Word = Literal["start", "stop", "reboot_soft", "reboot_hard", "pause", "unpause", "suspend", "resume"]


@dataclass(frozen=True, slots=True)
class PowerRow:
    """``kind``: the operation; ``leads_to``: the resting state; ``needs_order``: the host may have to define the guest
    anew; ``errors_out``: a failure puts the server into ERROR, otherwise it stays as it was. ``deadline_s`` covers
    the guest's own time to power off.
    """

    kind: Word
    leads_to: VmState
    needs_order: bool = False
    errors_out: bool = False
    deadline_s: float = 120.0


ROWS: tuple[PowerRow, ...] = (
    PowerRow("start", VmState.ACTIVE, needs_order=True),
    PowerRow("stop", VmState.STOPPED, deadline_s=240.0),
    PowerRow("reboot_soft", VmState.ACTIVE, errors_out=True, deadline_s=300.0),
    PowerRow("reboot_hard", VmState.ACTIVE, needs_order=True, errors_out=True),
    PowerRow("pause", VmState.PAUSED),
    PowerRow("unpause", VmState.ACTIVE),
    PowerRow("suspend", VmState.SUSPENDED, errors_out=True),
    PowerRow("resume", VmState.ACTIVE, errors_out=True),
)


async def change_power(row: PowerRow, work: Work[Parts]) -> None:
    """Have the host do it, and note what the server rests in from now on."""
    server = await server_of(work)
    if server.host is None:
        raise NotOnHost(server_id=server.id)
    order = await order_now(work.parts, server) if row.needs_order else None
    work.tell(host=server.host)
    report = await work.parts.bus.call(
        agent_topic(server.host),
        POWER,
        Power(
            guest=OnGuest(server_id=server.id, ticket=work.operation.ticket, order=order),
            what=row.kind,
        ),
        deadline_s=row.deadline_s,
    )
    change_server(
        work,
        vm_state=str(row.leads_to),
        task_state=None,
        power_state=report.power_state,
        fault=None,
    )
    LOG.info("server %s: %s done on %s", server.id, row.kind, server.host)


async def give_up(row: PowerRow, work: Work[Parts]) -> None:
    """It did not work: the server rests in what is true of its guest now, and the fault says why."""
    failure = work.failure
    if failure is None or failure.code == "ServerGone":
        return
    server = await server_of(work)
    values: dict[str, object] = {"task_state": None}
    power = await _seen_power(work, server.host)
    if power is not None:
        values["power_state"] = power
    still_fine = row.kind.startswith("reboot") and power == PowerState.RUNNING
    if row.errors_out and not still_fine:
        values["vm_state"] = str(VmState.ERROR)
    fault = fault_of(failure, work.parts.clock.now())
    change_server(work, fault=servers.fault_value(fault), **values)


async def _seen_power(work: Work[Parts], host: str | None) -> int | None:
    if host is None:
        return None
    try:
        report = await work.parts.bus.call(agent_topic(host), GUEST_STATE, AskGuest(server_id=work.subject))
    except CallFailed:
        return None
    return report.power_state


WORKFLOWS: tuple[Workflow, ...] = tuple(
    Workflow(
        row.kind,
        (Step("power", partial(change_power, row), deadline_s=row.deadline_s + 30, event=ROW[row.kind].event),),
        on_failure=partial(give_up, row),
    )
    for row in ROWS
)
assert {row.kind for row in ROWS} <= set(operations.PAYLOADS)
