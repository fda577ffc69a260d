"""Stories of images without data: create, list, show, change, delete."""

from __future__ import annotations

import pytest

from kilonova.kernel.ids import new_uuid
from tests.image.make import ALICE, BOB, PATCH, READER, Cloud
from tests.image.make import cloud as make_cloud


async def test_a_new_image_is_queued_and_belongs_to_its_maker(cloud: Cloud) -> None:
    made = await cloud.client.post("/v2/images", json={"name": "one", "os_distro": "debian"}, token=ALICE)
    assert made.status == 201
    image = made.json
    assert made.headers["location"].endswith(f"/v2/images/{image['id']}")
    assert "glance-direct" in made.headers["openstack-image-import-methods"]
    assert image == {
        "id": image["id"], "name": "one", "os_distro": "debian", "status": "queued", "visibility": "shared",
        "protected": False, "os_hidden": False, "owner": "alices", "container_format": None, "disk_format": None,
        "min_disk": 0, "min_ram": 0, "size": None, "virtual_size": None, "checksum": None, "os_hash_algo": None,
        "os_hash_value": None, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "tags": [], "self": f"/v2/images/{image['id']}", "file": f"/v2/images/{image['id']}/file",
        "schema": "/v2/schemas/image",
    }  # fmt: skip
    assert (await cloud.show(image["id"])).json == image


async def test_the_maker_may_choose_an_id_that_was_never_used(cloud: Cloud) -> None:
    image_id = new_uuid()
    assert (await cloud.image(id=image_id))["id"] == image_id
    again = await cloud.client.post("/v2/images", json={"id": image_id}, token=BOB)
    assert again.status == 409
    assert (await cloud.client.delete(f"/v2/images/{image_id}", token=ALICE)).status == 204
    assert (await cloud.client.post("/v2/images", json={"id": image_id}, token=BOB)).status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "no-uuid"}, 400),
        ({"name": "x" * 256}, 400),
        ({"name": 3}, 400),
        ({"visibility": "secret"}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"container_format": "box"}, 400),
        ({"disk_format": "ami", "container_format": "bare"}, 400),
        ({"min_disk": -1}, 400),
        ({"min_ram": 1 << 40}, 400),
        ({"min_ram": "1"}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": "a"}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"colour": 3}, 400),
        ({"": "x"}, 400),
        ([], 400),
        ({"size": 3}, 403),
        ({"status": "active"}, 403),
        ({"locations": []}, 403),
        ({"deleted": True}, 403),
        ({"os_glance_import_task": "x"}, 403),
        ({"visibility": "public"}, 403),
        ({"owner": "bobs"}, 403),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({f"p{n}": "x" for n in range(129)}, 413),
    ],
)
async def test_what_cannot_be_is_refused(cloud: Cloud, body: object, status: int) -> None:
    told = await cloud.client.post("/v2/images", json=body, token=ALICE)
    assert told.status == status, told.body
    assert await cloud.names() == []


async def test_readers_make_nothing_and_strangers_see_nothing(cloud: Cloud) -> None:
    assert (await cloud.client.post("/v2/images", json={}, token=READER)).status == 403
    image = await cloud.image()
    assert (await cloud.show(image["id"], token=BOB)).status == 404
    assert (await cloud.patch(image["id"], ("replace", "/name", "mine"), token=BOB)).status == 404
    assert (await cloud.client.delete(f"/v2/images/{image['id']}", token=BOB)).status == 404
    assert (await cloud.show(image["id"], token=READER)).status == 200
    assert (await cloud.patch(image["id"], ("replace", "/name", "x"), token=READER)).status == 403
    assert (await cloud.client.get("/v2/images", token=None)).status == 401
    assert (await cloud.show("no-such-image")).status == 404


async def test_an_empty_id_is_no_list(cloud: Cloud) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        assert (await cloud.client.request(method, "/v2/images/", token=ALICE)).status == 404
    assert (await cloud.client.get("/v2/", token=None)).status == 200


async def test_errors_speak_upstreams_dialect(cloud: Cloud) -> None:
    told = await cloud.client.get("/v2/images/nothing", headers={"Accept": "*/*"})
    assert told.headers["content-type"].startswith("text/html")
    assert b"404 Not Found" in told.body
    assert b"No image found with ID nothing" in told.body


async def test_public_images_are_everybodys_to_see_and_admins_to_make(cloud: Cloud) -> None:
    image = await cloud.image(token="admin:alices", visibility="public")
    assert (await cloud.show(image["id"], token=BOB)).status == 200
    assert await cloud.names(token=BOB) == ["disk"]
    assert (await cloud.patch(image["id"], ("replace", "/name", "mine"), token=BOB)).status == 403
    assert (await cloud.client.delete(f"/v2/images/{image['id']}", token=BOB)).status == 403


async def test_community_images_are_found_only_when_asked_for(cloud: Cloud) -> None:
    image = await cloud.image(visibility="community", name="commons")
    assert (await cloud.show(image["id"], token=BOB)).status == 200
    assert await cloud.names() == ["commons"]
    assert await cloud.names(token=BOB) == []
    assert await cloud.names(token="admin") == []
    assert await cloud.names("?visibility=community", token=BOB) == ["commons"]
    assert await cloud.names("?visibility=all", token=BOB) == ["commons"]


