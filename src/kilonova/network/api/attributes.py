"""Attributes of resources as rows: the wire name, what may be sent, what it becomes.

From the rows come the JSON Schema of the bodies, the defaults, the conversion of what users may spell in several ways
(``"true"``, ``"AA-BB-..."``), and which access rules are asked for which attribute.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kilonova.kernel.ids import is_uuid
from kilonova.network import errors
from kilonova.network.model import macs

Schema = Mapping[str, Any]


class Said:
    """Marks that stand where no value is."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


REQUIRED: Final = Said("REQUIRED")
"""The attribute must be sent when creating."""

NO_NUL = "^[^\\u0000]*$"


def text(longest: int = 255) -> Schema:
    """A string that every database can hold."""
    return {"type": "string", "maxLength": longest, "pattern": NO_NUL}


def text_or_none(longest: int = 255) -> Schema:
    """A string, or null."""
    return {"type": ["string", "null"], "maxLength": longest, "pattern": NO_NUL}


BOOL: Schema = {"type": ["boolean", "string", "integer"], "maxLength": 8}
INTEGER: Schema = {"type": ["integer", "string"], "maxLength": 12, "minimum": -(2**31), "maximum": 2**31 - 1}
INTEGER_OR_NONE: Schema = {**INTEGER, "type": ["integer", "string", "null"]}
ID: Schema = {"type": "string", "format": "uuid"}
ID_OR_NONE: Schema = {"type": ["string", "null"], "format": "uuid"}
IP_OR_NONE: Schema = {"type": ["string", "null"], "format": "ip"}
TAGS: Schema = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000\\u001f]*$"},
    "maxItems": 50,
}


def to_bool(value: Any) -> bool:
    """Booleans as clients spell them."""
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise errors.InvalidInput(reason=f"'{value}' cannot be converted to boolean")


def to_int(value: Any) -> int:
    """Whole numbers, which may come as text."""
    try:
        number = int(value)
    except ValueError:
        raise errors.InvalidInput(reason=f"'{value}' is not an integer") from None
    if not -(2**31) <= number < 2**31:
        raise errors.InvalidInput(reason=f"{value} is out of range")
    return number


def or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Null stays null."""
    return lambda value: None if value is None else convert(value)


def to_mac(value: str) -> str:
    """A MAC address in canonical text."""
    found = macs.canonical(value)
    if found is None:
        raise errors.InvalidInput(reason=f"'{value}' is not a valid MAC address")
    return found


def to_ip(value: str) -> str:
    """An address in canonical text."""
    return str(ipaddress.ip_address(value))


def to_tags(value: Any) -> tuple[str, ...]:
    """Tags sorted, each once."""
    return tuple(sorted(set(value)))


def to_list(value: Any) -> list[Any]:
    """Null stands for nothing."""
    return list(value or ())


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    ``post``, ``put``: may be sent when creating, changing. ``default``: what stands in for it when creating.
    ``becomes``: its name inside, when the wire's is another. ``filters``: may choose rows in lists.
    """

    name: str
    schema: Schema | None = None
    post: bool = False
    put: bool = False
    default: Any = None
    convert: Callable[[Any], Any] | None = None
    becomes: str = ""
    filters: bool = True

    @property
    def inside(self) -> str:
        """The name inside."""
        return self.becomes or self.name


def both(name: str, schema: Schema, default: Any = None, convert: Any = None, **more: Any) -> Attribute:
    """An attribute that may be sent when creating and when changing."""
    return Attribute(name, schema, True, True, default, convert, **more)


def at_birth(name: str, schema: Schema, default: Any = None, convert: Any = None, **more: Any) -> Attribute:
    """An attribute that may be sent when creating only."""
    return Attribute(name, schema, True, False, default, convert, **more)


def shown(name: str, **more: Any) -> Attribute:
    """An attribute that is only read."""
    return Attribute(name, **more)


def standard(*, name: bool = True, tags: bool = True, describe: bool = True) -> tuple[Attribute, ...]:
    """The attributes that every resource has."""
    rows = [
        shown("id"),
        shown("tenant_id", becomes="project_id"),
        shown("project_id"),
        shown("revision_number"),
        shown("created_at"),
        shown("updated_at"),
    ]
    if name:
        rows.append(both("name", text(), "", str))
    if describe:
        rows.append(both("description", text(), ""))
    if tags:
        rows.append(at_birth("tags", TAGS, (), to_tags))
    return tuple(rows)


def body_schema(name: str, plural: str, attributes: tuple[Attribute, ...], *, create: bool) -> Schema:
    """The schema of a body: one object under the singular name or, when creating, several under the plural."""
    chosen = [a for a in attributes if (a.post if create else a.put)]
    properties: dict[str, Any] = {a.name: dict(a.schema or {}) for a in chosen}
    if create:
        properties["tenant_id"] = properties["project_id"] = dict(text())
    one: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if not create:
        return {"type": "object", "properties": {name: one}, "required": [name], "additionalProperties": False}
    one["required"] = [a.name for a in chosen if a.default is REQUIRED]
    many = {"type": "array", "items": one, "minItems": 1}
    return {
        "type": "object",
        "properties": {name: one, plural: many},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def asked(attributes: tuple[Attribute, ...], raw: Mapping[str, Any], *, create: bool) -> dict[str, Any]:
    """What a body asks for, by inside names, converted; when creating, with the defaults of what was not sent."""
    found: dict[str, Any] = {}
    for a in attributes:
        if not (a.post if create else a.put):
            continue
        if a.name in raw:
            value = raw[a.name]
            found[a.inside] = a.convert(value) if a.convert is not None else value
        elif create:
            found[a.inside] = a.default
    return found


def need_uuid(value: str) -> str:
    """An id that can be one."""
    if not is_uuid(value):
        raise errors.InvalidInput(reason=f"'{value}' is not a valid UUID")
    return value
