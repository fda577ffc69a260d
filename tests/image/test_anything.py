"""Whatever is sent: an answer below 500, and nothing changed where it was refused."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.image.api.attributes import WRITABLE
from kilonova.image.api.fields import READ_ONLY, RESERVED
from kilonova.image.model.listing import FILTERS, PAGING
from tests.image.make import ALICE, PATCH, Cloud
from tests.image.make import cloud as make_cloud

_NAMES = st.one_of(st.sampled_from(sorted({*WRITABLE, *READ_ONLY, *RESERVED, "id"})), st.text(max_size=20))
_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=30)
)
_JSON = st.recursive(
    _LEAF, lambda one: st.lists(one, max_size=4) | st.dictionaries(_NAMES, one, max_size=4), max_leaves=8
)
_QUERY_NAMES = st.one_of(
    st.sampled_from(sorted({*FILTERS, *PAGING, "visibility", "member_status", "os_hidden"})), st.text(max_size=10)
)
_QUERY_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["in:", 'in:"a', "in:a\nb", "gt:0001-01-01T00:00:00+14:00", "9" * 30, "-1", "asc", "name:asc"]),
    st.tuples(st.sampled_from(["in", "eq", "neq", "gt", "lt", "gte", "lte"]), st.text(max_size=12)).map(":".join),
)


def told(story: Callable[[Cloud], Awaitable[None]]) -> None:
    """Run a story on a service of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(make_cloud(Path(folder) / "data")))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(_JSON, st.dictionaries(_NAMES, _JSON, max_size=5)), min_size=1, max_size=6))
def test_any_body_of_create(bodies: list[Any]) -> None:
    async def story(cloud: Cloud) -> None:
        for body in bodies:
            if body is not None:
                answer = await cloud.client.post("/v2/images", json=body, token=ALICE)
                assert answer.status < 500, body

    told(story)


_OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "move"]), "path": _NAMES.map(lambda n: f"/{n}"), "value": _JSON}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(_OPERATION, _JSON), max_size=5))
def test_any_patch(operations: list[Any]) -> None:
    async def story(cloud: Cloud) -> None:
        image = await cloud.image(os_distro="debian")
        path = f"/v2/images/{image['id']}"
        answer = await cloud.client.patch(path, json=operations, headers=PATCH, token=ALICE)
        assert answer.status < 500
        if answer.status >= 400:
            assert (await cloud.show(image["id"])).json == image

    told(story)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(_QUERY_NAMES, _QUERY_VALUES), max_size=5))
def test_any_query(pairs: list[tuple[str, str]]) -> None:
    async def story(cloud: Cloud) -> None:
        await cloud.image(os_distro="debian")
        path = f"/v2/images?{urlencode(pairs)}"
        assert (await cloud.client.get(path, token=ALICE)).status in (200, 400)

    told(story)


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"p{n}=x" for n in range(2000)),
        "&".join(f"p{n}=x" for n in range(900)),
        "&".join(f"tag=t{n}" for n in range(900)),
        "name=in:" + ",".join(["x"] * 40_000),
        "name=in:" + "x" * 200_000,
        "os_distro=%ff%fe",
        "marker=%00",
    ],
)
async def test_a_query_that_is_too_much_is_refused(cloud: Cloud, query: str) -> None:
    assert (await cloud.client.get(f"/v2/images?{query}", token=ALICE)).status in (200, 400, 414)


@pytest.mark.parametrize("name", ["\0", "\ud800", "🦊" * 60, "..", "a/b", "%", "ß" * 255, "x" * 3000])
async def test_any_word_in_a_path(cloud: Cloud, name: str) -> None:
    image = await cloud.image()
    word = quote(name, safe="", errors="surrogatepass")
    for path in (f"/v2/images/{word}", f"/v2/images/{word}/file", f"/v2/images/{image['id']}/members/{word}"):
        assert (await cloud.client.get(path, token=ALICE)).status < 500
    for method in ("PUT", "DELETE"):
        for path in (f"/v2/images/{image['id']}/tags/{word}", f"/v2/images/{image['id']}/members/{word}"):
            assert (await cloud.client.request(method, path, token=ALICE)).status < 500
    raw = b'{"name": "\\ud800"}'
    told = await cloud.client.post("/v2/images", content=raw, headers={"Content-Type": "application/json"}, token=ALICE)
    assert told.status == 400


async def test_a_body_that_is_no_json(cloud: Cloud) -> None:
    for raw in (b"", b"{", b"\xff", b'{"a": 1e999}', b"[" * 5000):
        told = await cloud.client.post(
            "/v2/images", content=raw, headers={"Content-Type": "application/json"}, token=ALICE
        )
        assert told.status == 400, raw[:10]
