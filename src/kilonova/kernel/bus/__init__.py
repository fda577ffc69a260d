"""The message bus: typed calls, one-way notes and wake-ups. The only door to a message broker."""

from kilonova.kernel.bus.call import (
    Bus,
    Call,
    CallFailed,
    Note,
    RemoteFailure,
    Serving,
    TimedOut,
    Unreachable,
)
from kilonova.kernel.bus.memory import MemoryBus

__all__ = [
    "Bus",
    "Call",
    "CallFailed",
    "MemoryBus",
    "Note",
    "RemoteFailure",
    "Serving",
    "TimedOut",
    "Unreachable",
]
