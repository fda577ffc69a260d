"""Pieces of JSON Schema that many bodies share, and the reading of values that the wire allows in several
forms.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from datetime import datetime
from typing import Any

from kilonova.compute.errors import BadValue
from kilonova.kernel.clock import parse_iso

Schema = dict[str, Any]

INT32_MAX = 0x7FFFFFFF
_TRUE = ("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
_FALSE = ("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")

NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[^\p{C}\p{Zl}\p{Zp}]*(?<!\s)$",
}
TEXT: Schema = {"type": ["string", "null"], "maxLength": 255, "pattern": r"^[^\p{C}\p{Zl}\p{Zp}]*$"}
HOSTNAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9\-._]*$"}
BOOLEAN: Schema = {"type": ["boolean", "string"], "enum": [True, False, *_TRUE, *_FALSE]}
UUID: Schema = {"type": "string", "format": "uuid"}
IP: Schema = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
METADATA: Schema = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^[a-zA-Z0-9\\-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
}
METADATA_OR_NULL: Schema = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^[a-zA-Z0-9\\-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255}},
}
WORD: Schema = {"type": "string", "maxLength": 255}


def whole(low: int = 0, high: int = INT32_MAX) -> Schema:
    """A whole number, or a string of digits; `as_int` checks the range of the string."""
    return {"type": ["integer", "string"], "pattern": "^[0-9]{1,20}$", "minimum": low, "maximum": high}


def closed(properties: Schema, *required: str) -> Schema:
    """An object with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def as_bool(value: Any) -> bool:
    """True or False from what BOOLEAN lets through."""
    return value is True or (isinstance(value, str) and value in _TRUE)


def query_bool(value: str | None, field: str, default: bool = False) -> bool:
    """A flag in a query string. Raises BadValue."""
    if value is None or value == "":
        return default
    if value.lower() in ("true", "1", "on", "yes", "t", "y"):
        return True
    if value.lower() in ("false", "0", "off", "no", "f", "n"):
        return False
    raise BadValue(field=field, value=value, why="It must be true or false.")


def as_int(value: Any, field: str, low: int = 0, high: int = INT32_MAX) -> int:
    """A whole number within bounds, from a number or a string of digits. Raises BadValue."""
    number = int(value)
    if not low <= number <= high:
        raise BadValue(field=field, value=value, why=f"It must be from {low} to {high}.")
    return number


def as_address(value: str | None) -> str | None:
    """An IP address in its canonical form, as upstream keeps it; None for none."""
    return str(ipaddress.ip_address(value)) if value else None


def as_time(value: str | None, field: str) -> datetime | None:
    """A moment from a query string. Raises BadValue."""
    if not value:
        return None
    try:
        return parse_iso(value.replace(" ", "+") if value.count(" ") == 1 and "T" in value else value)
    except ValueError:
        raise BadValue(field=field, value=value, why="It must be a time in ISO 8601.") from None


def check_base64(value: str, field: str) -> bytes:
    """The bytes of a base64 text (line breaks allowed). Raises BadValue."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadValue(field=field, value=value[:40], why="It must be base64.") from None
