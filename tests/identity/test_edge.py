"""Stories of the edge: discovery, and requests that make no sense. Nothing of it may end in a 500."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from kilonova.identity.policies import RULES
from kilonova.identity.routes import ROUTES
from kilonova.kernel.web import Route
from tests.identity.make import Cloud

_ODD: tuple[Any, ...] = (
    None, 5, -1, 2**70, True, "", " ", "x" * 300, "\x00", "\ud83d", "😀", [], [None], {}, {"a": []},
)  # fmt: skip


async def test_clients_find_their_way(here: Cloud) -> None:
    listed = await here.api.get("/", token=None)
    assert listed.status == 300
    version = listed.json["versions"]["values"][0]
    assert (version["id"], version["status"]) == ("v3.14", "stable")
    assert version["links"] == [{"rel": "self", "href": "http://cloud.test/v3/"}]
    for path in ("/v3", "/v3/"):
        assert (await here.api.get(path, token=None)).json["version"] == version
    assert (await here.api.get("/healthcheck", token=None)).status == 200
    described = (await here.api.get("/openapi.json", token=None)).json
    assert described["openapi"].startswith("3.1")
    assert "/v3/auth/tokens" in described["paths"]
    for path in ("/v2.0/tokens", "/v3/nothing"):
        answer = await here.api.get(path, token=here.admin)
        assert (answer.status, answer.json["error"]["code"], answer.json["error"]["title"]) == (404, 404, "Not Found")
    answer = await here.api.put("/v3/users", token=here.admin)
    assert (answer.status, answer.json["error"]["title"]) == (405, "Method Not Allowed")


async def test_every_answer_names_its_request(here: Cloud) -> None:
    for path, token in (("/v3/users", here.admin), ("/v3/users", None), ("/", None)):
        assert (await here.api.get(path, token=token)).headers["x-openstack-request-id"].startswith("req-")


async def test_no_secret_is_logged(here: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """Canaries in every place where a secret is told, with everything logged that can be."""
    caplog.set_level("DEBUG")
    user = await here.user("ann", "canary-one")
    project = await here.project()
    await here.grant(f"projects/{project['id']}/users/{user['id']}")
    token = await here.token("ann", "canary-one", project=project["id"])
    await here.log_in("ann", "canary-wrong", expect=401)
    body: dict[str, Any] = {"application_credential": {"name": "p", "secret": "canary-two"}}
    path = f"/v3/users/{user['id']}/application_credentials"
    assert (await here.api.post(path, token=token, json=body)).status == 201
    body = {"credential": {"type": "cert", "blob": "canary-three"}}
    assert (await here.api.post("/v3/credentials", token=token, json=body)).status == 201
    assert (await here.api.post("/v3/users", token=here.admin, json={"user": {"password": "canary-4"}})).status == 400
    body = {"user": {"original_password": "canary-one", "password": "canary-five"}}
    assert (await here.api.post(f"/v3/users/{user['id']}/password", token=None, json=body)).status == 204
    await here.api.delete("/v3/auth/tokens", token=here.admin, headers={"X-Subject-Token": token})
    assert caplog.text
    assert "canary" not in caplog.text
    assert token not in caplog.text


def test_every_rule_that_a_route_names_exists_and_every_route_has_one() -> None:
    names = {rule.name for rule in RULES}
    for route in ROUTES:
        assert route.public or route.policy in names
    public = {(r.method, r.path) for r in ROUTES if r.public}
    assert public == {
        ("GET", "/"),
        ("GET", "/v3"),
        ("POST", "/v3/auth/tokens"),
        ("POST", "/v3/users/{user_id}/password"),
    }


def _filled(route: Route, value: str) -> str:
    path = route.path
    for name in ("user_id", "group_id", "project_id", "domain_id", "role_id", "service_id", "endpoint_id", "value",
                 "region_id", "credential_id", "application_credential_id", "access_rule_id", "trust_id", "limit_id",
                 "registered_limit_id", "prior_role_id", "implied_role_id"):  # fmt: skip
        path = path.replace("{" + name + "}", value)
    assert "{" not in path
    return path


def _bodies(route: Route) -> list[Any]:
    schema: Any = route.body
    word = schema["required"][0]
    inner = schema["properties"][word]
    found: list[Any] = [*_ODD, *({word: odd} for odd in _ODD)]
    rows = inner.get("properties") or inner.get("items", {}).get("properties") or {}
    good = _good(rows)
    for name, odd in itertools.product(rows, _ODD):
        one = {**good, name: odd}
        found.append({word: [one] if inner.get("type") == "array" else one})
    return found


def _good(rows: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, row in rows.items():
        kind = row.get("type")
        if "enum" in row:
            values[name] = row["enum"][0]
        elif kind == "boolean":
            values[name] = False
        elif kind == "integer":
            values[name] = 1
        elif kind == "string" and name not in ("parent_region_id",):
            values[name] = "default" if name == "domain_id" else "/x"[name != "path" :] or "x"
    return values


@pytest.mark.parametrize("route", [r for r in ROUTES if r.body], ids=lambda r: f"{r.method} {r.path}")
async def test_odd_bodies_are_refused_and_never_break_anything(here: Cloud, route: Route) -> None:
    for body in _bodies(route):
        answer = await here.api.request(
            route.method, _filled(route, "x"), token=here.admin, content=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert answer.status < 500, (body, answer.json)
        if answer.status >= 400:
            assert answer.json["error"]["code"] == answer.status


async def test_odd_paths_and_queries_never_break_anything(here: Cloud) -> None:
    odd = ("x", "%00", "x" * 400, "%F0%9F%98%80", "..", "%2e%2e", "'", "%25", "0" * 32, "default")
    queries = ("", "limit=x", "limit=99999999999999999999", "marker=%00", "name=%00", "name__contains=%25",
               "enabled=", "domain_id=x", "effective", "scope.project.id=x&include_subtree", "parents_as_list",
               "subtree_as_ids", "tags=,,", "name__regex=(", "allow_expired=1", "user.id=%F0%9F%98%80")  # fmt: skip
    for route in ROUTES:
        if route.body or route.method in ("DELETE",):
            continue
        for value, query in zip(odd, itertools.cycle(queries), strict=False):
            path = f"{_filled(route, value)}?{query}"
            answer = await here.api.request(route.method, path, token=here.admin)
            assert answer.status < 500, (route.method, path)
    for route, query in itertools.product([r for r in ROUTES if r.method == "GET" and "{" not in r.path], queries):
        answer = await here.api.get(f"{route.path}?{query}", token=here.admin)
        assert answer.status < 500, (route.path, query)


async def test_a_member_may_do_nothing_to_what_is_not_theirs(here: Cloud) -> None:
    """Every operation that names an object, by a member of another project: 403 or 404, and nothing changed."""
    user_id, project_id, _token = await here.member()
    _u, _p, stranger = await here.member("eve", "lair")
    before = (await here.api.get("/v3/role_assignments", token=here.admin)).json["role_assignments"]
    fixed = {
        "{user_id}": user_id, "{project_id}": project_id, "{domain_id}": "default",
        "{role_id}": await here.role_id("member"), "{prior_role_id}": await here.role_id("reader"),
        "{implied_role_id}": await here.role_id("member"), "{region_id}": "RegionOne", "{value}": "tag",
    }  # fmt: skip
    public_to_members = {"/v3/regions/{region_id}", "/v3/domains/{domain_id}"}
    for route in ROUTES:
        if route.public or "{" not in route.path or (route.method == "GET" and route.path in public_to_members):
            continue
        path = route.path
        for name, value in fixed.items():
            path = path.replace(name, value)
        path = _filled(Route(route.method, path, route.handler, None), "0" * 32)
        body = None
        if route.body:
            word = route.body["required"][0]  # type: ignore[call-overload, index]
            inner = route.body["properties"][word]  # type: ignore[call-overload, index]
            if inner.get("type") == "array":
                body = {word: ["x"]}
            elif inner.get("type") == "string":
                body = {word: "x"}
            else:
                body = {word: _good(inner.get("properties", {})) or {"x": 1}}
        answer = await here.api.request(route.method, path, token=stranger, json=body)
        assert answer.status in (403, 404), (route.method, path, answer.status, answer.json)
    after = (await here.api.get("/v3/role_assignments", token=here.admin)).json["role_assignments"]
    assert after == before
