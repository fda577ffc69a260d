"""Lists: which rows a reader may see, which of them were asked for, in which order. One statement a list.

A statement is built once for each *shape* (who may read, which filters, which order) with bound parameters
and kept: building expressions costs more than running them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    false,
    not_,
    or_,
)

from kilonova.kernel.db import Page, Transaction, UtcDateTime, paginate
from kilonova.network import errors
from kilonova.network.store.tables import SEPARATOR

READER = "reader"
"""The bound parameter that holds the reader's project id."""

Clause = Callable[[BindParameter[Any]], ColumnElement[bool]]


def reader() -> BindParameter[Any]:
    """The reader's project id within a statement."""
    return bindparam(READER)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads. ``sees_all``: every project's rows; the rules then decide."""

    project_id: str | None
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """One way to choose rows. ``clause`` takes a parameter that holds the list of values; ``read`` turns a
    text from the query into a value, or raises ValueError. ``empty``: what an empty text stands for.
    ``literal``: instead of all that, a clause made of the texts themselves."""

    clause: Clause
    read: Callable[[str], Any] = str
    empty: ColumnElement[bool] | None = None
    literal: Callable[[Sequence[str]], ColumnElement[bool]] | None = None


@dataclass(frozen=True)
class Listing:
    """The rows of one noun. ``select`` may use ``reader()``; ``visible`` is None where only sees_all readers
    read.

    ``columns``: what may be sorted by, and looked up for a marker."""

    select: Select[Any]
    key: ColumnElement[str]
    visible: ColumnElement[bool]
    columns: Mapping[str, ColumnElement[Any]]
    filters: Mapping[str, Filter]
    _kept: dict[Any, Select[Any]] = field(default_factory=dict)

    async def rows(
        self,
        tx: Transaction,
        reader: Reader,
        wanted: Mapping[str, Sequence[str]] | None = None,
        page: Page | None = None,
    ) -> Sequence[Row[Any]]:
        """The rows that ``reader`` may see and that match every filter of ``wanted`` (any of its values)."""
        values: dict[str, list[Any]] = {}
        empties: set[str] = set()
        literals: list[ColumnElement[bool]] = []
        for name, texts in (wanted or {}).items():
            one = self.filters[name]
            if one.literal is not None:
                literals.append(one.literal(texts))
                continue
            found: list[Any] = []
            for text in texts:
                if text == "" and one.empty is not None:
                    empties.add(name)
                else:
                    try:
                        found.append(one.read(text))
                    except ValueError:
                        continue  # no row can have such a value
            values[f"f_{name}"] = found
        shape = (
            reader.sees_all,
            tuple(values),
            frozenset(empties),
            None if page is None else replace(page, after=None),
        )
        keep = not literals and (page is None or page.after is None)
        statement = self._kept.get(shape) if keep else None
        if statement is None:
            statement = self._build(reader, [name[2:] for name in values], empties, page).where(*literals)
            if keep:
                if len(self._kept) > 500:
                    self._kept.clear()
                self._kept[shape] = statement
        return await tx.all(statement, {READER: reader.project_id, **values})

    def _build(self, reader: Reader, names: Sequence[str], empties: set[str], page: Page | None) -> Select[Any]:
        statement = self.select
        if not reader.sees_all:
            statement = statement.where(self.visible)
        for name in names:
            one = self.filters[name]
            clause = one.clause(bindparam(f"f_{name}", expanding=True))
            if name in empties and one.empty is not None:
                clause = or_(clause, one.empty)
            statement = statement.where(clause)
        if page is not None:
            statement = paginate(statement, self.columns, page)
        return statement

    async def one(self, tx: Transaction, reader: Reader, object_id: str) -> Row[Any] | None:
        """The row with this id, if the reader may see it."""
        shape = ("id", reader.sees_all)
        statement = self._kept.get(shape)
        if statement is None:
            statement = self.select.where(self.key == bindparam("id"))
            if not reader.sees_all:
                statement = statement.where(self.visible)
            self._kept[shape] = statement
        return await tx.first(statement, {READER: reader.project_id, "id": object_id})

    async def many(self, tx: Transaction, reader: Reader, object_ids: Sequence[str]) -> Sequence[Row[Any]]:
        """The rows with these ids that the reader may see, in no order."""
        shape = ("ids", reader.sees_all)
        statement = self._kept.get(shape)
        if statement is None:
            statement = self.select.where(self.key.in_(bindparam("ids", expanding=True)))
            if not reader.sees_all:
                statement = statement.where(self.visible)
            self._kept[shape] = statement
        return await tx.all(statement, {READER: reader.project_id, "ids": list(object_ids)})


def equals(column: ColumnElement[Any], read: Callable[[str], Any] = str) -> Filter:
    """Rows whose column is one of the values; an empty text also finds NULL."""
    empty = or_(column.is_(None), column == "") if read is str else column.is_(None)
    return Filter(lambda values: column.in_(values), read, empty)


def flag(text: str) -> bool:
    """A boolean of a query string."""
    word = text.lower()
    if word in ("true", "1", "yes", "on", "t", "y"):
        return True
    if word in ("false", "0", "no", "off", "f", "n"):
        return False
    raise errors.InvalidInput(reason=f"'{text}' cannot be converted to boolean")


def whole(text: str) -> int:
    """A whole number of a query string that a column can hold."""
    value = int(text)
    if not -(2**31) <= value < 2**31:
        raise ValueError(text)
    return value


def standard(table: Table, *, tags: bool = True) -> dict[str, Filter]:
    """The filters every noun has: each of its columns, and its tags."""
    found: dict[str, Filter] = {}
    for column in table.columns:
        if column.name == "tags":
            continue
        found[column.name] = equals(column, _reader_of(column))
    if tags:
        found |= _tag_filters(table.c.tags)
    if "updated_at" in table.c:
        updated = table.c.updated_at
        found["changed_since"] = Filter(
            lambda values: false(), literal=lambda texts: and_(*(updated >= _asked_moment(text) for text in texts))
        )
    return found


def _reader_of(column: Column[Any]) -> Callable[[str], Any]:
    if isinstance(column.type, Boolean):
        return flag
    if isinstance(column.type, Integer):
        return whole
    if isinstance(column.type, UtcDateTime):
        return _moment
    return str


def _moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _asked_moment(text: str) -> datetime:
    try:
        return _moment(text)
    except ValueError:
        raise errors.InvalidInput(reason=f"{text!r} is not a moment such as 2026-01-31T12:00:00Z") from None


def _tag_filters(column: Column[Any]) -> dict[str, Filter]:
    def has(tag: str) -> ColumnElement[bool]:
        return column.contains(f"{SEPARATOR}{tag}{SEPARATOR}", autoescape=True)

    def named(combine: Callable[..., ColumnElement[bool]], *, negate: bool = False) -> Filter:
        def clause(texts: Sequence[str]) -> ColumnElement[bool]:
            found = combine(*(has(tag) for text in texts for tag in text.split(",")))
            return not_(found) if negate else found

        return Filter(lambda values: false(), literal=clause)

    return {
        "tags": named(and_),
        "tags-any": named(or_),
        "not-tags": named(and_, negate=True),
        "not-tags-any": named(or_, negate=True),
    }
