"""Whatever is written in whatever order: no inventory is exceeded, no update is lost, the sums agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from kilonova.kernel.db import Database, upgrade
from kilonova.placement.app import MIGRATIONS
from kilonova.placement.store.snapshot import Snapshot
from kilonova.placement.store.tables import allocations, inventories
from tests.placement.make import Cloud, cloud, uid

PROVIDERS = ("a", "b", "c")
CLASSES = ("VCPU", "DISK_GB")
CONSUMERS = tuple(f"s{n}" for n in range(4))

taken = st.dictionaries(
    st.sampled_from(PROVIDERS),
    st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 9), min_size=1),
    max_size=2,
)


class Claims(RuleBasedStateMachine):
    """Writers of all kinds against one service; a model of what must be stored beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.here: Cloud = self.run_(cloud())
        self.other = Snapshot(self.here.parts.db)  # as another process has it
        self.held: dict[str, Counter[tuple[str, str]]] = {}
        self.generations: dict[str, int] = {}
        self.totals: dict[tuple[str, str], int] = {}
        self.over: set[tuple[str, str]] = set()

    def run_(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run_(self.here.parts.db.close())
        self.loop.close()

    def used(self) -> Counter[tuple[str, str]]:
        total: Counter[tuple[str, str]] = Counter()
        for amounts in self.held.values():
            total.update(amounts)
        return total

    @initialize()
    def offer(self) -> None:
        for name in PROVIDERS:
            self.run_(self.here.provider(name, {rc: 10 for rc in CLASSES}))
            self.totals |= {(name, rc): 10 for rc in CLASSES}

    @rule(consumer=st.sampled_from(CONSUMERS), wanted=taken, stale=st.booleans())
    def claim(self, consumer: str, wanted: dict[str, dict[str, int]], stale: bool) -> None:
        known = self.generations.get(consumer)
        given = (known or 0) + 1 if stale else known
        got = self.run_(self.here.claim(consumer, wanted, given))
        self.settle(got.status, [(consumer, wanted)], stale)

    @rule(one=st.sampled_from(CONSUMERS[:2]), two=st.sampled_from(CONSUMERS[2:]), first=taken, second=taken)
    def claim_two(self, one: str, two: str, first: dict[str, Any], second: dict[str, Any]) -> None:
        body = {
            uid(name): {
                "allocations": {uid(p): {"resources": r} for p, r in wanted.items()}, "project_id": "p", "user_id": "u",
                "consumer_generation": self.generations.get(name), "consumer_type": "INSTANCE",
            }
            for name, wanted in ((one, first), (two, second))
        }  # fmt: skip
        got = self.run_(self.here.send("POST", "/allocations", body))
        self.settle(got.status, [(one, first), (two, second)], stale=False)

    def settle(self, status: int, writes: list[tuple[str, dict[str, dict[str, int]]]], stale: bool) -> None:
        after = dict(self.held)
        for consumer, wanted in writes:
            after[consumer] = Counter({(p, rc): n for p, resources in wanted.items() for rc, n in resources.items()})
        sums: Counter[tuple[str, str]] = Counter()
        for amounts in after.values():
            sums.update(amounts)
        before = self.used()
        written = {place for consumer, _w in writes for place in after[consumer]}
        fits = all(sums[place] <= max(self.totals.get(place, 0), before[place]) for place in written)
        offered = all(place in self.totals for place in written)
        assert status == (204 if fits and offered and not stale else 409)
        if status != 204:
            return
        self.held = {consumer: amounts for consumer, amounts in after.items() if amounts}
        for consumer, wanted in writes:
            if wanted:
                self.generations[consumer] = self.generations.get(consumer, 0) + 1
            else:
                self.generations.pop(consumer, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        consumer = data.draw(st.sampled_from(sorted(self.held)))
        assert self.run_(self.here.send("DELETE", f"/allocations/{uid(consumer)}")).status == 204
        del self.held[consumer], self.generations[consumer]

    @rule(name=st.sampled_from(PROVIDERS), totals=st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 20)))
    def change_inventories(self, name: str, totals: dict[str, int]) -> None:
        path = f"/resource_providers/{uid(name)}/inventories"
        generation = self.run_(self.here.send("GET", path)).json["resource_provider_generation"]
        body = {
            "resource_provider_generation": generation,
            "inventories": {rc: {"total": total} for rc, total in totals.items()},
        }
        got = self.run_(self.here.send("PUT", path, body))
        used = self.used()
        in_use = any(used[name, rc] for rc in CLASSES if rc not in totals)
        assert got.status == (409 if in_use else 200)
        if got.status == 200:
            self.totals = {place: total for place, total in self.totals.items() if place[0] != name}
            self.totals |= {(name, rc): total for rc, total in totals.items()}
        stale = self.run_(self.here.send("PUT", path, {**body, "resource_provider_generation": generation - 1}))
        assert stale.status == 409

    @invariant()
    def stored_is_what_was_written(self) -> None:
        if self.totals:
            self.run_(self.compare())

    async def compare(self) -> None:
        names = {uid(name): name for name in PROVIDERS}
        async with self.here.parts.db.read() as tx:
            rows = await tx.all(select(allocations))
            offers = await tx.all(select(inventories))
        by_consumer: dict[str, Counter[tuple[str, str]]] = {}
        for row in rows:
            by_consumer.setdefault(row.consumer, Counter())[names[row.provider], row.resource_class] = row.used
        assert by_consumer == {uid(consumer): amounts for consumer, amounts in self.held.items()}
        used = self.used()
        assert {(names[o.provider], o.resource_class): o.used for o in offers} == {p: used[p] for p in self.totals}
        for snapshot in (self.here.parts.snapshot, self.other):
            seen = (await snapshot.current()).providers
            assert {(p.name, rc): (i.total, i.used) for p in seen.values() for rc, i in p.inventories.items()} == {
                place: (total, used[place]) for place, total in self.totals.items()
            }


