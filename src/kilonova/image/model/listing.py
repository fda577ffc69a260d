"""What a list of images is asked for: the query string, read and checked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from kilonova.image.model.image import MEMBER_STATUSES, VISIBILITIES
from kilonova.kernel.clock import parse_iso
from kilonova.kernel.errors import BadRequest

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir"})
_MOST_FILTERS, _MOST_IN_A_LIST = 100, 1000
OPERATORS = ("lt", "lte", "eq", "neq", "gt", "gte")


class BadQuery(BadRequest):
    text = "Query parameter {name}: {why}."


@dataclass(frozen=True, slots=True)
class Condition:
    """``attribute operator value``. Attributes are those of the database rows; ``property:NAME`` and ``tag`` too.

    Operators: eq, neq, lt, lte, gt, gte, in (value: a list).
    """

    attribute: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """``visibility`` None: what upstream shows unasked. ``sort``: pairs of key and direction, ``id`` is last."""

    conditions: tuple[Condition, ...]
    visibility: str | None
    member_status: str
    sort: tuple[tuple[str, str], ...]
    limit: int
    marker: str | None


def parse(query: Mapping[str, Sequence[str]], *, page_default: int, page_max: int) -> Query:
    """Read a query string (values by name). Raises BadQuery."""
    conditions = [Condition("hidden", "eq", _boolean("os_hidden", _last(query, "os_hidden") or "false"))]
    for name, values in query.items():
        if name in PAGING or name in ("visibility", "member_status", "os_hidden"):
            continue
        row = FILTERS.get(name)
        if row is None:
            conditions.append(Condition(f"property:{name}", "eq", values[-1]))
        elif name == "tag":
            conditions.extend(Condition("tag", "eq", value) for value in values)
        else:
            conditions.append(row(name, values[-1]))
    if len(conditions) > _MOST_FILTERS:
        raise BadRequest(f"A list can be filtered by {_MOST_FILTERS} conditions at most.")
    return Query(
        conditions=tuple(conditions),
        visibility=_visibility(_last(query, "visibility")),
        member_status=_member_status(_last(query, "member_status")),
        sort=_sort(query),
        limit=min(limit_of(query, page_default), page_max),
        marker=_last(query, "marker"),
    )


def link(path: str, query: Mapping[str, Sequence[str]], marker: str | None) -> str:
    """``path`` with the same query but another marker (None: without one)."""
    kept = [(name, value) for name, values in query.items() if name != "marker" for value in values]
    if marker is not None:
        kept.append(("marker", marker))
    return f"{path}?{urlencode(kept)}" if kept else path


def _last(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = query.get(name)
    return values[-1] if values else None


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadQuery(name=name, why="say true or false")
    return text.lower() == "true"


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadQuery(name=name, why="give a whole number, zero or more")
    return int(text)


def limit_of(query: Mapping[str, Sequence[str]], default: int) -> int:
    """The limit asked for. Raises BadQuery."""
    text = _last(query, "limit")
    return default if text is None else _number("limit", text)


def _visibility(text: str | None) -> str | None:
    if text is not None and text not in (*VISIBILITIES, "all"):
        raise BadQuery(name="visibility", why=f"choose from {', '.join(VISIBILITIES)}, all")
    return text


def _member_status(text: str | None) -> str:
    if text is not None and text not in (*MEMBER_STATUSES, "all"):
        raise BadQuery(name="member_status", why=f"choose from {', '.join(MEMBER_STATUSES)}, all")
    return text or "accepted"


def _sort(query: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    keys, directions = list(query.get("sort_key", ())), list(query.get("sort_dir", ()))
    together = query.get("sort")
    if together:
        if keys or directions:
            raise BadQuery(name="sort", why="it cannot be combined with sort_key and sort_dir")
        pairs = [part.strip().partition(":") for part in together[-1].split(",")]
        keys, directions = [p[0] for p in pairs], [p[2] or "desc" for p in pairs]
    elif len(directions) > 1 and len(directions) != len(keys):
        raise BadQuery(name="sort_dir", why="give one for all, or one for each sort_key")
    elif len(directions) <= 1:
        directions = (directions or ["desc"]) * max(len(keys), 1)
    chosen: dict[str, str] = {}
    for key, direction in zip(keys or ["created_at"], directions, strict=False):
        if key not in SORT_KEYS:
            raise BadQuery(name="sort_key", why=f"choose from {', '.join(SORT_KEYS)}")
        if direction not in ("asc", "desc"):
            raise BadQuery(name="sort_dir", why="say asc or desc")
        chosen.setdefault(key, direction)
    last = next(reversed(chosen.values()))
    if "id" not in chosen:
        if "created_at" not in chosen:
            chosen["created_at"] = last
        chosen["id"] = last
    return tuple(chosen.items())


def _with_in(attribute: str) -> Callable[[str, str], Condition]:
    def read(name: str, text: str) -> Condition:
        operator, colon, rest = text.partition(":")
        if colon and operator == "in":
            return Condition(attribute, "in", _list(name, rest))
        if colon and operator in OPERATORS:
            if operator not in ("eq", "neq"):
                raise BadQuery(name=name, why=f"{operator} does not apply here; use in, eq or neq")
            return Condition(attribute, operator, rest)
        return Condition(attribute, "eq", text)

    return read


def _list(name: str, text: str) -> list[str]:
    if text.count('"') % 2:
        raise BadQuery(name=name, why="a quotation mark is not closed")
    try:
        values = [v for row in csv.reader([text], skipinitialspace=True) for v in row]
    except csv.Error as error:
        raise BadQuery(name=name, why=f"the list after in: cannot be read ({error})") from None
    if len(values) > _MOST_IN_A_LIST:
        raise BadQuery(name=name, why=f"the list after in: has more than {_MOST_IN_A_LIST} items")
    if not values or not all(values):
        raise BadQuery(name=name, why="the list after in: has an empty item")
    return values


def _plain(attribute: str) -> Callable[[str, str], Condition]:
    return lambda name, text: Condition(attribute, "eq", text)


def _whole(attribute: str, operator: str = "eq") -> Callable[[str, str], Condition]:
    return lambda name, text: Condition(attribute, operator, _number(name, text))


def _truth(attribute: str) -> Callable[[str, str], Condition]:
    return lambda name, text: Condition(attribute, "eq", _boolean(name, text))


def _moment(attribute: str) -> Callable[[str, str], Condition]:
    def read(name: str, text: str) -> Condition:
        operator, colon, rest = text.partition(":")
        if not colon or operator not in OPERATORS:
            operator, rest = "eq", text
        try:
            # A plus sign that a client left bare in the query string has become a blank.
            return Condition(attribute, operator, parse_iso(rest.replace(" ", "+")))
        except ValueError:
            raise BadQuery(name=name, why="give a moment as 2026-01-02T03:04:05Z, perhaps after gt:") from None

    return read


FILTERS: dict[str, Callable[[str, str], Condition]] = {
    "id": _with_in("id"),
    "name": _with_in("name"),
    "status": _with_in("status"),
    "container_format": _with_in("container_format"),
    "disk_format": _with_in("disk_format"),
    "owner": _plain("owner"),
    "checksum": _plain("checksum"),
    "os_hash_value": _plain("hash_value"),
    "os_hash_algo": _plain("hash_algorithm"),
    "tag": _plain("tag"),
    "protected": _truth("protected"),
    "min_disk": _whole("min_disk_gib"),
    "min_ram": _whole("min_ram_mib"),
    "size_min": _whole("size_bytes", "gte"),
    "size_max": _whole("size_bytes", "lte"),
    "size": _whole("size_bytes"),
    "created_at": _moment("created_at"),
    "updated_at": _moment("updated_at"),
}
