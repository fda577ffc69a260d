"""Stories of data: upload, what is refused, what is left when it goes wrong, download."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.image.drivers import files
from kilonova.image.janitor import (
    SILENT_AFTER_S,
    delete_orphan,
    end_upload,
    find_orphan_blobs,
    find_silent_uploads,
)
from kilonova.kernel.http.client import Client
from kilonova.kernel.http.loopback import Loopback
from tests.image.make import ALICE, BOB, OCTETS, Cloud, compressed, gpt, iso, qcow2, vmdk
from tests.image.make import cloud as make_cloud


async def test_uploaded_data_makes_an_image_active(cloud: Cloud) -> None:
    data = bytes(range(256)) * 10000
    image = await cloud.image(data)
    assert image["status"] == "active"
    assert image["size"] == image["virtual_size"] == len(data)
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    assert image["stores"] == "file"
    assert len(cloud.files()) == 1
    got = await cloud.client.get(f"/v2/images/{image['id']}/file", token=ALICE)
    assert got.status == 200
    assert got.body == data
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-length"] == str(len(data))
    assert got.headers["content-md5"] == image["checksum"]
    head = await cloud.client.request("HEAD", f"/v2/images/{image['id']}/file", token=ALICE)
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-100", 206, b"89"),
        ("bytes=10-", 416, None),
        ("bytes=3-2", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,3-4", 416, None),
        ("lines=1-2", 416, None),
    ],
)
async def test_a_range_can_be_read(cloud: Cloud, asked: str, status: int, part: bytes | None) -> None:
    image = await cloud.image(b"0123456789")
    got = await cloud.client.get(f"/v2/images/{image['id']}/file", headers={"Range": asked}, token=ALICE)
    assert got.status == status
    if part is not None:
        assert got.body == part
    assert got.headers["content-range"].endswith("/10")


async def test_an_image_without_data_has_nothing_to_download(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.client.get(f"/v2/images/{image['id']}/file", token=ALICE)).status == 204


async def test_data_comes_once(cloud: Cloud) -> None:
    image = await cloud.image(b"first")
    assert (await cloud.upload(image["id"], b"second")).status == 409
    assert (await cloud.patch(image["id"], ("replace", "/disk_format", "iso"))).status == 403
    assert (await cloud.client.get(f"/v2/images/{image['id']}/file", token=ALICE)).body == b"first"


async def test_formats_come_before_data(cloud: Cloud) -> None:
    image = await cloud.image(disk_format=None)
    told = await cloud.upload(image["id"], b"data")
    assert told.status == 400
    assert b"disk_format" in told.body


@pytest.mark.parametrize(
    ("disk_format", "container_format", "data", "virtual_size"),
    [
        ("qcow2", "bare", qcow2(size=5 << 30), 5 << 30),
        ("raw", "bare", gpt(), 1 << 20),
        ("raw", "bare", b"", 0),
        ("iso", "bare", iso(), None),
        ("vmdk", "bare", vmdk(), 2048 * 512),
        ("ami", "ami", b"file system", 11),
        ("qcow2", "ova", b"anything", None),
        ("raw", "compressed", compressed(), None),
    ],
)
async def test_honest_content_is_taken(
    cloud: Cloud, disk_format: str, container_format: str, data: bytes, virtual_size: int | None
) -> None:
    image = await cloud.image(data, disk_format=disk_format, container_format=container_format)
    assert image["status"] == "active"
    if disk_format != "iso":
        assert image["virtual_size"] == virtual_size


@pytest.mark.parametrize(
    ("disk_format", "data"),
    [
        ("raw", qcow2()),
        ("raw", vmdk()),
        ("raw", iso()),
        ("ami", qcow2()),
        ("aki", vmdk()),
        ("ploop", qcow2()),
        ("qcow2", b"raw bytes" * 1000),
        ("qcow2", b""),
        ("qcow2", qcow2()[:100]),
        ("qcow2", qcow2(backing=True)),
        ("qcow2", qcow2(data_file=True)),
        ("qcow2", vmdk()),
        ("vmdk", qcow2()),
        ("vmdk", vmdk("monolithicFlat")),
        ("vmdk", vmdk("vmfs")),
        ("vmdk", vmdk(extent='RW 2048 FLAT "/etc/passwd" 0')),
        ("vmdk", b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n'.ljust(4096, b"\0")),
        ("iso", gpt()),
        ("iso", qcow2()),
        ("vhd", b"x" * 10000),
        ("vhdx", qcow2()),
        ("vdi", b"x" * 10000),
    ],
)
async def test_content_that_lies_or_reaches_out_is_refused(cloud: Cloud, disk_format: str, data: bytes) -> None:
    same = disk_format if disk_format in ("ami", "aki") else "bare"
    image = await cloud.image(disk_format=disk_format, container_format=same)
    told = await cloud.upload(image["id"], data)
    assert told.status == 415, told.body
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    assert cloud.files() == []


async def test_what_lies_is_refused_before_it_has_all_come(cloud: Cloud) -> None:
    image = await cloud.image(disk_format="raw")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield qcow2() if sent == 1 else bytes(1 << 18)

    told = await _send(cloud, image["id"], endless())
    assert told == 415
    assert sent < 20
    assert cloud.files() == []


async def _send(cloud: Cloud, image_id: str, data: AsyncIterator[bytes], **headers: str) -> int:
    client = Client("http://cloud.test", Loopback(cloud.app))
    reply = await client.request(
        "PUT",
        f"/v2/images/{image_id}/file",
        content=data,
        headers={**OCTETS, "X-Auth-Token": ALICE, **headers},
    )
    return reply.status


async def test_a_big_image_is_never_whole_in_memory(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = files.FileWriter.write

    async def counted(self: files.FileWriter, piece: bytes) -> None:
        sizes.append(len(piece))
        await write(self, piece)

    monkeypatch.setattr(files.FileWriter, "write", counted)
    image = await cloud.image()

    async def data() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(1 << 16)

    assert await _send(cloud, image["id"], data()) == 204
    assert max(sizes) == 1 << 20
    assert sum(sizes) == (await cloud.show(image["id"])).json["size"] == 300 << 16


async def test_a_client_that_goes_away_leaves_a_queued_image_and_no_blob(cloud: Cloud) -> None:
    image = await cloud.image()

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(3 << 20)
        raise ConnectionResetError

    assert await _send(cloud, image["id"], broken()) == 500  # what nobody reads any more
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    assert cloud.files() == []
    assert (await cloud.upload(image["id"], b"again")).status == 204


async def _begun(cloud: Cloud, image_id: str, **headers: str) -> tuple[asyncio.Task[int], asyncio.Event]:
    """An upload that has come half way and waits."""
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        await go_on.wait()
        yield bytes(2 << 20)

    task = asyncio.create_task(_send(cloud, image_id, slow(), **headers))
    while not any(part.stat().st_size == 2 << 20 for part in cloud.folder.glob("*.part")):
        await asyncio.sleep(0.001)
    return task, go_on


async def test_a_cancelled_upload_leaves_nothing(cloud: Cloud) -> None:
    image = await cloud.image()
    task, _ = await _begun(cloud, image["id"])
    assert (await cloud.show(image["id"])).json["status"] == "saving"
    assert (await cloud.upload(image["id"], b"other")).status == 409
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    assert cloud.files() == []


async def test_deleting_while_data_comes_is_safe(cloud: Cloud) -> None:
    image = await cloud.image()
    task, go_on = await _begun(cloud, image["id"])
    assert (await cloud.client.delete(f"/v2/images/{image['id']}", token=ALICE)).status == 204
    go_on.set()
    assert await task == 410
    assert cloud.files() == []
    assert (await cloud.show(image["id"])).status == 404


async def test_deleting_while_data_goes_is_safe(cloud: Cloud) -> None:
    data = bytes(3 << 20)
    image = await cloud.image(data)
    client = Client("http://cloud.test", Loopback(cloud.app))
    path = f"/v2/images/{image['id']}/file"
    async with client.stream("GET", path, headers={"X-Auth-Token": ALICE}) as reply:
        first = await anext(reply.chunks)
        assert (await cloud.client.delete(f"/v2/images/{image['id']}", token=ALICE)).status == 204
        rest = b"".join([chunk async for chunk in reply.chunks])
    assert first + rest == data
    assert cloud.files() == []


async def test_what_is_announced_must_come(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.upload(image["id"], b"12345", **{"X-OpenStack-Image-Size": "6"})).status == 400
    assert (await cloud.upload(image["id"], b"12345", **{"X-OpenStack-Image-Size": "many"})).status == 400

    async def more() -> AsyncIterator[bytes]:
        yield b"12345"

    assert await _send(cloud, image["id"], more(), **{"X-OpenStack-Image-Size": "4"}) == 400
    assert await _send(cloud, image["id"], more(), **{"X-OpenStack-Image-Size": "6"}) == 400
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    assert await _send(cloud, image["id"], more(), **{"X-OpenStack-Image-Size": "5"}) == 204


async def test_only_octets_and_only_the_store_there_is(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.upload(image["id"], b"x", **{"Content-Type": "text/plain"})).status == 415
    assert (await cloud.upload(image["id"], b"x", **{"X-Image-Meta-Store": "other"})).status == 400
    assert (await cloud.upload(image["id"], b"x", **{"X-Image-Meta-Store": "file"})).status == 204


async def test_nothing_is_larger_than_the_cap(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "data", size_cap_bytes=10)
    image = await cloud.image()
    assert (await cloud.upload(image["id"], bytes(11))).status == 413

    async def unannounced() -> AsyncIterator[bytes]:
        yield bytes(11)

    assert await _send(cloud, image["id"], unannounced()) == 413
    assert cloud.files() == []
    assert (await cloud.upload(image["id"], bytes(10))).status == 204


async def test_the_quota_counts_what_is_there_and_what_is_coming(tmp_path: Path) -> None:
    mib = 1 << 20
    cloud = make_cloud(tmp_path / "data", storage_quota_bytes=10 * mib)
    first = await cloud.image(bytes(4 * mib))
    second, third = await cloud.image(), await cloud.image()
    announced = {"X-OpenStack-Image-Size": str(4 * mib)}
    task, go_on = await _begun(cloud, second["id"], **announced)  # 2 MiB of 4 have come
    assert (await cloud.upload(third["id"], bytes(3 * mib))).status == 413
    usage = (await cloud.client.get("/v2/info/usage", token=ALICE)).json["usage"]
    assert usage["image_size_total"] == {"usage": 8, "limit": 10}
    assert usage["image_count_total"]["usage"] == 3
    assert usage["image_count_uploading"]["usage"] == 1
    assert (await cloud.upload(third["id"], bytes(2 * mib))).status == 204
    go_on.set()
    assert await task == 204
    fourth = await cloud.image()
    assert (await cloud.upload(fourth["id"], b"x")).status == 413
    assert (await cloud.client.delete(f"/v2/images/{first['id']}", token=ALICE)).status == 204

    async def unannounced(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(mib)

    assert await _send(cloud, fourth["id"], unannounced(5)) == 413
    assert (await cloud.show(fourth["id"])).json["status"] == "queued"
    assert await _send(cloud, fourth["id"], unannounced(4)) == 204
    assert len(cloud.files()) == 3
    other = await cloud.image(bytes(10 * mib), token=BOB)
    assert other["status"] == "active"


async def test_a_full_disk_is_told_and_cleaned(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(files, "_write_all", full)
    image = await cloud.image()
    assert (await cloud.upload(image["id"], b"data")).status == 413
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    assert cloud.files() == []


async def test_a_broken_store_is_told_and_what_is_left_is_the_sweeps(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, image = await cloud.image(b"data"), await cloud.image()

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "the disk is dying")

    with monkeypatch.context() as dying:
        dying.setattr(files, "_write_all", broken)
        dying.setattr(files.os, "unlink", broken)
        assert (await cloud.upload(image["id"], b"data")).status == 503
        assert (await cloud.client.delete(f"/v2/images/{kept['id']}", token=ALICE)).status == 204
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    for finding in await find_orphan_blobs(cloud.parts):
        await delete_orphan(cloud.parts, finding)
    assert cloud.files() == []


async def test_a_blob_that_is_swept_away_while_it_comes_ends_its_upload(cloud: Cloud) -> None:
    image = await cloud.image()
    task, go_on = await _begun(cloud, image["id"])
    await cloud.clock.advance(SILENT_AFTER_S + 1)
    for finding in await find_silent_uploads(cloud.parts):
        await end_upload(cloud.parts, finding)
    assert (await cloud.show(image["id"])).json["status"] == "queued"
    go_on.set()
    assert await task == 410
    assert cloud.files() == []
    assert (await cloud.upload(image["id"], b"again")).status == 204


async def test_a_deactivated_image_keeps_its_data_to_itself(cloud: Cloud) -> None:
    image = await cloud.image(b"data")
    path = f"/v2/images/{image['id']}"
    assert (await cloud.client.post(f"{path}/actions/deactivate", token=ALICE)).status == 204
    assert (await cloud.client.post(f"{path}/actions/deactivate", token=ALICE)).status == 204
    assert (await cloud.show(image["id"])).json["status"] == "deactivated"
    assert (await cloud.client.get(f"{path}/file", token=ALICE)).status == 403
    assert (await cloud.client.get(f"{path}/file", token="admin")).body == b"data"
    assert (await cloud.client.post(f"{path}/actions/reactivate", token=BOB)).status == 404
    assert (await cloud.client.post(f"{path}/actions/reactivate", token=ALICE)).status == 204
    assert (await cloud.client.get(f"{path}/file", token=ALICE)).body == b"data"
    queued = await cloud.image()
    told = await cloud.client.post(f"/v2/images/{queued['id']}/actions/deactivate", token=ALICE)
    assert told.status == 403


async def test_data_may_be_staged_and_imported(cloud: Cloud) -> None:
    image = await cloud.image(disk_format="qcow2")
    path = f"/v2/images/{image['id']}"
    method = {"method": {"name": "glance-direct"}}
    assert (await cloud.client.post(f"{path}/import", json=method, token=ALICE)).status == 409
    refused = await cloud.client.put(f"{path}/stage", content=b"raw", headers=OCTETS, token=ALICE)
    assert refused.status == 415
    staged = await cloud.client.put(f"{path}/stage", content=qcow2(), headers=OCTETS, token=ALICE)
    assert staged.status == 204
    assert (await cloud.show(image["id"])).json["status"] == "uploading"
    assert (await cloud.client.get(f"{path}/file", token=ALICE)).status == 204
    other = {"method": {"name": "web-download", "uri": "file:///etc/passwd"}}
    assert (await cloud.client.post(f"{path}/import", json=other, token=ALICE)).status == 400
    assert (await cloud.client.post(f"{path}/import", json={}, token=ALICE)).status == 400
    elsewhere = {**method, "stores": ["moon"]}
    assert (await cloud.client.post(f"{path}/import", json=elsewhere, token=ALICE)).status == 400
    assert (await cloud.client.post(f"{path}/import", json=method, token=BOB)).status == 404
    assert (await cloud.client.post(f"{path}/import", json=method, token=ALICE)).status == 202
    assert (await cloud.show(image["id"])).json["status"] == "active"
    (task,) = (await cloud.client.get(f"{path}/tasks", token=ALICE)).json["tasks"]
    assert (task["status"], task["type"], task["image_id"]) == ("success", "api_image_import", image["id"])
    assert task["input"]["import_req"] == method
    assert (await cloud.client.get(f"{path}/tasks", token=BOB)).status == 404
    assert (await cloud.client.get("/v2/tasks", token=ALICE)).status == 403
    page = (await cloud.client.get("/v2/tasks?limit=1", token="admin")).json
    assert [one["id"] for one in page["tasks"]] == [task["id"]]
    assert (await cloud.client.get(page["next"], token="admin")).json["tasks"] == []
    assert (await cloud.client.get(f"/v2/tasks/{task['id']}", token="admin")).json == task
    assert (await cloud.client.get("/v2/tasks/nothing", token="admin")).status == 404
    assert (await cloud.client.get("/v2/tasks?marker=nothing", token="admin")).status == 400
    assert (await cloud.client.get(f"{path}/file", token=ALICE)).body == qcow2()
    assert (await cloud.client.delete(f"/v2/stores/file/{image['id']}", token=ALICE)).status == 403
    assert (await cloud.client.delete(f"/v2/stores/moon/{image['id']}", token=ALICE)).status == 404


async def test_missing_data_is_said_to_be_missing(cloud: Cloud) -> None:
    image = await cloud.image(b"data")
    (cloud.folder / cloud.files()[0]).unlink()
    assert (await cloud.client.get(f"/v2/images/{image['id']}/file", token=ALICE)).status == 404
