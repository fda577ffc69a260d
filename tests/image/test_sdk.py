"""Stock openstacksdk, unchanged, over a socket; and a client that hangs up."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openstack
import pytest
import uvicorn
from openstack import exceptions

from kilonova.allinone.mount import Mount
from tests.image.make import ALICE, Cloud, qcow2


@pytest.fixture
async def port(cloud: Cloud) -> AsyncIterator[int]:
    """The service behind a real server, mounted as in a cloud; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Mount({"image": cloud.app}), log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.001)
    yield listener.getsockname()[1]
    server.should_exit = True
    await task
    listener.close()


def connect(port: int) -> Any:
    url = f"http://127.0.0.1:{port}/image"
    auth = {"endpoint": url, "token": ALICE}
    return openstack.connect(auth_type="admin_token", auth=auth, image_endpoint_override=url, region_name="one")


async def test_the_life_of_an_image_through_the_sdk(cloud: Cloud, port: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(qcow2(size=1 << 30))

    def story() -> None:
        cloud_layer = connect(port)
        sdk = cloud_layer.image
        made = cloud_layer.create_image("disk", filename=str(disk), disk_format="qcow2", wait=True, os_distro="debian")
        assert (made.status, made.visibility) == ("active", "shared")
        assert made.checksum == hashlib.md5(disk.read_bytes()).hexdigest()
        for number in range(3):
            sdk.create_image(f"raw{number}", data=b"x" * (number + 1), disk_format="raw")
        assert [i.name for i in sdk.images(limit=2, sort="name:asc")] == ["disk", "raw0", "raw1", "raw2"]
        found = sdk.find_image("disk")
        assert (found.id, found.os_distro) == (made.id, "debian")
        sdk.download_image(found, output=str(tmp_path / "saved"))
        assert (tmp_path / "saved").read_bytes() == disk.read_bytes()
        sdk.update_image(found, name="renamed", min_disk=2, os_version="12")
        sdk.add_tag(found, "tagged")
        shown = sdk.get_image(made.id)
        assert (shown.name, shown.min_disk, shown.os_version, shown.tags) == ("renamed", 2, "12", ["tagged"])
        imported = sdk.create_image("imported", filename=str(disk), disk_format="qcow2", use_import=True)
        assert sdk.get_image(imported.id).status == "active"
        with pytest.raises(exceptions.HttpException, match="the content is qcow2, declared is raw"):
            sdk.create_image("liar", filename=str(disk), disk_format="raw", wait=True)
        with pytest.raises(exceptions.NotFoundException):
            sdk.get_image("nothing")
        for image in list(sdk.images()):
            sdk.delete_image(image, ignore_missing=False)
        assert list(sdk.images()) == []

    await asyncio.to_thread(story)
    assert cloud.files() == []


async def test_a_client_that_hangs_up_leaves_a_queued_image(cloud: Cloud, port: int) -> None:
    image = await cloud.image()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"PUT /image/v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {ALICE}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 9000000\r\n\r\n".encode()
    )
    writer.write(bytes(3_000_000))
    await writer.drain()
    while (await cloud.show(image["id"])).json["status"] != "saving":
        await asyncio.sleep(0.001)
    writer.close()
    async with asyncio.timeout(10):
        while (await cloud.show(image["id"])).json["status"] != "queued":
            await asyncio.sleep(0.001)
    assert cloud.files() == []