async def test_a_patch_adds_replaces_and_removes(cloud: Cloud) -> None:
    image = await cloud.image(os_distro="debian", tags=["a"])
    await cloud.clock.advance(5)
    told = await cloud.patch(
        image["id"],
        ("add", "/architecture", "x86_64"),
        ("replace", "/name", "new"),
        ("remove", "/os_distro"),
        ("replace", "/tags", ["b", "c", "b"]),
        ("add", "/a~1b~0c", "odd"),
        ("replace", "/min_disk", 3),
        ("replace", "/visibility", "private"),
    )
    assert told.status == 200, told.body
    assert told.json == (await cloud.show(image["id"])).json
    assert told.json["architecture"] == "x86_64"
    assert told.json["name"] == "new"
    assert "os_distro" not in told.json
    assert told.json["tags"] == ["b", "c"]
    assert told.json["a/b~c"] == "odd"
    assert told.json["min_disk"] == 3
    assert told.json["visibility"] == "private"
    assert told.json["updated_at"] == "2026-01-01T00:00:05Z"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (("replace", "/status", "active"), 403),
        (("replace", "/id", "x"), 403),
        (("replace", "/locations", []), 403),
        (("add", "/locations/-", {}), 403),
        (("remove", "/name"), 403),
        (("remove", "/nothing"), 409),
        (("replace", "/nothing", "x"), 409),
        (("add", "/deep/er", "x"), 400),
        (("add", "/odd~2", "x"), 400),
        (("add", "name", "x"), 400),
        (("add", "/", "x"), 400),
        (("add", "/colour"), 400),
        (("move", "/name", "x"), 400),
        (("add", "/colour", 3), 400),
        (("replace", "/name", "x" * 256), 400),
        (("replace", "/disk_format", "floppy"), 400),
        (("replace", "/visibility", "public"), 403),
        (("replace", "/owner", "bobs"), 403),
        (("replace", "/tags", [str(n) for n in range(129)]), 413),
        (("add", "/os_glance_x", "x"), 403),
    ],
)
async def test_a_bad_patch_changes_nothing(cloud: Cloud, operation: tuple[object, ...], status: int) -> None:
    image = await cloud.image()
    told = await cloud.patch(image["id"], ("replace", "/name", "changed"), operation)
    assert told.status == status, told.body
    assert (await cloud.show(image["id"])).json == image


async def test_a_patch_must_say_that_it_is_one(cloud: Cloud) -> None:
    image = await cloud.image(os_distro="debian")
    path = f"/v2/images/{image['id']}"
    body = [{"op": "replace", "path": "/name", "value": "x"}]
    assert (await cloud.client.patch(path, json=body, token=ALICE)).status == 415
    assert (await cloud.client.patch(path, json={}, headers=PATCH, token=ALICE)).status == 400
    old = {"Content-Type": "application/openstack-images-v2.0-json-patch"}
    changed = await cloud.client.patch(path, json=[{"replace": "/name", "value": "y"}], headers=old, token=ALICE)
    assert changed.json["name"] == "y"
    again = await cloud.client.patch(path, json=[{"add": "/os_distro", "value": "y"}], headers=old, token=ALICE)
    assert again.status == 409


async def test_a_protected_image_stays(cloud: Cloud) -> None:
    image = await cloud.image(protected=True)
    path = f"/v2/images/{image['id']}"
    assert (await cloud.client.delete(path, token=ALICE)).status == 403
    assert (await cloud.patch(image["id"], ("replace", "/protected", False))).status == 200
    assert (await cloud.client.delete(path, token=ALICE)).status == 204
    assert (await cloud.show(image["id"])).status == 404
    assert (await cloud.client.delete(path, token=ALICE)).status == 404
    assert await cloud.names() == []


