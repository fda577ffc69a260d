"""One unit of work against one database, and the rule that nothing remote happens inside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from sqlalchemy import Executable, Row
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError

from kilonova.kernel.errors import Conflict, RemoteCallInTransaction, ServiceUnavailable

LOG = logging.getLogger(__name__)

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_open: ContextVar[str | None] = ContextVar("kilonova_transaction", default=None)


class Duplicate(Conflict):
    """A unique constraint refused the row. Services translate it to their own words."""

    text = "An object with these identifying values exists already."


class RowsDisagree(Conflict):
    """A row named another that is not there (any more), or the database's other rules do not hold."""

    text = "The request names something that has just been removed; look again and repeat it."


class StorageFails(ServiceUnavailable):
    """The database cannot keep or find anything now: its disk is full, locked, broken or away."""

    text = "The {name} database cannot be used now ({why}); nothing was changed. Try again later."


_SAID_BY_STORAGE = (
    ("is full", "its disk is full"),
    ("locked", "another process holds it"),
    ("disk i/o", "its disk does not work"),
    ("readonly", "it cannot be written"),
    ("unable to open", "its file cannot be opened"),
    ("malformed", "its file is damaged"),
)


def translated(error: DBAPIError, name: str) -> Exception:
    """What a failed statement or commit means to callers; the error itself where it is a defect of ours."""
    said = str(error.orig).lower()
    if isinstance(error, IntegrityError):
        if "unique" in said or "duplicate" in said:
            return Duplicate()
        return RowsDisagree() if "foreign key" in said else error
    why = next((why for word, why in _SAID_BY_STORAGE if word in said), None)
    if why is None and error.connection_invalidated:
        why = "it does not answer"
    if why is None:
        return error
    LOG.error("the %s database cannot be used: %s", name, error.orig)
    return StorageFails(name=name, why=why)


def in_transaction() -> str | None:
    """The name of the database whose transaction this task holds open, or None."""
    return _open.get()


def refuse_in_transaction(what: str) -> None:
    """Raise when a transaction is open: called by the HTTP client and the bus before they talk."""
    name = _open.get()
    if name is not None:
        raise RemoteCallInTransaction(f"{what} inside a transaction of the {name} database")


class Executor(Protocol):
    """Runs a statement: at once (SQLite) or awaited (network engines). Hidden behind Transaction."""

    async def execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]: ...


class Transaction:
    """Statements of one unit of work. Obtained from ``Database.transaction()`` or ``Database.read()``."""

    def __init__(self, execute: Callable[[Executable, Parameters], Awaitable[CursorResult[Any]]], name: str = ""):
        self._execute_raw, self._name = execute, name
        self.callbacks: list[Callable[[], object]] = []

    async def _execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]:
        try:
            return await self._execute_raw(statement, parameters)
        except DBAPIError as error:
            raise translated(error, self._name) from error

    async def all(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        """All rows of a SELECT (or of DML with RETURNING)."""
        return (await self._execute(statement, parameters)).all()

    async def first(self, statement: Executable, parameters: Parameters = None) -> Row[Any] | None:
        """The first row, or None."""
        return (await self._execute(statement, parameters)).first()

    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any:
        """The first column of the first row, or None."""
        row = (await self._execute(statement, parameters)).first()
        return None if row is None else row[0]

    async def column(self, statement: Executable, parameters: Parameters = None) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in (await self._execute(statement, parameters)).all()]

    async def run(self, statement: Executable, parameters: Parameters = None) -> int:
        """Run INSERT, UPDATE or DELETE (a list of parameters runs as one executemany); the number of rows touched.

        An empty list of parameters does nothing. Raises Duplicate when a unique constraint refuses.
        """
        if isinstance(parameters, list) and not parameters:
            return 0
        return int((await self._execute(statement, parameters)).rowcount)

    async def insert_id(self, statement: Executable, parameters: Parameters = None) -> int:
        """Run a one-row INSERT into a table with an integer primary key; the new key."""
        result = await self._execute(statement, parameters)
        key = result.inserted_primary_key
        return int(key[0]) if key is not None else 0

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` (plain, quick) once the work is committed: the place for wake-ups."""
        self.callbacks.append(callback)
