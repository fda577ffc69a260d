"""Requests that no service should be upset by, made from what each service says of itself in its OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

UUID = "6f70656e-2073-7461-636b-206e6f742121"
WORDS = (
    "x",
    UUID,
    "0",
    "-1",
    "99999999999999999999",
    "a" * 300,
    "%",
    "\x00",
    "☃\U0001f40d",
    "..",
    "' or 1=1 --",
    "None",
)
QUERIES = (
    "limit=-1",
    "limit=abc",
    "marker=nowhere",
    "sort_key=__class__",
    "sort_dir=sideways",
    "unheard=of",
    "%00=%ff",
    "a[]=1&a[]=2",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1 << 70,
    1.5,
    "",
    "a" * 70000,
    "\x00",
    "\ud83d",
    [],
    [None],
    {},
    {"": {}},
    [[[]]],
)
BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"7",
    b"{}",
    b'{"": 1}',
    b"\xff\xfe",
    b"[" * 5000,
    b'{"a":1e999}',
    b'{"a": NaN}',
)


@dataclass(frozen=True)
class Operation:
    """One operation of a service; ``service`` is also its first path segment."""

    service: str
    method: str
    path: str
    public: bool
    query: tuple[str, ...]
    body: Mapping[str, Any] | None
    content_type: str

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def at(self, values: Mapping[str, str], otherwise: str) -> str:
        """The path with its parameters filled in."""
        path = self.path
        for name in self.parameters:
            path = path.replace("{" + name + "}", quote(values.get(name, otherwise), safe=""))
        return f"/{self.service}{path}"


def operations(service: str, document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every operation that the document describes."""
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            content = said.get("requestBody", {}).get("content", {})
            kind = next(iter(content), "application/json")
            yield Operation(
                service=service,
                method=method.upper(),
                path=path,
                public=not said["security"],
                query=tuple(p["name"] for p in said["parameters"] if p["in"] == "query"),
                body=content[kind]["schema"] if content else None,
                content_type=kind,
            )


def samples(schema: Any, depth: int = 0) -> list[Any]:
    """Values that fit a JSON Schema, or nearly: for each alternative at its top the least, then the most."""
    if not isinstance(schema, dict) or depth > 8:
        return ["x"]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return [value for one in schema[key] for value in samples(one, depth + 1)[:2]][:120]
    if "allOf" in schema:
        return samples(schema["allOf"][0], depth + 1)
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return [schema["enum"][0]]
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        fields = {name: samples(one, depth + 1) for name, one in schema.get("properties", {}).items()}
        least = {name: found[0] for name, found in fields.items() if name in schema.get("required", ())}
        most = {name: found[-1] for name, found in fields.items()}
        return [least, most] if least != most else [most]
    if kind == "array":
        return [[value] for value in samples(schema["items"], depth + 1)] if "items" in schema else [[]]
    if kind == "string":
        return [_string(schema)]
    return [{"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True, "null": None}.get(kind, "x")]


def _string(schema: Mapping[str, Any]) -> str:
    known = {
        "uuid": UUID,
        "uri": "http://127.0.0.1:9/",
        "ipv4": "10.9.8.7",
        "ipv6": "fd00::7",
        "date-time": "2030-01-01T00:00:00Z",
    }
    return known.get(str(schema.get("format")), "junk".ljust(int(schema.get("minLength", 1)), "k"))


def spoilt(least: Any, most: Any) -> Iterator[Any]:
    """The least body with one thing wrong in each: an unknown field, a missing one, and any field of another kind."""
    if not isinstance(least, dict) or not isinstance(most, dict):
        return
    yield {**least, "unheard_of": 1}
    for number, (name, value) in enumerate({**most, **least}.items()):
        yield {k: v for k, v in least.items() if k != name}
        yield {**least, name: value}
        for turn in range(4):
            yield {**least, name: VALUES[(number * 4 + turn) % len(VALUES)]}
        if isinstance(value, dict):
            for one in spoilt(least.get(name, {}), most.get(name, value)):
                yield {**least, name: one}
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in spoilt(value[0], value[0]):
                yield {**least, name: [one]}


def all_spoilt(schema: Any) -> Iterator[Any]:
    """Spoilt bodies of every alternative of a schema."""
    found = samples(schema)
    for least, most in zip(found, found[1:] + found[-1:], strict=True):
        alike = isinstance(least, dict) and isinstance(most, dict) and set(least) <= set(most)
        yield from spoilt(least, most if alike else least)


def encode(body: Any) -> bytes:
    """JSON as bytes, with what it cannot say well: lone surrogates stay as escapes."""
    return json.dumps(body).encode()
