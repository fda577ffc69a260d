"""Builders: a whole image service in memory, and disks to upload."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonova.image.app import build
from kilonova.image.config import Settings
from kilonova.image.service import ImageService
from kilonova.image.store.tables import metadata
from kilonova.kernel.testing import Answer, FakeClock, TestClient, fake_identity, memory_database

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
ALICE, BOB, READER = "member:alices", "member:bobs", "reader:alices"


@dataclass
class Cloud:
    """The service, a client of it, and its parts."""

    client: TestClient
    app: Any
    parts: ImageService
    clock: FakeClock
    folder: Path

    def files(self) -> list[str]:
        return sorted(p.name for p in self.folder.iterdir())

    async def image(self, data: bytes | None = None, *, token: str = ALICE, **body: Any) -> dict[str, Any]:
        """Create an image, with data when given."""
        body = {"name": "disk", "disk_format": "raw", "container_format": "bare", **body}
        made = await self.client.post("/v2/images", json=body, token=token)
        assert made.status == 201, made.body
        if data is not None:
            sent = await self.upload(made.json["id"], data, token=token)
            assert sent.status == 204, sent.body
        return (await self.show(made.json["id"], token=token)).json

    async def show(self, image_id: str, *, token: str = ALICE) -> Answer:
        return await self.client.get(f"/v2/images/{image_id}", token=token)

    async def upload(self, image_id: str, data: bytes, *, token: str = ALICE, **headers: str) -> Answer:
        return await self.client.put(
            f"/v2/images/{image_id}/file", content=data, headers={**OCTETS, **headers}, token=token
        )

    async def patch(self, image_id: str, *operations: tuple[Any, ...], token: str = ALICE) -> Answer:
        """Operations as (op, path[, value])."""
        body = [dict(zip(("op", "path", "value"), one, strict=False)) for one in operations]
        return await self.client.patch(f"/v2/images/{image_id}", json=body, headers=PATCH, token=token)

    async def names(self, query: str = "", *, token: str = ALICE) -> list[str]:
        """Names of the images in a list."""
        page = await self.client.get(f"/v2/images{query}", token=token)
        assert page.status == 200, page.body
        return [image["name"] for image in page.json["images"]]


def cloud(folder: Path, **settings: Any) -> Cloud:
    """A service with its data in ``folder``."""
    clock = FakeClock()
    service = build(
        Settings(data_folder=folder, **settings),
        memory_database(metadata, "image"),
        clock,
        authenticate=fake_identity(),
    )
    return Cloud(TestClient(service.app), service.app, service.parts, clock, folder)


def qcow2(*, size: int = 1 << 30, backing: bool = False, data_file: bool = False) -> bytes:
    """The header of a qcow2 (version 3) and some clusters of nothing."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb",
        3,
        0x200 if backing else 0,
        11 if backing else 0,
        16,
        size,
        0,
        1,
        0x30000,
        0x10000,
        1,
        0,
        0,
        4 if data_file else 0,
        0,
        0,
        4,
        104,
    )
    return header.ljust(0x200, b"\0") + b"/etc/passwd".ljust(0x40000 - 0x200, b"\0")


def vmdk(kind: str = "monolithicSparse", extent: str = 'RW 2048 SPARSE "disk.vmdk"') -> bytes:
    """A sparse VMDK's header and descriptor."""
    descriptor = (
        f'# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=ffffffff\ncreateType="{kind}"\n'
        f'{extent}\nddb.adapterType = "ide"\n'
    ).encode()
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20)
    return head.ljust(512, b"\0") + descriptor.ljust(20 * 512, b"\0") + bytes(65536)


def gpt() -> bytes:
    """A disk with a partition table."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\0\0", 0x83, b"\0\0\0", 2048, 2048)
    return (bytes(446) + entry + bytes(48) + b"\x55\xaa").ljust(1 << 20, b"\0")


def iso() -> bytes:
    """The volume descriptor of an ISO 9660 file system."""
    volume = b"\x01CD001\x01".ljust(80, b"\0") + struct.pack("<I", 32) + b"\0" * 44 + struct.pack("<HH", 2048, 0)
    return bytes(32768) + volume.ljust(2048, b"\0") + bytes(32768)


def compressed() -> bytes:
    return gzip.compress(b"anything", mtime=0)
