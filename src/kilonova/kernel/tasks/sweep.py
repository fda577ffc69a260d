"""Sweeps: compare what is wanted with what is there, forever. Finding and repairing are separate functions,
so that a doctor can show what is wrong without touching it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context, bind

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: what kind, on what, in words for the operator; ``facts`` are for the repair."""

    what: str
    subject: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sweep:
    """``find(parts)`` looks and changes nothing; ``repair(parts, finding)`` mends one finding, looking again
    first. ``patience``: how often in a row a finding must be seen before it is repaired, for what may be just
    under way."""

    name: str
    every_s: float
    find: Callable[[Any], Awaitable[Sequence[Finding]]]
    repair: Callable[[Any, Finding], Awaitable[object]]
    patience: int = 1


@dataclass(slots=True)
class Sweeper:
    """Runs sweeps in turn, each in its own rhythm; one that fails is logged and tried at its next time."""

    sweeps: tuple[Sweep, ...]
    parts: Any
    clock: Clock
    _seen: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)

    async def run(self) -> None:
        """Sweep until cancelled."""
        due = {sweep.name: self.clock.monotonic() + sweep.every_s for sweep in self.sweeps}
        while self.sweeps:
            await self.clock.sleep(max(0.05, min(due.values()) - self.clock.monotonic()))
            for sweep in self.sweeps:
                if due[sweep.name] <= self.clock.monotonic():
                    await self.once(sweep)
                    due[sweep.name] = self.clock.monotonic() + sweep.every_s

    async def once(self, sweep: Sweep) -> int:
        """One round of one sweep; how many findings were repaired."""
        bind(Context())
        try:
            findings = await sweep.find(self.parts)
        except asyncio.CancelledError:
            raise
        except Exception:
            LOG.exception("sweep %s could not look", sweep.name)
            return 0
        before = self._seen.get(sweep.name, {})
        seen = {(f.what, f.subject): before.get((f.what, f.subject), 0) + 1 for f in findings}
        self._seen[sweep.name] = seen
        repaired = 0
        for finding in findings:
            if seen[(finding.what, finding.subject)] < sweep.patience:
                continue
            LOG.warning("sweep %s: %s", sweep.name, finding.sentence)
            try:
                await sweep.repair(self.parts, finding)
                repaired += 1
            except asyncio.CancelledError:
                raise
            except Exception:
                LOG.exception("sweep %s could not repair %s", sweep.name, finding.subject)
        return repaired
