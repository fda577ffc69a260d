"""Every route of every service takes junk from everybody without an error of its own, and nothing changes hands.

The requests come from the services' own descriptions: a route that is added is tried at once.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.belongings import Things, belongings, filled
from tests.cloud.junk import BODIES, QUERIES, WORDS, Operation, all_spoilt, encode, operations, samples
from tests.cloud.make import SERVICES, RunningCloud, Who

BUDGET = 1500  # requests a service with spoilt bodies: a different part of all at each seed
SEED = 2
TELLING = ("error", "errors", "NeutronError", "message", "computeFault", "code")


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def things(rough_cloud: RunningCloud) -> Things:
    return belongings(rough_cloud)


@pytest.fixture(scope="module")
def routes(rough_cloud: RunningCloud, service: str) -> list[Operation]:
    found = list(operations(service, rough_cloud.get(f"/{service}/openapi.json", None)))
    assert len(found) > 20
    return found


def send(cloud: RunningCloud, route: Operation, path: str, who: Who | None, content: bytes | None, **more: Any) -> int:
    """Send it; the answer must be one that a client can read. Returns its status."""
    headers = {"Content-Type": route.content_type} if content is not None else {}
    reply = cloud.call(route.method, path, who, content=content, headers={**headers, **more.pop("headers", {})}, **more)
    asked = f"{route.method} {path[:300]} by {who.name if who else 'nobody'} with {(content or b'')[:600]!r}"
    assert reply.status_code < 500 or reply.status_code == 501, f"{asked}: {reply.status_code} {reply.text[:500]}"
    assert "x-openstack-request-id" in reply.headers, asked
    if reply.status_code >= 400 and route.method != "HEAD" and "json" in reply.headers.get("content-type", ""):
        body = reply.json()
        assert isinstance(body, dict), f"{asked}: {body}"
    return reply.status_code


def test_without_a_token_every_route_answers_401(rough_cloud: RunningCloud, routes: list[Operation]) -> None:
    malformed = Who("malformed", "gAAAAA-not-a-token")
    for route in routes:
        if route.public:
            continue
        for who, word in ((None, "x"), (malformed, WORDS[1])):
            content = b"{}" if route.body is not None else None
            status = send(rough_cloud, route, route.at({}, word), who, content)
            assert status == 401, f"{route.method} {route.path} by {who}: {status}"


def test_junk_in_paths_and_queries(rough_cloud: RunningCloud, routes: list[Operation]) -> None:
    people = itertools.cycle(("member", "rival", "reader", "admin"))
    for route in routes:
        content = b"{}" if route.body is not None else None
        for word in WORDS if route.parameters else WORDS[:1]:
            status = send(rough_cloud, route, route.at({}, word), rough_cloud.people[next(people)], content)
            if route.parameters and route.method == "GET" and not route.public:
                assert status >= 300 or word == "None" or status == 200, route.path
        if route.method == "GET" and "{project_id}/" not in route.path:  # the old second form of compute's paths
            declared = [f"{name}={word}" for name in route.query for word in ("", "%E2%98%83", "-1", "1", "in:,", "[]")]
            for query in (*QUERIES, *declared):
                send(rough_cloud, route, f"{route.at({}, 'x')}?{query}", rough_cloud.people[next(people)], None)


def test_junk_in_bodies(rough_cloud: RunningCloud, routes: list[Operation]) -> None:
    admin = rough_cloud.people["admin"]
    for route in routes:
        if route.body is None:
            continue
        asks_nothing = "required" not in route.body and route.body.get("additionalProperties") is not False
        may_be_empty = asks_nothing and "null" in (route.body.get("type") or ())
        for content in BODIES:
            status = send(rough_cloud, route, route.at({}, "x"), admin, content)
            is_fine = content == b"{}" or (may_be_empty and content[:1] in (b"", b"n", b"{"))
            assert status >= 300 or is_fine or route.content_type != "application/json", route.path
        status = send(rough_cloud, route, route.at({}, "x"), admin, b"<a/>", headers={"Content-Type": "text/xml"})
        assert status in (400, 404, 405, 409, 410, 415), f"{route.method} {route.path}: {status}"


def bodies(routes: list[Operation]) -> Iterator[tuple[Operation, Any]]:
    for route in routes:
        if route.body is not None and "json" in route.content_type:
            for body in (*samples(route.body), *all_spoilt(route.body)):
                yield route, body


def test_bodies_with_one_thing_wrong(rough_cloud: RunningCloud, service: str, routes: list[Operation]) -> None:
    people = itertools.cycle(("member", "admin", "rival"))
    versions = itertools.cycle(
        {"compute": ("2.1", "latest", "2.37"), "placement": ("1.0", "latest")}.get(service, (None,))
    )
    everything = list(bodies(routes))
    chosen = random.Random(SEED).sample(everything, min(BUDGET, len(everything)))
    for route, body in chosen:
        path = route.at({}, "6f70656e207374616e642061736964652e"[:32])
        send(rough_cloud, route, path, rough_cloud.people[next(people)], encode(body), version=next(versions))


def test_bodies_about_things_that_are_there(rough_cloud: RunningCloud, routes: list[Operation], things: Things) -> None:
    """Routes look further into a body when they find what it is about."""
    people = itertools.cycle([rough_cloud.people[name] for name in ("member", "admin", "member")])
    versions = itertools.cycle(("latest", "2.1", "2.60"))
    about = [(route, path) for route in routes if (path := filled(route, things)) is not None]
    everything = [
        (route, path, body)
        for route, path in about
        if route.body is not None and "json" in route.content_type
        for body in all_spoilt(route.body)
        if not ({"users", "projects"} & set(route.path.split("/")))
    ]
    for route, path, body in random.Random(SEED).sample(everything, min(BUDGET, len(everything))):
        version = next(versions) if route.service == "compute" else None
        send(rough_cloud, route, path, next(people), encode(body), version=version)
    for route, path in about:
        if route.method == "GET":
            for query in [f"{name}={word}" for name in route.query for word in ("", "-1", "☃", "1", "a,b", "[]")]:
                send(rough_cloud, route, f"{path}?{query}", next(people), None)


def test_nothing_went_wrong_inside(rough_cloud: RunningCloud) -> None:
    lines = (rough_cloud.state / "kilonova.log").read_text().splitlines()
    told = [n for n, line in enumerate(lines) if "Traceback" in line or " CRITICAL " in line]
    assert not told, "\n".join(lines[max(0, told[0] - 3) : told[0] + 40])
