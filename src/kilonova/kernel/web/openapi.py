"""The OpenAPI 3.1 description of a service, generated from its rows: nothing is written twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kilonova.kernel.microversion import parse
from kilonova.kernel.web.fields import FieldTable
from kilonova.kernel.web.route import Bodies, Route

if TYPE_CHECKING:
    from kilonova.kernel.web.app import ServiceApp

_PARAMETER = re.compile(r"{(\w+)(?::path)?}")


def describe(spec: ServiceApp) -> dict[str, Any]:
    """The description as one JSON object. Operations that share method and path (microversions, actions) are merged."""
    paths: dict[str, dict[str, Any]] = {}
    for route in spec.routes:
        path = _PARAMETER.sub(r"{\1}", route.path) or "/"
        operations = paths.setdefault(path, {})
        method = route.method.lower()
        if method in operations:
            _merge(operations[method], route)
        else:
            operations[method] = _operation(spec, route)
    speaks = spec.microversions
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Kilonova {spec.name}",
            "version": str(speaks.max) if speaks else "1",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}},
    }


def _operation(spec: ServiceApp, route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    _add_query(parameters, route)
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": {str(route.status): _response(route)},
        "security": [] if route.public else [{"token": []}],
    }
    if route.policy:
        operation["x-openstack-policy"] = route.policy
    _add_window(operation, route)
    bodies = [schema for _s, _u, schema in _rows(route.body)]
    if bodies:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {kind: {"schema": _any_of(bodies)} for kind in route.content_types},
        }
    return operation


def _merge(operation: dict[str, Any], route: Route) -> None:
    bodies = [schema for _s, _u, schema in _rows(route.body)]
    operation["responses"].setdefault(str(route.status), _response(route))
    _add_query(operation["parameters"], route)
    _widen_window(operation, route)
    if not bodies:
        return
    content = operation.setdefault("requestBody", {"required": True, "content": {}})["content"]
    for kind in route.content_types:
        have = content.get(kind, {}).get("schema")
        known = [] if have is None else have.get("anyOf", [have])
        content[kind] = {"schema": _any_of([*known, *bodies])}


def _add_window(operation: dict[str, Any], route: Route) -> None:
    if route.since is not None:
        operation["x-openstack-min-ver"] = str(route.since)
    if route.until is not None:
        operation["x-openstack-max-ver"] = str(route.until)


def _widen_window(operation: dict[str, Any], route: Route) -> None:
    """Rows that share an operation speak for different microversions: the operation has them all."""
    lowest, highest = operation.pop("x-openstack-min-ver", None), operation.pop("x-openstack-max-ver", None)
    if lowest is not None and route.since is not None:
        operation["x-openstack-min-ver"] = str(min(route.since, parse(lowest)))
    if highest is not None and route.until is not None:
        operation["x-openstack-max-ver"] = str(max(route.until, parse(highest)))


def _add_query(parameters: list[dict[str, Any]], route: Route) -> None:
    for _since, _until, schema in _rows(route.query):
        for name, one in schema.get("properties", {}).items():
            if not any(p["name"] == name and p["in"] == "query" for p in parameters):
                parameters.append({"name": name, "in": "query", "schema": one})


def _rows(bodies: Bodies) -> tuple[Any, ...]:
    if bodies is None:
        return ()
    return bodies if isinstance(bodies, tuple) else ((None, None, bodies),)


def _any_of(schemas: list[Any]) -> Any:
    """Bodies of neighbouring microversions overlap, so a valid one may fit several."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _response(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {"description": route.summary or "The answer"}
    answers = route.answers
    if isinstance(answers, FieldTable):
        answers = {"type": "object", "properties": {f.name: f.schema or {} for f in answers.fields}}
    if answers is not None:
        described["content"] = {"application/json": {"schema": answers}}
    return described
