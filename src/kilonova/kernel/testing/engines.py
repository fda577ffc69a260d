"""Databases on a network engine for the stories: ``KILONOVA_TEST_DB=postgresql+asyncpg://...`` or ``mysql+asyncmy://...``.

Making a database costs an engine a large part of a second, so databases are kept: one a set of tables and a user at a
time, emptied when it is taken again. `release` at the end of each test (tests/conftest.py) gives them back. What is
done to them beside the story runs on a thread with a loop of its own, so that builders of plain functions can ask for
a database inside a running loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kilonova.kernel.db import Database

T = TypeVar("T")

_numbers = count(1)


class Engines:
    """The databases of one test run on one server."""

    def __init__(self, url: str):
        self.url = make_url(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self._free: dict[int, list[str]] = {}
        self._in_use: list[tuple[MetaData, str, Database]] = []
        self._backstage: dict[str, AsyncEngine] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="test databases", daemon=True).start()

    def take(self, metadata: MetaData, name: str) -> Database:
        """An empty database with the tables of ``metadata``. Blocks while it is prepared."""
        free = self._free.setdefault(id(metadata), [])
        if free:
            database = free.pop()
            self.run(self._empty(database, metadata))
        else:
            database = self.run(self._make(metadata))
        db = Database(self._address(database), name=name, pool_size=5)
        self._in_use.append((metadata, database, db))
        return db

    def make(self) -> str:
        """The URL of a new database without any table, for the stories of migrations."""
        return self._address(self.run(self._create()))

    async def release(self) -> None:
        """Give back all that was taken; awaited in the loop of the story that took it."""
        taken, self._in_use = self._in_use, []
        for metadata, database, db in taken:
            await db.close()
            self._free.setdefault(id(metadata), []).append(database)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _address(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def _engine(self, url: URL) -> AsyncEngine:
        key = url.database or ""
        if key not in self._backstage:
            self._backstage[key] = create_async_engine(url, isolation_level="AUTOCOMMIT", pool_size=1)
        return self._backstage[key]

    async def _create(self) -> str:
        name = f"story_{os.getpid()}_{next(_numbers)}"
        charset = "" if self.is_postgresql else " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        async with self._engine(self.url).connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}{charset}"))
        return name

    async def _make(self, metadata: MetaData) -> str:
        name = await self._create()
        async with self._engine(self.url.set(database=name)).connect() as connection:
            await connection.run_sync(metadata.create_all)
        return name

    async def _empty(self, name: str, metadata: MetaData) -> None:
        async with self._engine(self.url.set(database=name)).connect() as connection:
            if self.is_postgresql:
                await self._empty_postgresql(connection, metadata)
            else:
                await self._empty_mariadb(connection, metadata)

    async def _empty_postgresql(self, connection: AsyncConnection, metadata: MetaData) -> None:
        # A story that left a transaction open would hold its locks for ever.
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        deletes = "".join(f'DELETE FROM "{table.name}"; ' for table in metadata.tables.values())
        sequences = "FOR s IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP "
        sequences += "EXECUTE format('ALTER SEQUENCE %I RESTART', s); END LOOP; "
        await connection.run_sync(
            _driver_sql,
            f"DO $$ DECLARE s text; BEGIN SET LOCAL session_replication_role = replica; {deletes}{sequences}END $$",
        )

    async def _empty_mariadb(self, connection: AsyncConnection, metadata: MetaData) -> None:
        others = await connection.execute(
            text("SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()")
        )
        for row in others.all():
            with suppress(DBAPIError):  # it may have ended by itself
                await connection.run_sync(_driver_sql, f"KILL {int(row[0])}")
        await connection.run_sync(_driver_sql, "SET FOREIGN_KEY_CHECKS = 0")
        for table in metadata.tables.values():
            await connection.run_sync(_driver_sql, f"DELETE FROM `{table.name}`")
        counted = await connection.execute(
            text(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = database() AND auto_increment > 1"
            )
        )
        for row in counted.all():
            await connection.run_sync(_driver_sql, f"ALTER TABLE `{row[0]}` AUTO_INCREMENT = 1")
        await connection.run_sync(_driver_sql, "SET FOREIGN_KEY_CHECKS = 1")


def _driver_sql(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


_engines: Engines | None = None


def engines() -> Engines:
    """The run's databases, by the environment; asked for only where KILONOVA_TEST_DB is set."""
    global _engines
    if _engines is None:
        _engines = Engines(os.environ["KILONOVA_TEST_DB"])
    return _engines
