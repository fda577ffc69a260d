"""Delete: the guest, then its ports, then the claim, and last the server itself. It only goes forward: a step that
fails shows as ERROR with the reason, and is tried again until it is done.
"""

from __future__ import annotations

import logging

from kilonova.compute.calls import DESTROY, OnGuest, agent_topic
from kilonova.compute.conductor.faults import fault_of
from kilonova.compute.conductor.parts import Parts, change_server, server_of
from kilonova.compute.conductor.ports import free_vif
from kilonova.compute.model.operations import DELETE
from kilonova.compute.model.states import VmState
from kilonova.compute.store import groups, servers
from kilonova.kernel.bus import CallFailed, RemoteFailure
from kilonova.kernel.db import Transaction
from kilonova.kernel.tasks import Step, Work, Workflow

LOG = logging.getLogger(__name__)


async def destroy_guest(work: Work[Parts]) -> None:
    """Have the host remove the guest. A host that is down does it when it comes back: the deleted row is proof."""
    server = await server_of(work, also_deleted=True)
    if server.host is None:
        return
    work.tell(host=server.host)
    try:
        await work.parts.bus.call(
            agent_topic(server.host), DESTROY, OnGuest(server_id=server.id, ticket=work.operation.ticket)
        )
    except RemoteFailure:
        raise
    except CallFailed as failed:
        if work.parts.hosts.is_up(server.host):
            raise
        work.data["left_on"] = server.host
        LOG.warning("server %s: deleted while %s is down (%s)", server.id, server.host, failed)


async def free_ports(work: Work[Parts]) -> None:
    """Delete the ports that we made, unbind those that users made."""
    server = await server_of(work, also_deleted=True)
    for vif in server.vifs:
        await free_vif(work.parts, vif)


async def drop_claim(work: Work[Parts]) -> None:
    """Give back what the server held. Last of all, so that its room is not given away while it is still used."""
    server = await server_of(work, also_deleted=True)
    if server.host is not None or not work.fresh:
        await work.parts.placement.release(work.subject)


async def remove_server(work: Work[Parts]) -> None:
    """The row stays for those who ask what became of the server; it counts for nothing any more."""

    async def write(tx: Transaction) -> None:
        await groups.leave(tx, work.subject)
        await servers.mark_deleted(tx, work.subject, work.parts.clock.now())

    work.also(write)
    LOG.info("server %s is deleted", work.subject)


async def mark_failed(work: Work[Parts]) -> None:
    """The server could not be deleted yet: ERROR, with the reason. The delete goes on by itself."""
    failure = work.failure
    if failure is None:
        return
    fault = fault_of(failure, work.parts.clock.now())
    change_server(work, vm_state=str(VmState.ERROR), task_state=None, fault=servers.fault_value(fault))


DELETE_SERVER = Workflow(
    DELETE,
    (
        Step("destroy", destroy_guest, deadline_s=150, event="compute_terminate_instance", recorded=False),
        Step("ports", free_ports, event="compute__free_ports", recorded=False),
        Step("claim", drop_claim, event="compute__drop_claim", recorded=False),
        Step("remove", remove_server, event="compute__remove"),
    ),
    on_failure=mark_failed,
    no_return="destroy",
)
