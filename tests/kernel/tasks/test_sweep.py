"""Sweeps find without touching, wait for what is just under way, and go on after a failure."""

from __future__ import annotations

from kilonova.kernel.tasks import Finding, Sweep, Sweeper
from kilonova.kernel.testing import FakeClock


def lost_coats(patience: int = 1) -> Sweep:
    async def find(coats: dict[str, str]) -> list[Finding]:
        return [Finding("lost coat", name, f"{name}'s coat lies about") for name, at in coats.items() if at == "floor"]

    async def repair(coats: dict[str, str], finding: Finding) -> None:
        if finding.subject == "stuck":
            raise RuntimeError("cannot be lifted")
        coats[finding.subject] = "hook"

    return Sweep("coats", 10, find, repair, patience)


async def test_finding_and_repairing():
    coats = {"ann": "floor", "bob": "hook"}
    assert await Sweeper((), coats, FakeClock()).once(lost_coats()) == 1
    assert coats == {"ann": "hook", "bob": "hook"}


async def test_what_is_seen_once_may_be_just_under_way():
    coats = {"ann": "floor"}
    sweeper, sweep = Sweeper((), coats, FakeClock()), lost_coats(patience=2)
    assert await sweeper.once(sweep) == 0
    assert await sweeper.once(sweep) == 1


async def test_one_that_cannot_be_repaired_does_not_stop_the_others():
    coats = {"stuck": "floor", "ann": "floor"}
    assert await Sweeper((), coats, FakeClock()).once(lost_coats()) == 1
    assert coats["ann"] == "hook"
