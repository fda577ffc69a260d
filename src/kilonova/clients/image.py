"""Calls to the image service: what an image is."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from kilonova.kernel.errors import ServiceUnavailable
from kilonova.kernel.http import Client, StreamReply

_NOT_PROPERTIES = frozenset(
    (
        "id", "name", "status", "disk_format", "container_format", "size", "virtual_size", "min_disk", "min_ram",
        "checksum", "os_hash_algo", "os_hash_value", "os_hidden", "visibility", "protected", "owner", "tags",
        "created_at", "updated_at", "self", "file", "schema", "locations", "direct_url", "stores",
    )
)  # fmt: skip


class ImageServiceUnavailable(ServiceUnavailable):
    text = "The image service cannot answer now (status {status}); try again later."


@dataclass(frozen=True, slots=True)
class Image:
    """An image. Sizes: `size_bytes` (None until uploaded), `min_disk_gib`, `min_ram_mib`."""

    id: str
    name: str
    status: str
    disk_format: str
    container_format: str
    size_bytes: int | None
    min_disk_gib: int
    min_ram_mib: int
    checksum: str | None
    hash_algorithm: str | None
    hash_value: str | None
    owner: str | None
    properties: dict[str, str] = field(default_factory=dict)


class ImageClient:
    """`http`: a client whose base URL is the image endpoint without `/v2`. Each call takes the caller's
    token.
    """

    def __init__(self, http: Client):
        self.http = http

    async def get(self, image_id: str, token: str) -> Image | None:
        """The image, or None where there is none that the caller can see."""
        reply = await self.http.request(
            "GET", f"/v2/images/{quote(image_id, safe='')}", headers={"X-Auth-Token": token}
        )
        if reply.status in (400, 403, 404):
            return None
        if reply.status != 200:
            raise ImageServiceUnavailable(status=reply.status)
        return _image(reply.json())

    def download(self, image_id: str, token: str) -> AbstractAsyncContextManager[StreamReply]:
        """The image's data while it comes: ``async with images.download(...) as reply`` (200, or a refusal)."""
        return self.http.stream(
            "GET",
            f"/v2/images/{quote(image_id, safe='')}/file",
            headers={"X-Auth-Token": token, "Accept": "application/octet-stream"},
        )


def _image(body: dict[str, Any]) -> Image:
    return Image(
        id=body["id"],
        name=body.get("name") or "",
        status=body.get("status") or "",
        disk_format=body.get("disk_format") or "",
        container_format=body.get("container_format") or "",
        size_bytes=body.get("size"),
        min_disk_gib=body.get("min_disk") or 0,
        min_ram_mib=body.get("min_ram") or 0,
        checksum=body.get("checksum"),
        hash_algorithm=body.get("os_hash_algo"),
        hash_value=body.get("os_hash_value"),
        owner=body.get("owner"),
        properties={k: str(v) for k, v in body.items() if k not in _NOT_PROPERTIES and v is not None},
    )
