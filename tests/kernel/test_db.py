"""Transactions, generations and pages, on SQLite or on the engine that KILONOVA_TEST_DB names."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, text, update

from kilonova.kernel.db import (
    Database,
    Duplicate,
    JsonText,
    NotStorable,
    Page,
    StaleGeneration,
    StorageFails,
    UtcDateTime,
    paginate,
    update_where_generation,
    upgrade,
)
from kilonova.kernel.errors import Conflict, RemoteCallInTransaction
from kilonova.kernel.http import Client, Loopback
from kilonova.kernel.testing import FakeClock, memory_database

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(20), unique=True),
    Column("rank", Integer, nullable=True),
    Column("at", UtcDateTime),
    Column("data", JsonText),
    Column("generation", Integer, default=1, nullable=False),
)


@pytest.fixture
def db() -> Database:
    return memory_database(METADATA)


async def test_moments_and_json_come_back_as_they_were_stored(db: Database) -> None:
    clock = FakeClock()
    async with db.transaction() as tx:
        key = await tx.insert_id(insert(THINGS), {"name": "a", "at": clock.now(), "data": {"b": [1, None]}})
    async with db.read() as tx:
        row = await tx.first(select(THINGS).where(THINGS.c.id == key))
    assert row is not None
    assert (row.at, row.data) == (clock.now(), {"b": [1, None]})


async def test_a_failed_transaction_leaves_nothing_and_wakes_nobody(db: Database) -> None:
    woken: list[str] = []

    async def write_and_fail() -> None:
        async with db.transaction() as tx:
            tx.after_commit(lambda: woken.append("no"))
            await tx.run(insert(THINGS), [{"name": "a"}, {"name": "b"}])
            await tx.run(insert(THINGS), [{"name": "a"}])

    with pytest.raises(Duplicate):
        await write_and_fail()
    async with db.read() as tx:
        assert await tx.all(select(THINGS)) == []
    assert woken == []


async def test_callbacks_run_after_the_commit(db: Database) -> None:
    woken: list[str] = []
    async with db.transaction() as tx:
        tx.after_commit(lambda: woken.append("yes"))
        assert woken == []
    assert woken == ["yes"]


async def test_a_row_that_moved_on_is_not_overwritten(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), [{"name": "a"}])
        assert await update_where_generation(tx, THINGS, key={"id": 1}, generation=1, values={"rank": 2}, what="x") == 2
    with pytest.raises(StaleGeneration):
        async with db.transaction() as tx:
            await update_where_generation(tx, THINGS, key={"id": 1}, generation=1, values={"rank": 3}, what="x")


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_together_are_the_whole_list_in_order(db: Database, direction: str) -> None:
    ranks = [3, None, 1, 3, None, 2, 1]
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), [{"name": str(n), "rank": r} for n, r in enumerate(ranks)])
    sort = (("rank", direction), ("id", "asc"))
    columns = {"rank": THINGS.c.rank, "id": THINGS.c.id}
    async with db.read() as tx:
        whole = [r.id for r in await tx.all(paginate(select(THINGS), columns, Page(sort)))]
        collected: list[int] = []
        after = None
        while True:
            rows = await tx.all(paginate(select(THINGS), columns, Page(sort, limit=2, after=after)))
            if not rows:
                break
            collected += [r.id for r in rows]
            after = {"rank": rows[-1].rank, "id": rows[-1].id}
    assert collected == whole
    assert len(whole) == len(ranks)


async def test_nothing_remote_happens_inside_a_transaction(db: Database) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("must not be reached")

    client = Client("http://x", Loopback(app))  # type: ignore[arg-type]
    async with db.transaction():
        with pytest.raises(RemoteCallInTransaction):
            await client.request("GET", "/")
    async with db.read():
        with pytest.raises(RemoteCallInTransaction):
            await client.request("GET", "/")


def test_a_schema_is_brought_up_once(tmp_path: Path) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    body = "from alembic import op\nimport sqlalchemy as sa\nrevision = '{0}'\ndown_revision = {1!r}\n"
    body += "def upgrade():\n    op.create_table('t{0}', sa.Column('id', sa.Integer, primary_key=True))\n"
    (versions / "0001_first.py").write_text(body.format("0001", None))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    assert upgrade(url, versions.parent) is None
    assert upgrade(url, versions.parent) == "0001"
    (versions / "0002_second.py").write_text(body.format("0002", "0001"))
    assert upgrade(url, versions.parent) == "0001"
    assert upgrade(url, versions.parent) == "0002"


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    body = "import sqlalchemy as sa\nfrom alembic import op\nrevision = '0001'\ndown_revision = None\n"
    body += "def upgrade():\n    op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))\n"
    (versions / "0001_first.py").write_text(body + "    raise OSError('out of luck')\n")
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with pytest.raises(OSError, match="out of luck"):
        upgrade(url, versions.parent)
    (versions / "0001_first.py").write_text(body)
    assert upgrade(url, versions.parent) is None
    assert upgrade(url, versions.parent) == "0001"


async def test_a_full_disk_is_said_and_outlived(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'x.db'}", name="x")
    METADATA.create_all(db._writer)
    db._writer.commit()
    pages = db._writer.exec_driver_sql("PRAGMA page_count").scalar()
    db._writer.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFails) as refused:
        async with db.transaction() as tx:
            await tx.run(insert(THINGS), [{"name": str(n), "data": "x" * 1000} for n in range(100)])
    assert refused.value.status == 503
    assert "disk" in refused.value.message
    db._writer.exec_driver_sql("PRAGMA max_page_count=100000")
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), [{"name": "after"}])
    async with db.read() as tx:
        assert await tx.column(select(THINGS.c.name)) == ["after"]
    await db.close()


async def test_a_commit_that_fails_leaves_the_way_free_for_the_next_transaction(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'x.db'}", name="x")
    METADATA.create_all(db._writer)
    db._writer.exec_driver_sql("CREATE TABLE parts (of INTEGER REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)")
    db._writer.commit()
    with pytest.raises(Conflict):
        async with db.transaction() as tx:
            await tx.run(text("INSERT INTO parts VALUES (99)"))  # only the commit finds out
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), [{"name": "after"}])
    async with db.read() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM parts")) == 0
    await db.close()


@pytest.mark.parametrize("value", [{"name": "zero\0byte"}, {"name": "a", "rank": 2**40}, {"name": "x" * 300}])
async def test_what_an_engine_cannot_store_is_a_bad_request_or_kept_as_it_was(
    db: Database, value: dict[str, object]
) -> None:
    with suppress(NotStorable):
        async with db.transaction() as tx:
            await tx.run(insert(THINGS), value)
        async with db.read() as tx:
            row = await tx.first(select(THINGS))
        assert row is not None
        assert {key: getattr(row, key) for key in value} == value
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), {"name": "after"})


async def test_two_who_wait_for_each_other_are_parted_and_nothing_is_half_done(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    async with db.transaction() as tx:
        await tx.run(insert(THINGS), [{"name": "a", "rank": 0}, {"name": "b", "rank": 0}])
    both = asyncio.Barrier(2)

    async def change(first: str, second: str) -> None:
        async with db.transaction() as tx:
            await tx.run(update(THINGS).where(THINGS.c.name == first).values(rank=THINGS.c.rank + 1))
            await both.wait()
            await tx.run(update(THINGS).where(THINGS.c.name == second).values(rank=THINGS.c.rank + 1))

    ends = await asyncio.gather(change("a", "b"), change("b", "a"), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "Overtaken"]
    async with db.read() as tx:
        assert await tx.column(select(THINGS.c.rank)) == [1, 1]


async def test_who_counts_and_then_adds_is_alone_with_it(db: Database) -> None:
    async def add_unless_there_are_three(number: int) -> None:
        async with db.transaction() as tx:
            await tx.alone("room", "demo")
            if await tx.scalar(select(func.count()).select_from(THINGS)) < 3:
                await tx.run(insert(THINGS), {"name": str(number)})

    await asyncio.gather(*(add_unless_there_are_three(number) for number in range(10)))
    async with db.transaction() as tx:  # nothing is held by a connection that went back
        await tx.alone("room", "demo")
        assert await tx.scalar(select(func.count()).select_from(THINGS)) == 3
