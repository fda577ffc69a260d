"""Waiting for an operation that upstream answers only when it is done."""

from __future__ import annotations

import asyncio

from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.errors import BadRequest, Conflict, Error, NotFound, ServiceUnavailable
from kilonova.kernel.tasks.journal import CANCELLED, DONE, FAILED, Operation

_LOOK_EVERY_S = 0.5
_KINDS: dict[int, type[Error]] = {400: BadRequest, 404: NotFound, 409: Conflict}


class NotDoneYet(ServiceUnavailable):
    text = "The request was accepted and goes on, but it was not done within {seconds:g} s."


async def done(request: ComputeRequest, operation_id: int, *, seconds: float = 60.0) -> Operation:
    """The operation when it has ended well. Raises NotDoneYet, or the failure in its own words.

    The worker wakes its journal's topic when an operation ends; in case that is lost we also look now and then.
    """
    service = request.service
    woken = asyncio.Event()
    listening = service.bus.on_wake(service.journal.topic, woken.set)
    ends_at = service.clock.monotonic() + seconds
    try:
        while True:
            woken.clear()
            async with service.db.read() as tx:
                operation = await service.journal.get(tx, operation_id)
            if operation is not None and operation.state == DONE:
                return operation
            if operation is not None and (operation.state in (FAILED, CANCELLED) or operation.unwind_then):
                raise _failure(operation)
            if service.clock.monotonic() >= ends_at:
                raise NotDoneYet(seconds=seconds)
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await woken.wait()
            except TimeoutError:
                continue
    finally:
        listening.close()


def _failure(operation: Operation) -> Error:
    fault = operation.fault or {"status": 409, "message": "It was overtaken by another request."}
    kind = _KINDS.get(int(fault.get("status") or 503), ServiceUnavailable)
    return kind(str(fault.get("message") or "It failed."))
