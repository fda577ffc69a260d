"""Every service's migrations on the engine that KILONOVA_TEST_DB names lead to the tables of the code."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from kilonova.kernel.db import schema, upgrade

SERVICES = ("identity", "placement", "image", "network", "compute")
Shape = dict[str, tuple[dict[str, tuple[str, bool]], list[tuple[str, ...]], list[tuple[tuple[str, ...], str]]]]


def shape(connection: Connection) -> Shape:
    """Each table's columns with type and whether it may be NULL, its unique sets, its foreign keys."""
    found: Shape = {}
    seen = inspect(connection)
    for table in sorted(set(seen.get_table_names()) - {"alembic_version"}):
        columns = {
            column["name"]: (str(column["type"]), bool(column["nullable"])) for column in seen.get_columns(table)
        }
        unique = {tuple(index["column_names"]) for index in seen.get_indexes(table) if index["unique"]}
        unique |= {tuple(rule["column_names"]) for rule in seen.get_unique_constraints(table)}
        foreign = [(tuple(key["constrained_columns"]), key["referred_table"]) for key in seen.get_foreign_keys(table)]
        found[table] = (columns, sorted(unique), sorted(foreign))
    return found


async def look(url: str, make: MetaData | None = None) -> Shape:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        if make is not None:
            await connection.run_sync(make.create_all)
        found = await connection.run_sync(shape)
    await engine.dispose()
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_lead_to_the_tables_of_the_code(service: str) -> None:
    if not os.environ.get("KILONOVA_TEST_DB"):
        pytest.skip("no engine: KILONOVA_TEST_DB is not set (make test-engines starts one)")
    from kilonova.kernel.testing.engines import engines

    tables = importlib.import_module(f"kilonova.{service}.store.tables")
    migrations = Path(str(tables.__file__)).parent / "migrations"
    migrated, made = engines().make(), engines().make()
    assert upgrade(migrated, migrations) is None
    newest = schema.head(migrations)
    assert schema.revision(migrated) == newest
    assert upgrade(migrated, migrations) == newest
    assert asyncio.run(look(migrated)) == asyncio.run(look(made, tables.metadata))
