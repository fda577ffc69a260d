"""Questions to the agent of a server's host, and what the caller is told when it does not answer."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from kilonova.compute.api.access import check_may_change, server_row
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.calls import agent_topic
from kilonova.compute.errors import CannotHere, HostDown
from kilonova.kernel.bus import Call, CallFailed, RemoteFailure
from kilonova.kernel.db import Row

Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)


async def placed_server(request: ComputeRequest, name: str) -> Row[Any]:
    """The server in the URL, if it is on a host and the row `name` of the table of states lets it be looked at."""
    async with request.service.db.read() as tx:
        row = await server_row(request, tx)
    check_may_change(request, row, name)
    return row


async def ask(request: ComputeRequest, row: Row[Any], call: Call[Q, A], question: Q) -> A:
    """The agent's answer. Raises HostDown when there is none, CannotHere when it refuses."""
    try:
        return await request.service.bus.call(agent_topic(row.host), call, question)
    except RemoteFailure as failure:
        if failure.status in (404, 409, 501) or failure.code in ("NotAble", "WrongState", "GuestGone"):
            raise CannotHere(id=row.id, why=failure.message) from failure
        raise HostDown(id=row.id) from failure
    except CallFailed as failure:
        raise HostDown(id=row.id) from failure
