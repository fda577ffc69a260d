"""The scheduler's process: what it hears, what it asks, and that it counts what it has just chosen."""

from __future__ import annotations

import random
from typing import Any

from kilonova.compute.calls import (
    ALIVE,
    CLOUD_FACTS,
    CONDUCTOR,
    FACTS_CHANGED,
    HEARTBEAT,
    HOSTS,
    ROLL_CALL,
    SCHEDULER,
    SELECT_DESTINATIONS,
    AggregateFacts,
    CloudFacts,
    Done,
    ServiceFacts,
)
from kilonova.compute.scheduler.app import Scheduler
from kilonova.compute.scheduler.limits import Limits
from kilonova.kernel.bus import MemoryBus
from kilonova.kernel.testing import FakeClock
from tests.compute.scheduler.test_choose import a_report, an_ask


class Placement:
    """Offers every host it was told of; counts how often it was asked."""

    def __init__(self, *hosts: str):
        self.hosts, self.asked = hosts, 0

    async def offers(self, resources: Any, **_more: Any) -> Any:
        self.asked += 1
        return {f"id-{host}": {f"id-{host}": dict(resources)} for host in self.hosts}


class Stage:
    def __init__(self, *hosts: str):
        self.clock, self.bus, self.placement = FakeClock(), MemoryBus(), Placement(*hosts)
        self.facts, self.facts_asked = CloudFacts(), 0
        self.scheduler = Scheduler(self.bus, self.placement, self.clock, Limits(), rng=random.Random(1))
        self.bus.serve(CONDUCTOR, {CLOUD_FACTS: self._tell})

    async def _tell(self, _ask: Done) -> CloudFacts:
        self.facts_asked += 1
        return self.facts

    async def up(self, *hosts: str) -> Stage:
        await self.scheduler.start()
        for host in hosts:
            self.bus.announce(HOSTS, HEARTBEAT, a_report(host))
        return self

    async def choose(self, **ask: Any) -> Any:
        return await self.bus.call(SCHEDULER, SELECT_DESTINATIONS, an_ask(**ask))

    async def host(self, **ask: Any) -> str:
        return (await self.choose(**ask)).candidates[0].host


async def test_choices_made_in_a_row_spread():
    stage = await Stage("a", "b").up("a", "b")
    assert sorted([await stage.host() for _ in range(4)]) == ["a", "a", "b", "b"]
    assert stage.facts_asked == 1


async def test_a_host_that_falls_silent_is_not_chosen():
    stage = await Stage("a", "b").up("a", "b")
    await stage.clock.advance(50)
    stage.bus.announce(HOSTS, HEARTBEAT, a_report("b"))
    await stage.clock.advance(20)
    choice = await stage.choose()
    assert [one.host for one in choice.candidates] == ["b"]
    assert choice.refusals[0].reason == "do not report"
    stage.bus.announce(HOSTS, HEARTBEAT, a_report("a"))
    assert len((await stage.choose()).candidates) == 2


async def test_a_change_of_the_facts_is_seen_at_once():
    stage = await Stage("a").up("a")
    await stage.host()
    stage.facts = CloudFacts(services=(ServiceFacts(host="a", disabled=True, reason="repair"),))
    stage.bus.wake(FACTS_CHANGED)
    assert (await stage.choose()).refusals[0].reason == "are disabled by the operator"


async def test_zones_come_from_aggregates():
    stage = Stage("a", "b")
    east = AggregateFacts(number=1, id="u", name="east", metadata={"availability_zone": "east"}, hosts=("b",))
    stage.facts = CloudFacts(aggregates=(east,))
    await stage.up("a", "b")
    assert await stage.host(zone="east") == "b"


async def test_without_a_conductor_it_chooses_with_what_it_knows():
    stage = await Stage("a").up("a")
    stage.bus._servers[CONDUCTOR].clear()
    assert await stage.host() == "a"


async def test_a_scheduler_that_starts_late_learns_of_living_hosts_from_the_conductor():
    stage = Stage("a")
    stage.facts = CloudFacts(reports=(a_report("a"),))
    await stage.up()
    assert await stage.host() == "a"


async def test_it_answers_a_roll_call():
    stage, heard = await Stage().up(), []
    stage.bus.listen(HOSTS, {ALIVE: heard.append})
    stage.bus.wake(ROLL_CALL)
    assert [one.binary for one in heard] == ["nova-scheduler"]
