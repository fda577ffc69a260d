"""Values of OVSDB as Python has them, and as the wire has them. Pure.

| column in the schema        | here                                   |
|-----------------------------|----------------------------------------|
| one value                   | str, int, float, bool, Uuid            |
| at most one value           | the same, or None                      |
| a set                       | set                                    |
| a map                       | dict                                   |

`Uuid` is a row of the database; `Named` one that the same transaction inserts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any


class Uuid(str):
    """The id of a row in the database."""

    __slots__ = ()


class Named(str):
    """The name, inside one transaction, of a row it inserts."""

    __slots__ = ()


Atom = str | int | float | bool
Value = Atom | None | set[Any] | frozenset[Any] | tuple[Any, ...] | list[Any] | dict[Any, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is shaped: "one", "optional", "set" or "map"."""

    name: str
    shape: str
    default: Any


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: Mapping[str, Column]
    is_root: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database says of itself."""

    name: str
    version: str
    tables: Mapping[str, Table]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Schema:
        explicit_roots = any(table.get("isRoot") for table in body["tables"].values())
        tables = {
            name: Table(
                name,
                {column: _column(column, known["type"]) for column, known in table["columns"].items()},
                bool(table.get("isRoot")) or not explicit_roots,
            )
            for name, table in body["tables"].items()
        }
        return cls(body["name"], body.get("version", ""), tables)


DEFAULTS: Mapping[str, Any] = {"integer": 0, "real": 0.0, "boolean": False, "string": "", "uuid": Uuid()}


def _column(name: str, kind: Any) -> Column:
    if isinstance(kind, str):
        return Column(name, "one", DEFAULTS[kind])
    key = kind["key"]
    if "value" in kind:
        return Column(name, "map", {})
    if kind.get("max", 1) != 1:
        return Column(name, "set", set())
    if kind.get("min", 1) == 0:
        return Column(name, "optional", None)
    return Column(name, "one", DEFAULTS[key if isinstance(key, str) else key["type"]])


def encode_atom(value: Any) -> Any:
    if isinstance(value, Uuid):
        return ["uuid", str(value)]
    if isinstance(value, Named):
        return ["named-uuid", str(value)]
    return value


def encode_set(values: Iterable[Any]) -> list[Any]:
    return ["set", [encode_atom(value) for value in values]]


def encode(value: Any) -> Any:
    """A value for a row or a condition; the type of the Python value says the shape."""
    if value is None:
        return ["set", []]
    if isinstance(value, dict):
        return ["map", [[encode_atom(key), encode_atom(one)] for key, one in value.items()]]
    if isinstance(value, set | frozenset | tuple | list):
        return encode_set(value)
    return encode_atom(value)


def encode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: encode(value) for column, value in row.items()}


def _atom(raw: Any) -> Any:
    return Uuid(raw[1]) if isinstance(raw, list) else raw


def decode(column: Column, raw: Any) -> Any:
    """A column's value from the wire."""
    shape = column.shape
    if shape == "map":
        return {_atom(key): _atom(value) for key, value in raw[1]}
    is_set = isinstance(raw, list) and raw[0] == "set"
    if shape == "set":
        return {_atom(one) for one in raw[1]} if is_set else {_atom(raw)}
    if shape == "optional" and is_set:
        return _atom(raw[1][0]) if raw[1] else None
    return _atom(raw)


def decode_row(table: Table, raw: Mapping[str, Any]) -> Row:
    columns = table.columns
    return {
        name: Uuid(value[1]) if name == "_uuid" else decode(columns[name], value)
        for name, value in raw.items()
        if name in columns or name == "_uuid"
    }


def with_defaults(table: Table, names: Iterable[str], raw: Mapping[str, Any]) -> Row:
    """A whole row from one of the wire, which leaves out the columns that hold their default."""
    columns = table.columns
    return {name: decode(columns[name], raw[name]) if name in raw else copy(columns[name].default) for name in names}


def merge(column: Column, old: Any, raw: Any) -> Any:
    """The new value of a column from an `update2` modification, which sends only what differs of sets and
    maps.
    """
    new = decode(column, raw)
    if column.shape == "set":
        return old ^ new
    if column.shape == "map":
        merged = dict(old)
        for key, value in new.items():
            if merged.get(key) == value:
                del merged[key]
            else:
                merged[key] = value
        return merged
    return new
