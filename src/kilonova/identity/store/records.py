"""What every noun's table can do: get, find, add, change, remove, and one page of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, func, insert, select, update

from kilonova.kernel.db import Page, Transaction, paginate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filter:
    """``column`` compared with ``value``.

    ``how``: equals, in (``value`` is a list), contains, startswith or endswith; ``any_case``: upper and lower alike.
    """

    column: str
    value: Any
    how: str = "equals"
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """One page; ``more`` when rows were left behind it."""

    items: list[T]
    more: bool = False


def value_of(kind: Callable[..., T], row: Any) -> T:
    """A row, whose columns are the members of ``kind`` in order, as a value of it."""
    return kind(*row)


async def pairs(tx: Transaction, statement: Select[Any]) -> list[tuple[Any, Any]]:
    """The rows of a statement with two columns."""
    rows: Any = await tx.all(statement)
    return [(row[0], row[1]) for row in rows]


class Records(Generic[T]):
    """Rows of ``table`` as values of the dataclass ``kind``, whose members are named as the columns."""

    def __init__(self, table: Table, kind: type[T]):
        names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
        self.table, self.kind = table, kind
        self.select = select(*(table.c[n] for n in names))
        self._get = self.select.where(table.c.id == bindparam("id"))

    async def get(self, tx: Transaction, identifier: str | None) -> T | None:
        """The row with this id, or None."""
        if identifier is None:
            return None
        row = await tx.first(self._get, {"id": identifier})
        return None if row is None else value_of(self.kind, row)

    async def where(self, tx: Transaction, *conditions: ColumnElement[bool]) -> list[T]:
        """All rows that fulfil ``conditions``, by id."""
        statement = self.select.where(*conditions).order_by(self.table.c.id)
        return [value_of(self.kind, row) for row in await tx.all(statement)]

    async def one(self, tx: Transaction, *conditions: ColumnElement[bool]) -> T | None:
        """The one row that fulfils ``conditions``, or None."""
        row = await tx.first(self.select.where(*conditions))
        return None if row is None else value_of(self.kind, row)

    async def matching(self, tx: Transaction, **members: Any) -> list[T]:
        """All rows with these values, by id; None stands for NULL."""
        return await self.where(tx, *(condition(self.table, Filter(n, v)) for n, v in members.items()))

    async def many(self, tx: Transaction, identifiers: Iterable[str]) -> dict[str, T]:
        """Rows by id; ids that are not there are left out. Asks in portions of 500."""
        wanted = list(dict.fromkeys(identifiers))
        found: dict[str, T] = {}
        for at in range(0, len(wanted), 500):
            for row in await tx.all(self.select.where(self.table.c.id.in_(wanted[at : at + 500]))):
                found[row.id] = value_of(self.kind, row)
        return found

    async def add(self, tx: Transaction, one: T) -> None:
        """Raises Duplicate."""
        await tx.run(insert(self.table), asdict(one))  # type: ignore[call-overload]

    async def change(self, tx: Transaction, identifier: str, values: Mapping[str, Any]) -> None:
        """Raises Duplicate."""
        if values:
            await tx.run(update(self.table).where(self.table.c.id == identifier).values(**values))

    async def remove(self, tx: Transaction, identifier: str) -> bool:
        """Whether there was such a row."""
        return await tx.run(delete(self.table).where(self.table.c.id == identifier)) > 0

    async def page(
        self,
        tx: Transaction,
        filters: Iterable[Filter] = (),
        *conditions: ColumnElement[bool],
        limit: int | None = None,
        marker: str | None = None,
    ) -> Found[T]:
        """Rows by id after ``marker``, ``limit`` at most."""
        statement = self.select.where(*(condition(self.table, f) for f in filters), *conditions)
        after = None if marker is None else {"id": marker}
        page = Page((("id", "asc"),), limit=None if limit is None else limit + 1, after=after)
        rows = [value_of(self.kind, row) for row in await tx.all(paginate(statement, {"id": self.table.c.id}, page))]
        return Found(rows, False) if limit is None else Found(rows[:limit], len(rows) > limit)


def condition(table: Table, one: Filter) -> ColumnElement[bool]:
    """The filter as SQL."""
    column: Any = table.c[one.column]
    if one.how == "equals":
        return column.is_(None) if one.value is None else column == one.value  # type: ignore[no-any-return]
    if one.how == "in":
        return column.in_(one.value)  # type: ignore[no-any-return]
    text = str(one.value)
    if one.any_case:
        column, text = func.lower(column), text.lower()
    matching: ColumnElement[bool] = getattr(column, one.how)(text, autoescape=True)
    return matching