async def test_lists_filter(cloud: Cloud) -> None:
    await cloud.image(name="small", tags=["a", "b"], os_distro="debian", min_disk=1)
    await cloud.image(b"12345", name="big", tags=["b"], disk_format="raw", protected=True)
    await cloud.image(name="iso", disk_format="iso", os_hidden=True)
    await cloud.clock.advance(60)
    await cloud.image(name="a,b", disk_format="vdi")
    for query, names in {
        "": ["a,b", "big", "small"],
        "?name=big": ["big"],
        "?name=in:big,small": ["big", "small"],
        '?name=in:"a,b",big': ["a,b", "big"],
        "?name=neq:big": ["a,b", "small"],
        "?tag=b": ["big", "small"],
        "?tag=a&tag=b": ["small"],
        "?tag=c": [],
        "?os_distro=debian": ["small"],
        "?os_distro=fedora": [],
        "?protected=true": ["big"],
        "?os_hidden=true": ["iso"],
        "?disk_format=in:raw,vdi": ["a,b", "big", "small"],
        "?disk_format=vdi": ["a,b"],
        "?status=active": ["big"],
        "?size_min=5": ["big"],
        "?size_max=4": [],
        "?min_disk=1": ["small"],
        "?owner=alices": ["a,b", "big", "small"],
        "?owner=bobs": [],
        "?visibility=private": [],
        "?visibility=shared": ["a,b", "big", "small"],
        "?created_at=gt:2026-01-01T00:00:30Z": ["a,b"],
        "?created_at=lte:2026-01-01T00:00:30Z": ["big", "small"],
        "?os_hash_algo=sha512": ["big"],
        "?checksum=827ccb0eea8a706c4c34a16891f84e7b": ["big"],
    }.items():
        assert sorted(await cloud.names(query)) == names, query


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "marker=nothing", "sort_key=size_bytes", "sort_dir=up", "sort=name:up",
        "sort=name&sort_key=name", "sort_key=name&sort_key=id&sort_dir=asc&sort_dir=asc&sort_dir=asc", "visibility=x",
        "member_status=x", "protected=1", "os_hidden=x", "size_min=x", "size_max=-1", "min_ram=a", "created_at=x",
        "updated_at=gt:yesterday", "name=in:", 'name=in:"a', "status=gt:a", "min_disk=99999999999999999999",
    ],
)  # fmt: skip
async def test_a_bad_query_is_refused(cloud: Cloud, query: str) -> None:
    assert (await cloud.client.get(f"/v2/images?{query}", token=ALICE)).status == 400


async def test_pages_follow_each_other(cloud: Cloud) -> None:
    for number in range(7):
        await cloud.image(name=f"i{number % 3}", min_disk=number)
    whole = await cloud.names("?sort=name:asc,id:desc&min_ram=0")
    path, found, pages = "/v2/images?limit=3&sort=name:asc,id:desc&min_ram=0", [], 0
    while path:
        page = (await cloud.client.get(path, token=ALICE)).json
        assert page["first"] == "/v2/images?limit=3&sort=name%3Aasc%2Cid%3Adesc&min_ram=0"
        assert page["schema"] == "/v2/schemas/images"
        found += [image["name"] for image in page["images"]]
        path, pages = page.get("next"), pages + 1
    assert found == whole
    assert pages == 3
    assert (await cloud.client.get("/v2/images?limit=0", token=ALICE)).json["images"] == []


async def test_a_page_has_a_default_and_a_most(tmp_path) -> None:  # type: ignore[no-untyped-def]
    cloud = make_cloud(tmp_path / "data", page_default=2, page_max=3)
    for _ in range(5):
        await cloud.image()
    assert len(await cloud.names()) == 2
    assert len(await cloud.names("?limit=100")) == 3


async def test_a_marker_tells_nothing_of_what_is_hidden(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.client.get(f"/v2/images?marker={image['id']}", token=BOB)).status == 400
    assert (await cloud.client.get(f"/v2/images?marker={image['id']}", token=ALICE)).status == 200


async def test_tags_come_and_go(cloud: Cloud) -> None:
    image = await cloud.image()
    path = f"/v2/images/{image['id']}/tags/"
    assert (await cloud.client.put(path + "one", token=ALICE)).status == 204
    assert (await cloud.client.put(path + "one", token=ALICE)).status == 204
    assert (await cloud.show(image["id"])).json["tags"] == ["one"]
    assert (await cloud.client.put(path + "x" * 256, token=ALICE)).status == 400
    assert (await cloud.client.put(path + "two", token=BOB)).status == 404
    assert (await cloud.client.delete(path + "two", token=ALICE)).status == 404
    assert (await cloud.client.delete(path + "one", token=ALICE)).status == 204
    assert (await cloud.show(image["id"])).json["tags"] == []


async def test_clients_find_their_way(cloud: Cloud) -> None:
    root = await cloud.client.get("/", token=None)
    assert root.status == 300
    assert root.json == (await cloud.client.get("/versions", token=None)).json
    first = root.json["versions"][0]
    assert (first["id"], first["status"]) == ("v2.15", "CURRENT")
    assert first["links"][0]["href"] == "http://cloud.test/v2/"
    for name in ("image", "images", "member", "members", "task", "tasks"):
        assert (await cloud.client.get(f"/v2/schemas/{name}", token=ALICE)).json["name"] == name
    image = (await cloud.client.get("/v2/schemas/image", token=ALICE)).json
    assert image["properties"]["disk_format"]["enum"][0] is None
    assert image["additionalProperties"] == {"type": "string"}
    stores = await cloud.client.get("/v2/info/stores", token=ALICE)
    assert stores.json == {"stores": [{"id": "file", "default": "true"}]}
    assert (await cloud.client.get("/v2/info/stores/detail", token=ALICE)).status == 403
    assert (await cloud.client.get("/v2/info/stores/detail", token="admin")).status == 200
    methods = (await cloud.client.get("/v2/info/import", token=ALICE)).json["import-methods"]["value"]
    assert methods == ["glance-direct"]
    assert (await cloud.client.get("/healthcheck", token=None)).status == 200
    assert (await cloud.client.get("/openapi.json", token=None)).json["openapi"] == "3.1.0"
