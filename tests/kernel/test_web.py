"""The dispatcher: one request at a time, told as stories."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.kernel.errors import NotFound
from kilonova.kernel.http import Client, Loopback
from kilonova.kernel.microversion import MicroversionRange, Version
from kilonova.kernel.policy import ADMIN, ANYBODY, PROJECT_READER_OR_ADMIN, Policies, Rule
from kilonova.kernel.testing import TestClient, fake_identity
from kilonova.kernel.web import (
    GLANCE,
    NOVA,
    Request,
    Response,
    Route,
    ServiceApp,
    StreamResponse,
    answer,
    build_app,
    no_content,
)

RULES = Policies([Rule("thing:show", PROJECT_READER_OR_ADMIN), Rule("thing:admin", ADMIN), Rule("thing:any", ANYBODY)])
OWNERS = {"1": "demo", "2": "other"}


async def show(request: Request[Any]) -> Response:
    owner = OWNERS.get(request.params["id"])
    if owner is None:
        raise NotFound("There is no such thing.")
    request.allow({"project_id": owner})
    return answer({"thing": {"id": request.params["id"], "version": str(request.version)}})


async def forgetful(request: Request[Any]) -> Response:
    return answer({})


async def broken(request: Request[Any]) -> Response:
    raise ZeroDivisionError("secret of the inside")


async def echo(request: Request[Any]) -> Response:
    return answer({"body": request.body, "query": request.query, "prefix": request.url_prefix})


async def stop(request: Request[Any]) -> Response:
    return no_content()


async def swallow(request: Request[Any]) -> Response:
    return answer({"bytes": sum([len(chunk) async for chunk in request.stream()])})


async def pour(request: Request[Any]) -> StreamResponse:
    async def chunks() -> Any:
        for _ in range(10):
            yield b"x" * 1000

    return StreamResponse(200, chunks(), length=10_000)


NAMED = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}, "additionalProperties": False}
ROUTES = (
    Route("GET", "/things/{id}", show, "thing:show", checks_target=True),
    Route("GET", "/forgetful", forgetful, "thing:show", checks_target=True),
    Route("GET", "/broken", broken, "thing:any"),
    Route("GET", "/admin", echo, "thing:admin"),
    Route("POST", "/things", echo, "thing:any", body=NAMED),
    Route("GET", "/things", echo, "thing:any", query={"properties": {"limit": {"pattern": "^[0-9]+$"}}}),
    Route("POST", "/things/{id}/action", stop, "thing:any", action="stop", body={"required": ["stop"]}),
    Route("POST", "/things/{id}/action", echo, "thing:any", action="pause", since=Version(2, 5)),
    Route("GET", "/old", stop, "thing:any", until=Version(2, 3)),
    Route("PUT", "/data", swallow, "thing:any", raw_body=True, content_types=("application/octet-stream",)),
    Route("GET", "/data", pour, "thing:any"),
    Route("GET", "/", stop, None, public=True),
)


@pytest.fixture
def client() -> TestClient:
    speaks = MicroversionRange("compute", Version(2, 1), Version(2, 9), "X-OpenStack-Nova-API-Version")
    spec = ServiceApp("things", ROUTES, NOVA, RULES, fake_identity(), microversions=speaks, max_body_bytes=1000)
    return TestClient(build_app(spec, None))


async def test_an_object_of_ones_own_is_shown(client: TestClient) -> None:
    reply = await client.get("/things/1", token="reader:demo")
    assert (reply.status, reply.json["thing"]["id"]) == (200, "1")
    assert reply.headers["x-openstack-request-id"].startswith("req-")


async def test_a_foreign_object_is_refused_in_the_services_dialect(client: TestClient) -> None:
    reply = await client.get("/things/2", token="reader:demo")
    assert reply.status == 403
    assert reply.json["forbidden"]["code"] == 403


async def test_without_a_token_nothing_but_public_documents_answers(client: TestClient) -> None:
    reply = await client.get("/things/1", token=None)
    assert (reply.status, reply.json["error"]["title"]) == (401, "Unauthorized")
    assert reply.headers["www-authenticate"].startswith("Keystone uri=")
    assert (await client.get("/nowhere", token=None)).status == 401
    assert (await client.get("/", token=None)).status == 204


async def test_a_handler_that_forgets_its_check_is_found_out(client: TestClient) -> None:
    assert (await client.get("/forgetful")).status == 500


async def test_an_unexpected_failure_tells_the_request_id_and_nothing_of_the_inside(client: TestClient) -> None:
    reply = await client.get("/broken")
    assert reply.status == 500
    assert "secret" not in reply.body.decode()
    assert reply.headers["x-openstack-request-id"] in reply.json["computeFault"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": "ok"}', 200),
        (b'{"name": "too long"}', 400),
        (b'{"name": "ok", "more": 1}', 400),
        (b"{", 400),
        (b"[" * 500, 400),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'"' + b"x" * 1000 + b'"', 413),
    ],
)
async def test_bodies_are_checked_before_the_handler_sees_them(client: TestClient, body: bytes, status: int) -> None:
    reply = await client.post("/things", content=body, headers={"content-type": "application/json"})
    assert reply.status == status


async def test_a_body_of_another_type_is_refused(client: TestClient) -> None:
    reply = await client.post("/things", content=b"<a/>", headers={"content-type": "text/xml"})
    assert (reply.status, "badMediaType" in reply.json) == (415, True)


async def test_query_values_are_checked_each(client: TestClient) -> None:
    assert (await client.get("/things?limit=1&limit=22")).json["query"] == {"limit": ["1", "22"]}
    assert (await client.get("/things?limit=1&limit=x")).status == 400


async def test_the_action_in_the_body_selects_the_row(client: TestClient) -> None:
    assert (await client.post("/things/1/action", json={"stop": None})).status == 204
    assert (await client.post("/things/1/action", json={"stop": None, "start": None})).status == 400
    assert (await client.post("/things/1/action", json={"pause": None})).status == 400
    assert (await client.post("/things/1/action", json={"pause": None}, version="2.5")).status == 200


async def test_microversions_choose_rows_and_come_back_in_headers(client: TestClient) -> None:
    reply = await client.get("/things/1", version="2.7")
    assert reply.json["thing"]["version"] == "2.7"
    assert reply.headers["openstack-api-version"] == "compute 2.7"
    assert reply.headers["x-openstack-nova-api-version"] == "2.7"
    assert (await client.get("/things/1", version="latest")).json["thing"]["version"] == "2.9"
    assert (await client.get("/things/1", version="2.10")).status == 406
    assert (await client.get("/things/1", version="two")).status == 400
    assert (await client.get("/old", version="2.3")).status == 204
    assert (await client.get("/old", version="2.4")).status == 404


async def test_wrong_methods_say_which_are_right(client: TestClient) -> None:
    reply = await client.put("/things/1")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")


async def test_head_answers_like_get_without_the_body(client: TestClient) -> None:
    reply = await client.request("HEAD", "/things/1", token="reader:demo")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


async def test_bodies_stream_in_and_out(client: TestClient) -> None:
    async def pieces() -> Any:
        for _ in range(5):
            yield b"y" * 1000

    http = Client("http://cloud.test", Loopback(client._client._transport.app))  # type: ignore[attr-defined]
    headers = {"X-Auth-Token": "admin", "content-type": "application/octet-stream"}
    reply = await http.request("PUT", "/data", content=pieces(), headers=headers)
    assert reply.json() == {"bytes": 5000}
    async with http.stream("GET", "/data", headers=headers) as out:
        assert sum([len(chunk) async for chunk in out.chunks]) == 10_000


async def test_a_stream_may_be_left_in_the_middle(client: TestClient) -> None:
    http = Client("http://cloud.test", Loopback(client._client._transport.app))  # type: ignore[attr-defined]
    async with http.stream("GET", "/data", headers={"X-Auth-Token": "admin"}) as out:
        assert await anext(out.chunks)


async def test_every_service_describes_itself(client: TestClient) -> None:
    described = (await client.get("/openapi.json", token=None)).json
    assert described["openapi"] == "3.1.0"
    assert "requestBody" in described["paths"]["/things"]["post"]
    assert (await client.get("/healthcheck", token=None)).body == b"OK"


async def test_rows_that_share_an_operation_are_described_together(client: TestClient) -> None:
    described = (await client.get("/openapi.json", token=None)).json
    action = described["paths"]["/things/{id}/action"]["post"]
    assert "x-openstack-min-ver" not in action
    assert action["requestBody"]["content"]["application/json"]["schema"] == {"required": ["stop"]}


async def test_glance_answers_errors_as_the_client_accepts_them() -> None:
    spec = ServiceApp("image", ROUTES, GLANCE, RULES, fake_identity())
    glance = TestClient(build_app(spec, None))
    as_json = await glance.get("/things/9")
    assert as_json.json["code"] == "404 Not Found"
    as_page = await glance.get("/things/9", headers={"accept": "*/*"})
    assert b"<title>404 Not Found</title>" in as_page.body


def test_a_route_without_a_policy_cannot_be_built() -> None:
    spec = ServiceApp("x", (Route("GET", "/x", stop, None),), NOVA, RULES, fake_identity())
    with pytest.raises(ValueError, match="needs a policy"):
        build_app(spec, None)
    spec = ServiceApp("x", (Route("GET", "/x", stop, "no:such"),), NOVA, RULES, fake_identity())
    with pytest.raises(ValueError, match="no policy row"):
        build_app(spec, None)


async def test_a_stream_ends_when_its_reader_hangs_up() -> None:
    poured: list[bytes] = []
    closed: list[bool] = []
    hung_up = asyncio.Event()

    async def endless(request: Request[Any]) -> StreamResponse:
        async def chunks() -> Any:
            try:
                while True:
                    yield b"x"
                    await asyncio.sleep(0)
            finally:
                closed.append(True)

        return StreamResponse(200, chunks())

    rows = (Route("GET", "/endless", endless, "thing:any"),)
    app = build_app(ServiceApp("test", rows, NOVA, RULES, fake_identity()), None)
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        poured.append(message.get("body", b""))
        if len(poured) == 10:
            hung_up.set()

    headers = [(b"x-auth-token", b"admin")]
    scope = {"type": "http", "method": "GET", "path": "/endless", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert 10 <= len(poured) < 20
    assert closed == [True]


async def test_a_query_string_of_too_many_fields_is_refused(client: TestClient) -> None:
    query = "&".join(f"a{n}=b" for n in range(1001))
    assert (await client.get(f"/things?{query}")).status == 400


async def test_a_slash_at_the_end_counts_only_where_the_service_is_strict() -> None:
    async def status(path: str, *, strict: bool) -> int:
        app = build_app(ServiceApp("test", ROUTES, NOVA, RULES, fake_identity(), strict_slashes=strict), None)
        return (await TestClient(app).get(path)).status

    assert [await status("/things/", strict=strict) for strict in (False, True)] == [200, 404]
    assert [await status("/things", strict=strict) for strict in (False, True)] == [200, 200]
    assert [await status("/", strict=strict) for strict in (False, True)] == [204, 204]
