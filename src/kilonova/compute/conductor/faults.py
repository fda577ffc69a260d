"""What a server's owner is told when something went wrong, and what the operator is told besides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from kilonova.compute.calls import Choice, Refusals
from kilonova.compute.model.servers import Fault
from kilonova.kernel.errors import Error
from kilonova.kernel.tasks import Failure


class NoValidHost(Error):
    """No host could be chosen; the sentence counts the hosts by reason."""

    status = 500
    text = "No valid host was found. {why}"


class BuildFailed(Error):
    """Hosts were chosen, but none could make the guest."""

    status = 500
    text = "Exceeded maximum number of retries: {attempts} hosts tried to build the server, and all of them failed."


class GuestRefused(Error):
    """A host could not do what was asked of the guest."""

    status = 500
    text = "{why}"


_HIDDEN = "The host that was chosen could not build the server."

_FOR_USERS = frozenset(
    ("NoValidHost", "BuildFailed", "ImageUnusable", "NetworkRefused", "NotAble", "WrongState", "TimedOut", "GuestGone")
)
"""Codes of failures whose sentence may be shown to the server's owner; others can hold what only we may know."""


def say_why(choice: Choice) -> str:
    """How many hosts were refused for what, and how near the nearest came. Names no host."""
    if not choice.hosts_seen:
        return "There is no host at all."
    rows = [_row(row) for row in choice.refusals]
    hosts = "host was" if choice.hosts_seen == 1 else "hosts were"
    return f"{choice.hosts_seen} {hosts} looked at: {'; '.join(rows)}."


def _row(row: Refusals) -> str:
    nearest = f" ({row.nearest})" if row.nearest else ""
    return f"{row.count} {row.reason}{nearest}"


def say_hosts(refusals: Sequence[Any]) -> str:
    """The same for operators: with the hosts' names. Takes rows or their kept form."""
    rows = msgspec.convert(refusals, tuple[Refusals, ...])
    return "\n".join(f"{_row(row)}: {', '.join(row.hosts)}" for row in rows)


def fault_of(failure: Failure, now: datetime, details: str = "") -> Fault:
    """A failure as the fault that the server shows."""
    if failure.code in _FOR_USERS:
        message = failure.message
    elif failure.step == "spawn":
        message = _HIDDEN
    else:
        message = f"The step {failure.step} failed ({failure.code})."
    more = "\n".join(part for part in (details, f"{failure.code}: {failure.message}", failure.trace) if part)
    code = failure.status if failure.status >= 400 else 500
    return Fault(code=code, message=message[:255], details=more, created_at=now)