Claims.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestClaims = Claims.TestCase


async def test_many_at_once_get_no_more_than_there_is(tmp_path: Any) -> None:
    here = await _on_disk(tmp_path)
    await here.provider("host", {"VCPU": 10})
    got = await asyncio.gather(*(here.claim(f"s{n}", {"host": {"VCPU": 3}}) for n in range(20)))
    assert sorted(answer.status for answer in got) == [204] * 3 + [409] * 17
    usage = await here.send("GET", f"/resource_providers/{uid('host')}/usages")
    assert usage.json["usages"] == {"VCPU": 9}


async def test_two_processes_on_one_database_see_each_other(tmp_path: Any) -> None:
    one = await _on_disk(tmp_path)
    two = await cloud(Database(one.parts.db.url, name="placement"))
    ask = "/allocation_candidates?resources=VCPU:4"
    await one.provider("host", {"VCPU": 4})
    assert len((await two.send("GET", ask)).json["allocation_requests"]) == 1
    assert (await one.claim("s", {"host": {"VCPU": 1}})).status == 204
    assert (await two.send("GET", ask)).json["allocation_requests"] == []
    assert (await two.claim("s2", {"host": {"VCPU": 4}})).status == 409
    assert (await two.send("DELETE", f"/allocations/{uid('s')}")).status == 204
    assert len((await one.send("GET", ask)).json["allocation_requests"]) == 1
    assert (await two.send("DELETE", f"/resource_providers/{uid('host')}")).status == 204
    assert (await one.send("GET", "/resource_providers")).json == {"resource_providers": []}


async def _on_disk(folder: Any) -> Cloud:
    url = f"sqlite:///{folder}/placement.sqlite"
    upgrade(url, MIGRATIONS)
    return await cloud(Database(url, name="placement", synchronous=False))
