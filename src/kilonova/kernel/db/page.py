"""Pages of a list by keyset: the marker's row tells where to go on; never OFFSET."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for.

    ``sort``: pairs of key and direction (``asc`` or ``desc``), the last one unique. ``after``: the values of these
    keys in the marker's row, or None for the first page. ``limit``: rows at most, None for all.
    """

    sort: tuple[tuple[str, str], ...]
    limit: int | None = None
    after: Mapping[str, Any] | None = None
    reverse: bool = False


def paginate(statement: Select[Any], columns: Mapping[str, ColumnElement[Any]], page: Page) -> Select[Any]:
    """``statement`` ordered and cut to ``page``. NULLs sort first when ascending, on every engine."""
    keys: list[tuple[ColumnElement[Any], bool, Any]] = []
    for key, direction in page.sort:
        ascending = (direction == "asc") != page.reverse
        keys.append((columns[key], ascending, None if page.after is None else page.after[key]))
    if page.after is not None:
        statement = statement.where(_beyond(keys))
    for column, ascending, _value in keys:
        if getattr(column, "nullable", True):
            null_first = column.is_(None)
            statement = statement.order_by(null_first.desc() if ascending else null_first.asc())
        statement = statement.order_by(column.asc() if ascending else column.desc())
    return statement if page.limit is None else statement.limit(page.limit)


def _beyond(keys: Sequence[tuple[ColumnElement[Any], bool, Any]]) -> ColumnElement[bool]:
    choices: list[ColumnElement[bool]] = []
    for depth, (column, ascending, value) in enumerate(keys):
        same = [_equal(c, v) for c, _up, v in keys[:depth]]
        choices.append(and_(*same, _after(column, ascending, value)))
    return or_(*choices)


def _equal(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _after(column: ColumnElement[Any], ascending: bool, value: Any) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if ascending else false()
    return column > value if ascending else or_(column < value, column.is_(None))
