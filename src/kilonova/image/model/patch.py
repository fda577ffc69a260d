"""Changing an image by JSON patch, in the two dialects that upstream's clients speak.

A patch names one attribute or property each; there is nothing below them. In v2.1 an operation is
``{"op": "add", "path": "/name", "value": ...}`` and adding what is there replaces it; in v2.0 it is
``{"add": "/name", "value": ...}`` and adding what is there is a conflict.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.image.errors import NoSuchProperty, NotRemovable, PropertyExists
from kilonova.kernel.errors import BadRequest

OPERATIONS = ("add", "replace", "remove")


class BadPatch(BadRequest):
    text = "The patch cannot be read: {why}."


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: ``kind`` of OPERATIONS, the name of the attribute, and its new value (not for remove)."""

    kind: str
    name: str
    value: Any = None


def parse(body: Any, *, old_dialect: bool) -> list[Operation]:
    """Read a patch. Raises BadPatch."""
    if not isinstance(body, list):
        raise BadPatch(why="it must be a list of operations")
    return [_parse_one(one, old_dialect) for one in body]


def _parse_one(one: Any, old_dialect: bool) -> Operation:
    if not isinstance(one, dict):
        raise BadPatch(why="each operation must be an object")
    if old_dialect:
        kinds = [kind for kind in OPERATIONS if kind in one]
        if len(kinds) != 1:
            raise BadPatch(why=f"each operation must have one of {', '.join(OPERATIONS)}")
        kind: Any = kinds[0]
        path = one[kind]
    else:
        kind, path = one.get("op"), one.get("path")
        if kind not in OPERATIONS:
            raise BadPatch(why=f"op must be one of {', '.join(OPERATIONS)}")
    if kind != "remove" and "value" not in one:
        raise BadPatch(why=f"operation {kind} needs a value")
    return Operation(kind, _name(path), one.get("value"))


def _name(path: Any) -> str:
    if not isinstance(path, str) or not path.startswith("/") or len(path) < 2:
        raise BadPatch(why="each path must be a string like /name")
    name = path[1:]
    if name.split("/", 1)[0] == "locations":
        return "locations"  # refused by name further on, whatever is below it
    if "/" in name:
        raise BadPatch(why=f"{path} goes too deep; a path names one attribute, like /name")
    plain = name.replace("~0", "").replace("~1", "")
    if "~" in plain:
        raise BadPatch(why=f"{path} has a ~ that is neither ~0 nor ~1")
    return name.replace("~1", "/").replace("~0", "~")


def apply(
    document: Mapping[str, Any], operations: list[Operation], *, fixed: Collection[str], old_dialect: bool
) -> dict[str, Any]:
    """``document`` after the operations. ``fixed``: attributes that every image has; the rest are properties.

    Raises NoSuchProperty, PropertyExists or NotRemovable.
    """
    after = dict(document)
    for one in operations:
        if one.kind == "remove":
            if one.name in fixed:
                raise NotRemovable(name=one.name)
            if one.name not in after:
                raise NoSuchProperty(name=one.name)
            del after[one.name]
            continue
        if one.kind == "replace" and one.name not in after:
            raise NoSuchProperty(name=one.name)
        if one.kind == "add" and old_dialect and one.name in after:
            raise PropertyExists(name=one.name)
        after[one.name] = one.value
    return after
