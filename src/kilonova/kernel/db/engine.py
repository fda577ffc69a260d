"""Databases by URL. SQLite runs at once in the event loop; network engines are awaited. Callers see one shape.

On SQLite one writer at a time holds an asyncio lock; a transaction on it never yields to the loop unless its body
awaits something else, so writers do not queue in practice. Connections are kept: one for writing, a few for reading.
WAL journal; ``synchronous=FULL`` so that an acknowledged write survives a power cut (option ``sqlite_synchronous``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Executable, create_engine, event
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from kilonova.kernel.db import patterns
from kilonova.kernel.db.transaction import Parameters, Transaction, _open, translated

LOG = logging.getLogger(__name__)


class Database:
    """One service's database. ``name`` is for messages; ``statements`` counts what was executed (for benchmarks)."""

    def __init__(self, url: str, *, name: str, synchronous: bool = True, pool_size: int = 10):
        self.url, self.name, self.statements = url, name, 0
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._lock: asyncio.Lock | None = None
        self._async: AsyncEngine | None = None
        if self.is_sqlite:
            if parsed.database not in (None, "", ":memory:"):
                Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
            self._writer = _sqlite(url, synchronous)
            in_memory = parsed.database in (None, "", ":memory:")
            self._reader = self._writer if in_memory else _sqlite(url, synchronous)
            self._shared_connection = in_memory
        else:
            # Writers see what others have just committed, as on SQLite; readers see one moment. Each has connections
            # of its own, so that the level is set once a connection and not once a transaction.
            self._async = _network(url, "READ COMMITTED", pool_size)
            self._async_reader = _network(url, "REPEATABLE READ", pool_size)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A read-write unit of work: committed at the end, rolled back when the body raises."""
        nested = _open.get()
        if nested is not None:
            raise RuntimeError(f"a transaction of {self.name} inside one of {nested}")
        token = _open.set(self.name)
        try:
            if self._async is not None:
                async with self._async.connect() as connection:
                    tx = Transaction(self._awaited(connection), self.name, self._async.dialect.name)
                    try:
                        async with connection.begin():
                            yield tx
                    finally:
                        if tx.holds_locks:
                            await _let_go(connection)
            else:
                if self._lock is None:
                    self._lock = asyncio.Lock()
                async with self._lock:
                    tx = Transaction(self._at_once(self._writer), self.name)
                    self._writer.exec_driver_sql("BEGIN IMMEDIATE")
                    try:
                        yield tx
                        self._writer.commit()
                    except BaseException:
                        self._roll_back()
                        raise
        except DBAPIError as error:
            raise translated(error, self.name) from error
        finally:
            _open.reset(token)
        for callback in tx.callbacks:
            callback()

    def _roll_back(self) -> None:
        """Whatever failed, a commit too: nothing is left open that would stand in the way of the next one."""
        self._writer.rollback()
        raw: Any = self._writer.connection.dbapi_connection
        if raw.in_transaction:  # SQLAlchemy believes that a commit that failed has ended it
            raw.rollback()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Reading only. On SQLite each statement sees the last commit; network engines give one snapshot."""
        token = _open.set(self.name)
        try:
            if self._async is not None:
                async with self._async_reader.connect() as connection:
                    yield Transaction(self._awaited(connection), self.name)
            elif self._shared_connection and self._lock is not None and self._lock.locked():
                async with self._lock:
                    yield Transaction(self._at_once(self._reader), self.name)
            else:
                yield Transaction(self._at_once(self._reader), self.name)
        except DBAPIError as error:
            raise translated(error, self.name) from error
        finally:
            _open.reset(token)

    def _at_once(self, connection: Connection) -> Any:
        async def execute(statement: Executable, parameters: Parameters) -> CursorResult[Any]:
            self.statements += 1
            return connection.execute(statement, parameters)

        return execute

    def _awaited(self, connection: Any) -> Any:
        async def execute(statement: Executable, parameters: Parameters) -> CursorResult[Any]:
            self.statements += 1
            return await connection.execute(statement, parameters)  # type: ignore[no-any-return]

        return execute

    async def close(self) -> None:
        """Close all connections; the database object is not used again."""
        if self._async is not None:
            await self._async.dispose()
            await self._async_reader.dispose()
            return
        for connection in {self._writer, self._reader}:
            connection.close()
            connection.engine.dispose()


async def _let_go(connection: AsyncConnection) -> None:
    """MariaDB's named locks belong to the connection, which goes back to the pool. A broken one has none any more."""
    try:
        await connection.exec_driver_sql("SELECT RELEASE_ALL_LOCKS()")
    except DBAPIError:
        await connection.invalidate()


def _network(url: str, isolation_level: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(url, pool_size=pool_size, pool_pre_ping=True, isolation_level=isolation_level)


def _sqlite(url: str, synchronous: bool) -> Connection:
    # One pysqlite connection kept open, in autocommit: BEGIN and COMMIT are ours.
    engine = create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 5},
        query_cache_size=2000,
    )

    @event.listens_for(engine, "connect")
    def _prepare(raw: Any, _record: Any) -> None:
        cursor = raw.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if synchronous else 'OFF'}",
            "foreign_keys=ON",
            "cache_size=-8000",
            "temp_store=MEMORY",
            "case_sensitive_like=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        raw.create_function("regexp", 2, patterns.matches, deterministic=True)

    return engine.connect()
