"""Schema migrations: one Alembic environment for every service, migrations in its own ``store/migrations``.

A migration is a file ``versions/NNNN_words.py`` with ``revision`` and ``down_revision`` as numbers ("0001") and an
``upgrade()`` that may assume nothing but the revision before it. Starting with an up-to-date schema reads one row and
does not import Alembic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import create_async_engine

T = TypeVar("T")


def head(migrations: Path) -> str:
    """The newest revision in a migrations folder: the number its file name begins with."""
    names = sorted(p.name for p in (migrations / "versions").glob("[0-9]*.py"))
    if not names:
        raise ValueError(f"no migrations in {migrations}")
    return names[-1].split("_", 1)[0]


def upgrade(url: str, migrations: Path) -> str | None:
    """Bring the database at ``url`` to the newest revision. Returns the revision it had before, None if empty.

    Blocking: call it before the event loop serves, or in a thread.
    """
    found = _on(url, _read_revision)
    if found != head(migrations):
        _on(url, lambda connection: _migrate(connection, migrations))
    return found


def _migrate(connection: Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic_environment"))
    config.set_main_option("version_locations", str(migrations / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def revision(url: str) -> str | None:
    """The revision a database is at; None when it has no schema, or cannot be opened. Changes nothing. Blocking."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return None
    try:
        return _on(url, _read_revision)
    except (DatabaseError, OSError):
        return None


def _on(url: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in a transaction. Network engines have one driver each, which wants a loop: here one of its own."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = _sqlite(url)
        try:
            with engine.begin() as connection:
                return work(connection)
        finally:
            engine.dispose()
    with ThreadPoolExecutor(1, "schema") as beside:  # the caller's thread may have a running loop
        return beside.submit(lambda: asyncio.run(_on_network(url, work))).result()


def _sqlite(url: str) -> Engine:
    """SQLite changes a schema within a transaction only if we begin it: its driver commits at each change."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _let_us_begin(raw: Any, _record: Any) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _begin_for_real(engine: Engine) -> None:
    """All or nothing, and one write to the disk: Python's module begins no transaction for a change of schema."""

    def leave_it_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    event.listen(engine, "connect", leave_it_to_us)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


async def _on_network(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
