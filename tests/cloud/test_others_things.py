"""What belongs to one project is not there for another: every route of every service is tried on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.belongings import MARK, Things, belongings, filled
from tests.cloud.junk import Operation, encode, operations, samples
from tests.cloud.make import SERVICES, RunningCloud


@pytest.fixture(scope="module")
def things(cloud: RunningCloud) -> Things:
    return belongings(cloud)


@pytest.fixture(scope="module", params=SERVICES)
def about(request: pytest.FixtureRequest, cloud: RunningCloud, things: Things) -> list[tuple[Operation, str]]:
    """The routes of a service that name one of the things, with their path filled in."""
    service = str(request.param)
    document = cloud.get(f"/{service}/openapi.json", None)
    return [(route, path) for route in operations(service, document) if (path := filled(route, things)) is not None]


def shown(cloud: RunningCloud, things: Things) -> Iterator[tuple[str, str]]:
    """Each thing as its owner sees it."""
    for kind, thing in things.items():
        service = {"servers": "compute/v2.1", "os-server-groups": "compute/v2.1", "images": "image/v2"}.get(kind)
        service = service or ("identity/v3" if kind in ("projects", "users") else "network/v2.0")
        yield kind, cloud.call("GET", f"/{service}/{kind}/{thing}", "member").text


def test_the_stranger_neither_sees_nor_changes_them(
    cloud: RunningCloud, things: Things, about: list[tuple[Operation, str]]
) -> None:
    before = dict(shown(cloud, things))
    assert all(MARK in text for kind, text in before.items() if kind not in ("projects", "users"))
    rival = cloud.people["rival"]
    for route, path in about:
        for body in samples(route.body) if route.body is not None else [None]:
            content = None if body is None else encode(body)
            for version in ("2.1", "latest") if route.service == "compute" else (None,):
                headers = {"Content-Type": route.content_type} if content is not None else {}
                reply = cloud.call(route.method, path, rival, content=content, headers=headers, version=version)
                asked = f"{route.method} {path} {body} {version}: {reply.status_code} {reply.text[:300]}"
                assert 400 <= reply.status_code < 500, asked
                assert MARK not in reply.text, asked
                if route.method == "GET" and route.service in ("network", "image"):
                    assert reply.status_code == 404 or "tenant_id" in path or "quotas" in path, asked
    assert dict(shown(cloud, things)) == before


@pytest.mark.parametrize("path", [
    "/compute/v2.1/servers/detail", "/compute/v2.1/os-keypairs", "/compute/v2.1/os-server-groups",
    "/image/v2/images", "/identity/v3/auth/projects",
    *(f"/network/v2.0/{kind}" for kind in (
        "networks", "subnets", "ports", "routers", "security-groups", "security-group-rules", "floatingips"
    )),
])  # fmt: skip
def test_the_stranger_does_not_find_them_in_lists(cloud: RunningCloud, things: Things, path: str) -> None:
    member = cloud.people["member"]
    if "identity" not in path:
        assert MARK in cloud.get(path, "member").__repr__()
    for query in (
        "", "?all_tenants=1", "?all_projects=1", f"?project_id={member.project_id}", f"?tenant_id={member.project_id}",
        f"?owner={member.project_id}", "?visibility=all", f"?name={MARK}", f"?user_id={member.user_id}",
    ):  # fmt: skip
        for version in ("2.1", "2.74") if "compute" in path else (None,):
            reply = cloud.call("GET", path + query, "rival", version=version)
            assert reply.status_code in (200, 400, 403), f"{path}{query}: {reply.status_code} {reply.text[:200]}"
            assert MARK not in reply.text.replace(f"name={MARK}", "")  # links repeat the question
            assert not any(thing in reply.text for kind, thing in things.items() if kind not in ("projects", "users"))


def test_a_reader_reads_and_changes_nothing(
    cloud: RunningCloud, things: Things, about: list[tuple[Operation, str]]
) -> None:
    before = dict(shown(cloud, things))
    for route, path in about:
        if route.method in ("GET", "HEAD", "OPTIONS"):
            continue
        for body in samples(route.body) if route.body is not None else [None]:
            content = None if body is None else encode(body)
            headers = {"Content-Type": route.content_type} if content is not None else {}
            version = "latest" if route.service == "compute" else None
            reply = cloud.call(route.method, path, "reader", content=content, headers=headers, version=version)
            assert reply.status_code >= 400, f"{route.method} {path} {body}: {reply.status_code}"
    assert dict(shown(cloud, things)) == before
