"""Why hosts are refused: counted by reason, with the nearest miss, so that the answer to "no valid host" is
useful.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kilonova.compute.calls import Refusals


@dataclass(frozen=True, slots=True)
class No:
    """One host's refusal. ``reason`` is the same words for all hosts refused for it (they are counted by
    it) and reads after "hosts that ..."; ``detail`` says how it is with this host; ``short_by`` orders the
    misses.
    """

    reason: str
    detail: str = ""
    short_by: float = 0.0


def count(refusals: Iterable[tuple[str, No]]) -> tuple[Refusals, ...]:
    """Refusals of hosts (pairs of host and reason), most frequent first."""
    by_reason: dict[str, list[tuple[str, No]]] = {}
    for host, no in refusals:
        by_reason.setdefault(no.reason, []).append((host, no))
    rows = []
    for reason, pairs in by_reason.items():
        nearest = min(pairs, key=lambda pair: pair[1].short_by)[1]
        hosts = tuple(sorted(host for host, _no in pairs))
        rows.append(Refusals(reason=reason, count=len(pairs), nearest=nearest.detail, hosts=hosts))
    return tuple(sorted(rows, key=lambda row: (-row.count, row.reason)))
