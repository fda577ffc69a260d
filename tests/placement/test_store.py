"""The store: the schema that migrations make, names that follow the libraries, races that are lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import os_resource_classes
import os_traits
import pytest
from sqlalchemy import create_engine, delete, inspect, select, update

from kilonova.kernel.db import Transaction, upgrade
from kilonova.placement.api.allocations import write
from kilonova.placement.app import MIGRATIONS
from kilonova.placement.errors import ChangedMeanwhile
from kilonova.placement.store import names
from kilonova.placement.store.allocations import of_provider
from kilonova.placement.store.changes import advance
from kilonova.placement.store.tables import changes, metadata, providers, traits
from tests.placement.make import MOMENT, cloud, uid


def _shape(engine: Any) -> dict[str, Any]:
    seen = inspect(engine)
    return {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"], c["primary_key"]) for c in seen.get_columns(table)),
            sorted((i["name"], tuple(i["column_names"])) for i in seen.get_indexes(table)),
            sorted(tuple(u["column_names"]) for u in seen.get_unique_constraints(table)),
            sorted((tuple(f["constrained_columns"]), f["referred_table"]) for f in seen.get_foreign_keys(table)),
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/migrated.sqlite"
    upgrade(url, MIGRATIONS)
    migrated, declared = create_engine(url), create_engine("sqlite://")
    metadata.create_all(declared)
    assert _shape(migrated) == _shape(declared)


async def test_standard_names_are_there_and_a_new_one_is_added_at_the_next_start() -> None:
    here = await cloud()
    listed = await here.send("GET", "/traits")
    assert set(listed.json["traits"]) == set(os_traits.get_traits())
    listed = await here.send("GET", "/resource_classes")
    assert {row["name"] for row in listed.json["resource_classes"]} == set(os_resource_classes.STANDARDS)
    async with here.parts.db.transaction() as tx:
        await tx.run(delete(traits).where(traits.c.name == "HW_CPU_X86_AVX2"))
        assert await names.synchronise(tx, MOMENT) == 1
        assert await names.synchronise(tx, MOMENT) == 0
    assert (await here.send("GET", "/traits/HW_CPU_X86_AVX2")).status == 204


async def test_a_provider_that_moved_on_is_not_overwritten() -> None:
    here = await cloud()
    await here.provider("cn")

    async def rename_from_generation_7() -> None:
        async with here.parts.db.transaction() as tx:
            await tx.run(update(providers).values(name="half done"))
            await advance(tx, {uid("cn"): 7}, MOMENT)

    with pytest.raises(ChangedMeanwhile):
        await rename_from_generation_7()
    assert (await here.send("GET", f"/resource_providers/{uid('cn')}")).json["name"] == "cn"


@pytest.mark.parametrize(("losses", "wins"), [(0, True), (9, True), (10, False)])
async def test_a_write_that_loses_a_race_is_tried_ten_times(losses: int, wins: bool) -> None:
    here = await cloud()
    left = losses

    async def work(tx: Transaction) -> None:
        nonlocal left
        await tx.run(update(changes).values(latest=changes.c.latest + 1000))
        left -= 1
        if left >= 0:
            raise ChangedMeanwhile(what="something")

    async with here.parts.db.read() as tx:
        before = await tx.scalar(select(changes.c.latest))
    if wins:
        await write(here.parts, work)
    else:
        with pytest.raises(ChangedMeanwhile):
            await write(here.parts, work)
    async with here.parts.db.read() as tx:
        assert await tx.scalar(select(changes.c.latest)) == before + (1000 if wins else 0)


async def test_readers_and_writers_at_once_agree_in_the_end() -> None:
    here = await cloud()
    for name in ("a", "b"):
        await here.provider(name, {"VCPU": 100})

    async def come_and_go(number: int) -> None:
        for host in ("a", "b"):
            assert (await here.claim(f"s{number}", {host: {"VCPU": 1}}, generation=None)).status == 204
            assert (await here.send("GET", "/allocation_candidates?resources=VCPU:1")).status == 200
            assert (await here.send("DELETE", f"/allocations/{uid(f's{number}')}")).status == 204

    await asyncio.gather(*(come_and_go(n) for n in range(20)))
    world = await here.parts.snapshot.current()
    assert {p.inventories["VCPU"].used for p in world.providers.values()} == {0}
    async with here.parts.db.read() as tx:
        assert await of_provider(tx, uid("a")) == []


async def test_a_version_out_of_range_is_told_with_the_range() -> None:
    here = await cloud()
    error = (await here.send("GET", "/traits", version="1.40")).json["errors"][0]
    assert (error["status"], error["min_version"], error["max_version"]) == (406, "1.0", "1.39")


async def test_bad_input_never_breaks_the_service() -> None:
    here = await cloud()
    await here.provider("cn", {"VCPU": 8})
    odd = ["%00", "%F0%9F%98%80", "..", "a" * 3000, "%ff", "'; DROP TABLE providers", "null", "-1"]
    paths = ["/resource_providers/{}", "/resource_providers/{}/traits", "/resource_providers/{}/inventories/{}"]
    paths += ["/traits/{}", "/resource_classes/{}", "/allocations/{}", "/resource_providers?name={}&uuid={}"]
    paths += ["/resource_providers?member_of={}", "/resource_providers?in_tree={}&required={}", "/usages?project_id={}"]
    paths += ["/allocation_candidates?resources={}", "/allocation_candidates?resources{}=VCPU:1&same_subtree={}"]
    paths += ["/allocation_candidates?resources=VCPU:1&root_required={}", "/traits?name={}", "/traits?associated={}"]
    bodies: list[Any] = [None, [], {}, 7, "x", {"name": "\x00"}, {"name": "😀" * 200}, {"name": {}}]
    bodies += [{"allocations": {uid("cn"): {"resources": {"VCPU": 10**40}}}, "project_id": "p", "user_id": "u",
                "consumer_generation": 10**40, "consumer_type": "X"}]  # fmt: skip
    bodies += [{"resource_provider_generation": 10**40, "inventories": {"VCPU": {"total": 1}}}]
    bodies += [{"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 1, "allocation_ratio": -1e300}}}]
    for path in paths:
        for word in odd:
            for version in ("1.0", "1.26", "1.39"):
                got = await here.send("GET", path.replace("{}", word), version=version)
                assert got.status < 500, f"GET {path} {word}: {got.body!r}"
    cn = f"/resource_providers/{uid('cn')}"
    written = ["/resource_providers", f"{cn}/inventories", f"{cn}/inventories/VCPU", f"{cn}/traits", f"{cn}/aggregates"]
    written += [f"/allocations/{uid('s')}", "/allocations", "/reshaper", "/resource_classes", "/traits/CUSTOM_X", cn]
    for path in written:
        for body in bodies:
            for method in ("POST", "PUT", "DELETE"):
                got = await here.send(method, path, body, token="service")
                assert got.status < 500, f"{method} {path} {body}: {got.body!r}"
