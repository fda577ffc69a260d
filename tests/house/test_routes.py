"""Every operation is guarded by a rule, and every rule guards something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from kilonova.kernel.policy import Rule
from kilonova.kernel.web import Route
from kilonova.network.routes import RESOURCES
from tests.house.sources import SERVICES, modules

PUBLIC = {
    "identity": {"GET /", "GET /v3", "POST /v3/auth/tokens", "POST /v3/users/{user_id}/password"},
    "placement": {"GET /"},
    "image": {"GET /", "GET /versions", "GET /versions/", "GET /v2", "GET /v2/", "GET /v2/lent/{image_id}/file"},
    "network": {"GET /", "GET /v2.0"},
    "compute": {"GET /", "GET /v2", "GET /v2/", "GET /v2.1", "GET /v2.1/"},
}
"""What needs no token: where clients begin, logging in, changing a password by telling the old one, and what a host
fetches with a signed ticket for one image."""

_FOR_OPERATORS = "a building block for the rules of operators' own files"
NOT_ASKED: dict[str, dict[str, str]] = {
    "identity": {"admin_or_owner": _FOR_OPERATORS},
    "placement": {"admin_api": _FOR_OPERATORS},
    "image": {"context_is_admin": _FOR_OPERATORS},
    "network": {
        **dict.fromkeys(("admin_owner_or_network_owner", "admin_owner_or_sg_owner"), _FOR_OPERATORS),
        **dict.fromkeys(("restrict_wildcard", "rule_default_sg"), _FOR_OPERATORS),
        **dict.fromkeys(("create_floatingip:router_id", "update_floatingip:router_id"), "nobody may send it anyway"),
        **dict.fromkeys(("add_prefixes", "remove_prefixes"), "operations on subnet pools that are not built yet"),
    },
    "compute": {
        "os_compute_api:os-migrate-server:migrate:host": "not built yet: cold migration",
        "os_compute_api:os-volumes:list": "not built yet: volumes",
        "os_compute_api:servers:create:attach_volume": "not built yet: volumes",
        "os_compute_api:servers:create:trusted_certs": "not built yet: image signatures",
    },
}
"""Rules that operators' policy files may hold and that no code asks, each with the reason."""


def routes_of(service: str) -> tuple[Route, ...]:
    found: tuple[Route, ...] = import_module(f"kilonova.{service}.routes").ROUTES
    return found


def rules_of(service: str) -> tuple[Rule, ...]:
    found: tuple[Rule, ...] = import_module(f"kilonova.{service}.policies").RULES
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_has_a_rule_or_is_known_to_be_public(service: str) -> None:
    routes = routes_of(service)
    rules = {rule.name for rule in rules_of(service)}
    assert {f"{r.method} {r.path}" for r in routes if r.public} == PUBLIC[service]
    assert [f"{r.method} {r.path}" for r in routes if not r.public and r.policy not in rules] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_rule_is_asked_somewhere(service: str) -> None:
    rules = rules_of(service)
    asked = {route.policy for route in routes_of(service)}
    for rule in rules:
        asked.update(re.findall(r"rule:([\w:.-]+)", rule.check))
    if service == "network":
        asked.update(_rules_of_attributes({rule.name for rule in rules}))
    spoken = re.compile("|".join(sorted(_spoken(service))))
    silent = {rule.name for rule in rules if rule.name not in asked and not spoken.fullmatch(rule.name)}
    assert silent == set(NOT_ASKED.get(service, ()))


def _rules_of_attributes(rules: set[str]) -> Iterator[str]:
    """The rules that the network's collections ask about attributes, and about parts of their values."""
    for resource in RESOURCES:
        for a in resource.attributes:
            for verb, has in (("get", True), ("create", a.post), ("update", a.put)):
                name = f"{verb}_{resource.name}:{a.name}"
                if has:
                    yield from (rule for rule in rules if rule == name or rule.startswith(f"{name}:"))


def _spoken(service: str) -> Iterator[str]:
    """Patterns of the rule names that a service's code says: whole words, and words with a gap that is filled in."""
    for path, module in modules().items():
        if not path.startswith(f"{service}/") or path.endswith("policies.py"):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.JoinedStr):
                parts = [str(v.value) if isinstance(v, ast.Constant) else None for v in node.values]
                if sum(len(part) for part in parts if part) > 6:
                    yield "".join(r"\w+" if part is None else re.escape(part) for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
                prefix = "(os_compute_api:)?" if service == "compute" and len(node.value) > 6 else ""
                yield prefix + re.escape(node.value)
