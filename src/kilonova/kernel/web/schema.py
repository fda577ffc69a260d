"""Checking bodies and query strings against JSON Schema, compiled once a row and range of microversions."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import jsonschema_rs

from kilonova.kernel.clock import parse_iso
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.microversion import Version
from kilonova.kernel.web.route import Bodies, Schema


class Invalid(BadRequest):
    text = "Invalid input for {where}: {why}"


def _is(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, str):
            return True
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


FORMATS: dict[str, Callable[[Any], bool]] = {
    "uuid": lambda value: not isinstance(value, str) or is_uuid(value),
    "date-time": _is(parse_iso),
    "ipv4": _is(ipaddress.IPv4Address),
    "ipv6": _is(ipaddress.IPv6Address),
    "ip": _is(ipaddress.ip_address),
    "cidr": _is(lambda v: ipaddress.ip_network(v, strict=False)),
}


class Checker:
    """The compiled schemas of one row, by microversion."""

    def __init__(self, bodies: Bodies, *, kind: str):
        rows = ((None, None, bodies),) if not isinstance(bodies, tuple) else bodies
        self._kind = kind
        self._rows = tuple((since, until, _compile(s, kind)) for since, until, s in rows if s is not None)

    def check(self, value: Any, version: Version) -> None:
        """Raise Invalid, naming the place and what is wrong there."""
        for since, until, validator in self._rows:
            if (since is None or version >= since) and (until is None or version <= until):
                if not validator.is_valid(value):
                    raise _explain(next(iter(validator.iter_errors(value))), self._kind)
                return


def _compile(schema: Schema, kind: str) -> Any:
    return jsonschema_rs.Draft202012Validator(
        _for_query(schema) if kind == "query" else dict(schema), validate_formats=True, formats=FORMATS
    )


def _for_query(schema: Schema) -> dict[str, Any]:
    rows = {}
    for name, one in schema.get("properties", {}).items():
        rows[name] = one if one.get("type") == "array" else {"type": "array", "items": one}
    return {**schema, "type": "object", "properties": rows}


def _explain(error: Any, kind: str) -> Invalid:
    path = [str(p) for p in error.instance_path]
    if kind == "query" and len(path) == 2:
        path = path[:1]
    where = (
        f"{'query parameter' if kind == 'query' else 'field/attribute'} {'.'.join(path)}"
        if path
        else ("the query string" if kind == "query" else "the request body")
    )
    return Invalid(where=where, why=str(error.message)[:400])
