"""One unit of work against one database, and the rule that nothing remote happens inside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from sqlalchemy import Executable, Row
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError

from kilonova.kernel.errors import Conflict, RemoteCallInTransaction

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_open: ContextVar[str | None] = ContextVar("kilonova_transaction", default=None)


class Duplicate(Conflict):
    """A unique constraint refused the row. Services translate it to their own words."""

    text = "An object with these identifying values exists already."


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

    def __init__(self, execute: Callable[[Executable, Parameters], Awaitable[CursorResult[Any]]]):
        self._execute_raw = execute
        self.callbacks: list[Callable[[], object]] = []

    async def _execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]:
        try:
            return await self._execute_raw(statement, parameters)
        except IntegrityError as error:
            text = str(error.orig).lower()
            if "unique" in text or "duplicate" in text:
                raise Duplicate() from error
            raise

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
