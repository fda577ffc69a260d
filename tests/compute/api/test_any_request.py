"""Whatever is sent to whichever route, the answer is upstream's kind of refusal and never an unexpected condition.

Bodies and queries are grown from each route's own schema, with a share of nonsense; the seed is fixed.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any
from urllib.parse import quote

import pytest

from kilonova.compute.microversions import MAX, MIN
from kilonova.compute.routes import ROUTES
from kilonova.kernel.microversion import Version
from kilonova.kernel.web import Route
from tests.compute.make import IMAGE, NETWORK, NOWHERE, Cloud

ODD = [
    "", "a", "x" * 300, "\x00", "é", "1", "-1", "99999999999999999999", "true", "None", "../..", "(", ".*", "a,b",
    "1.5", "2026-13-01T00:00:00Z", "host1", "nova:::", NOWHERE, "ACTIVE", "😀",
]  # fmt: skip
PLAIN = ["1", "web", "tiny", "host1", "nova", "5", "nova-compute", "aGVsbG8=", "true"]
MINORS = (1, 2, 10, 19, 26, 37, 42, 53, 57, 60, 64, 73, 75, 79, 83, 86, 90, 96, 100, 103)
ROLES = ("admin", "admin", "admin", "member", "reader", "service", "nobody")


class Grower:
    """Makes values that mostly fit a schema."""

    def __init__(self, seed: int):
        self.dice = random.Random(seed)

    def anything(self, depth: int = 0) -> Any:
        kind = self.dice.random()
        if kind < 0.4 or depth > 2:
            return self.dice.choice(ODD)
        if kind < 0.6:
            return self.dice.choice([0, -1, 2**31, 2**63, 2**70, 1.5, 1e308, True, None])
        if kind < 0.8:
            return {self.dice.choice(ODD): self.anything(depth + 1) for _ in range(self.dice.randint(0, 2))}
        return [self.anything(depth + 1) for _ in range(self.dice.randint(0, 2))]

    def value(self, schema: Any) -> Any:
        if not schema or self.dice.random() < 0.08:
            return self.anything()
        if "enum" in schema:
            return self.dice.choice(schema["enum"])
        if "anyOf" in schema:
            rest = {k: v for k, v in schema.items() if k != "anyOf"}
            return self.value({**rest, **self.dice.choice(schema["anyOf"])})
        kind = schema.get("type", "string")
        kind = self.dice.choice(kind) if isinstance(kind, list) else kind
        return getattr(self, f"_{kind}")(schema)

    def _object(self, schema: Any) -> Any:
        needed = schema.get("required", ())
        keys = schema.get("properties", {}).items()
        made = {k: self.value(s) for k, s in keys if k in needed or self.dice.random() < 0.3}
        for inner in schema.get("patternProperties", {}).values():
            made[self.dice.choice(["a", "hw:cpu_policy"])] = self.value(inner)
        return made

    def _array(self, schema: Any) -> Any:
        return [self.value(schema.get("items")) for _ in range(self.dice.randint(schema.get("minItems", 0), 2))]

    def _integer(self, schema: Any) -> Any:
        return self.dice.choice([0, 1, 2, -1, schema.get("minimum", 0), schema.get("maximum", 5), 2**40])

    def _number(self, _schema: Any) -> Any:
        return self.dice.choice([1, 0.5, 1e300])

    def _boolean(self, _schema: Any) -> Any:
        return self.dice.choice([True, False])

    def _null(self, _schema: Any) -> Any:
        return None

    def _string(self, schema: Any) -> Any:
        forms = {"ipv4": "10.0.0.4", "ipv6": "fd00::1", "date-time": "2026-01-01T00:00:00Z"}
        if schema.get("format") == "uuid":
            return self.dice.choice([IMAGE, NETWORK, NOWHERE])
        return forms.get(schema.get("format")) or self.dice.choice(PLAIN if self.dice.random() < 0.5 else ODD)

    def at(self, rows: Any, version: Version) -> Any:
        """The schema of this microversion."""
        if not isinstance(rows, tuple):
            return rows
        fit = (s for since, until, s in rows if (not since or version >= since) and (not until or version <= until))
        return next(fit, None)

    def path(self, route: Route, known: dict[str, str]) -> str:
        def fill(name: re.Match[str]) -> str:
            usual = known.get(name[1], "1")
            return quote(usual if self.dice.random() < 0.8 else self.dice.choice(ODD[1:]), safe="")

        return re.sub(r"{(\w+)}", fill, route.path)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_meets_an_unexpected_condition(cloud: Cloud, seed: int) -> None:
    grow = Grower(seed)
    known = {
        "server_id": await cloud.server(),
        "flavor_id": "1",
        "hypervisor_id": "1",
        "service_id": "aaaaaaaa-0000-4000-8000-000000000001",
        "quota_project_id": "demo",
        "usage_project_id": "demo",
    }
    for route in ROUTES:
        if "{project_id}" in route.path or "os-interface" in route.path or route.summary.startswith("Removed"):
            continue
        for _ in range(4):
            minor = grow.dice.choice(MINORS)
            version = min(max(Version(2, minor), route.since or MIN), route.until or MAX)
            query = grow.at(route.query, version) or {}
            params = [
                (name, text if isinstance(text := grow.value(schema), str) else json.dumps(text))
                for name, schema in query.get("properties", {}).items()
                if grow.dice.random() < 0.25
            ]
            schema = grow.at(route.body, version)
            answer = await cloud.api.request(
                route.method,
                grow.path(route, known),
                token=grow.dice.choice(ROLES),
                json=grow.value(schema) if schema else None,
                params=params or None,
                version=str(version),
            )
            assert answer.status < 500 or answer.status == 503, (route.method, route.path, version, answer.json)
            if answer.status >= 400 and answer.status != 503:
                (fault,) = answer.json.values()
                assert fault["code"] == answer.status
