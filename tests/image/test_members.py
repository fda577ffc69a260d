"""Stories of sharing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.make import ALICE, BOB, Cloud
from tests.image.make import cloud as make_cloud

CAROL = "member:carols"


async def shared(cloud: Cloud, *projects: str) -> str:
    """The path of an image of alices, shared with projects."""
    image = await cloud.image(b"data")
    path = f"/v2/images/{image['id']}"
    for project in projects:
        told = await cloud.client.post(f"{path}/members", json={"member": project}, token=ALICE)
        assert told.status == 200, told.body
    return path


async def test_an_image_is_shared_accepted_and_taken_back(cloud: Cloud) -> None:
    path = await shared(cloud, "bobs")
    listed = (await cloud.client.get(f"{path}/members", token=ALICE)).json
    assert listed["schema"] == "/v2/schemas/members"
    assert listed["members"] == [
        {
            "image_id": path.rsplit("/", 1)[1],
            "member_id": "bobs",
            "status": "pending",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "schema": "/v2/schemas/member",
        }
    ]
    assert (await cloud.client.get(path, token=BOB)).status == 200
    assert await cloud.names(token=BOB) == []
    assert await cloud.names("?visibility=shared&member_status=pending", token=BOB) == ["disk"]
    accepted = await cloud.client.put(f"{path}/members/bobs", json={"status": "accepted"}, token=BOB)
    assert accepted.json["status"] == "accepted"
    assert await cloud.names(token=BOB) == ["disk"]
    assert (await cloud.client.get(f"{path}/file", token=BOB)).body == b"data"
    assert (await cloud.client.delete(f"{path}/members/bobs", token=ALICE)).status == 204
    assert (await cloud.client.get(path, token=BOB)).status == 404
    assert await cloud.names("?member_status=all", token=BOB) == []


async def test_a_member_may_look_and_decide_for_itself_only(cloud: Cloud) -> None:
    path = await shared(cloud, "bobs", "carols")
    mine = (await cloud.client.get(f"{path}/members", token=BOB)).json["members"]
    assert [member["member_id"] for member in mine] == ["bobs"]
    assert (await cloud.client.get(f"{path}/members/bobs", token=BOB)).status == 200
    assert (await cloud.client.get(f"{path}/members/carols", token=BOB)).status == 404
    assert (await cloud.client.get(f"{path}/members/carols", token=ALICE)).status == 200
    decided = {"status": "accepted"}
    assert (await cloud.client.put(f"{path}/members/carols", json=decided, token=BOB)).status == 404
    assert (await cloud.client.put(f"{path}/members/bobs", json=decided, token=ALICE)).status == 403
    assert (await cloud.client.put(f"{path}/members/bobs", json=decided, token="admin")).status == 200
    assert (await cloud.client.post(f"{path}/members", json={"member": "daves"}, token=BOB)).status == 403
    assert (await cloud.client.delete(f"{path}/members/bobs", token=BOB)).status == 403
    patch = await cloud.patch(path.rsplit("/", 1)[1], ("replace", "/name", "x"), token=BOB)
    assert patch.status == 403
    assert (await cloud.client.delete(path, token=BOB)).status == 403
    assert (await cloud.client.get(f"{path}/members", token="member:daves")).status == 404


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 3}, {"member": "x" * 256}, [], "bobs"])
async def test_a_member_must_be_named(cloud: Cloud, body: object) -> None:
    path = await shared(cloud)
    assert (await cloud.client.post(f"{path}/members", json=body, token=ALICE)).status == 400


async def test_nobody_is_a_member_twice(cloud: Cloud) -> None:
    path = await shared(cloud, "bobs")
    assert (await cloud.client.post(f"{path}/members", json={"member": "bobs"}, token=ALICE)).status == 409
    assert (await cloud.client.delete(f"{path}/members/carols", token=ALICE)).status == 404
    bad = await cloud.client.put(f"{path}/members/bobs", json={"status": "perhaps"}, token=BOB)
    assert bad.status == 400


async def test_only_shared_images_have_members(cloud: Cloud) -> None:
    path = await shared(cloud, "bobs")
    image_id = path.rsplit("/", 1)[1]
    assert (await cloud.patch(image_id, ("replace", "/visibility", "private"))).status == 200
    assert (await cloud.client.get(path, token=BOB)).status == 404
    assert (await cloud.client.get(f"{path}/members", token=ALICE)).status == 403
    assert (await cloud.client.post(f"{path}/members", json={"member": "x"}, token=ALICE)).status == 403


async def test_members_are_limited(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "data", member_quota=2)
    path = await shared(cloud, "bobs", "carols")
    assert (await cloud.client.post(f"{path}/members", json={"member": "daves"}, token=ALICE)).status == 413
