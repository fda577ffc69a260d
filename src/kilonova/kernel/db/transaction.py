"""One unit of work against one database, and the rule that nothing remote happens inside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, Protocol

from sqlalchemy import BigInteger, Executable, Row, String, bindparam, func, select, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError

from kilonova.kernel.errors import BadRequest, Conflict, RemoteCallInTransaction, ServiceUnavailable

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


class Overtaken(ServiceUnavailable):
    """Two transactions waited for each other, and the engine let the other one go first: this one did nothing."""

    text = (
        "Other requests changed the same things in the {name} database at that moment; nothing was changed. Repeat it."
    )


class NotStorable(BadRequest):
    """A value that the engine cannot keep or compare: a NUL in a text, a number or a text beyond its column."""

    text = "The request has a value that cannot be stored: a zero byte, or a number or a text beyond its limit."


_SAID_BY_STORAGE = (
    ("is full", "its disk is full"),
    ("locked", "another process holds it"),
    ("disk i/o", "its disk does not work"),
    ("readonly", "it cannot be written"),
    ("unable to open", "its file cannot be opened"),
    ("malformed", "its file is damaged"),
)


# What the network engines say by number: SQLSTATE on PostgreSQL, the server's own error number on MariaDB.
_DUPLICATE = ("23505", 1062, 1586)
_DISAGREES = ("23503", 1216, 1217, 1451, 1452)
_OVERTAKEN = ("40001", "40P01", "55P03", 1020, 1205, 1213)
# NUL or half a character, too long, out of range, no such day: SQLite keeps or misses these without a word.
_NOT_STORABLE = ("22021", "22001", "22003", "22008", "22P05", 1264, 1366, 1406, 1292, 1300)
_STORAGE_NUMBERS = {
    "53100": "its disk is full",
    1021: "its disk is full",
    1114: "its disk is full",
    "53300": "it has too many callers",
    1040: "it has too many callers",
    "25006": "it cannot be written",
    1290: "it cannot be written",
    "57P01": "it does not answer",
    "57P02": "it does not answer",
    "57P03": "it does not answer",
    1053: "it does not answer",
    1927: "it does not answer",
    2002: "it does not answer",
    2003: "it does not answer",
    2006: "it does not answer",
    2013: "it does not answer",
}


def _number(error: DBAPIError) -> str | int | None:
    """The engine's own number of the error; None on SQLite, which is known by its words."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(first, int):  # MariaDB has a SQLSTATE too, but one for everything that breaks a rule
        return first
    state = getattr(error.orig, "sqlstate", None)
    return None if state is None else str(state)


def translated(error: DBAPIError, name: str) -> Exception:
    """What a failed statement or commit means to callers; the error itself where it is a defect of ours."""
    said, number = str(error.orig).lower(), _number(error)
    if number in _OVERTAKEN:
        return Overtaken(name=name)
    if number in _NOT_STORABLE or " range)" in said:  # asyncpg looks at integers before it sends them
        return NotStorable()
    if isinstance(error, IntegrityError):
        if number in _DUPLICATE or "unique" in said:
            return Duplicate()
        return RowsDisagree() if number in _DISAGREES or "foreign key" in said else error
    why = _STORAGE_NUMBERS.get(number) if number is not None else None
    why = why or next((why for word, why in _SAID_BY_STORAGE if word in said), None)
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


_PG_WAITS_AT_MOST = text("SET LOCAL lock_timeout = '10s'")
_PG_ALONE = select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger)))
_MARIADB_ALONE = select(func.get_lock(bindparam("name", type_=String), 10))


class Executor(Protocol):
    """Runs a statement: at once (SQLite) or awaited (network engines). Hidden behind Transaction."""

    async def execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]: ...


class Transaction:
    """Statements of one unit of work. Obtained from ``Database.transaction()`` or ``Database.read()``."""

    def __init__(
        self,
        execute: Callable[[Executable, Parameters], Awaitable[CursorResult[Any]]],
        name: str = "",
        engine: str = "",
    ):
        self._execute_raw, self._name, self._engine = execute, name, engine
        self.holds_locks = False
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

    async def alone(self, what: str, which: str) -> None:
        """From here to the end nobody else is in a transaction that is alone with the same: for rules over several
        rows, as "count, then add". On SQLite it is always so. Raises Overtaken after ten seconds.
        """
        if not self._engine:
            return
        key = f"{self._name}:{what}:{which}"
        if self._engine == "postgresql":
            number = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), signed=True)
            await self._execute(_PG_WAITS_AT_MOST, None)
            await self._execute(_PG_ALONE, {"number": number})
            return
        short = blake2b(key.encode(), digest_size=24).hexdigest()  # its names end at 64 letters
        self.holds_locks = True
        if not await self.scalar(_MARIADB_ALONE, {"name": short}):
            raise Overtaken(name=self._name)

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` (plain, quick) once the work is committed: the place for wake-ups."""
        self.callbacks.append(callback)
