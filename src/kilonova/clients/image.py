"""Calls to the image service: what an image is, its data, and leave for a host to fetch them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from kilonova.clients.identity import ServiceSession
from kilonova.kernel.clock import Clock, parse_iso
from kilonova.kernel.errors import ServiceUnavailable
from kilonova.kernel.http import Client, Reply, StreamReply

_NOT_PROPERTIES = frozenset(
    (
        "id", "name", "status", "disk_format", "container_format", "size", "virtual_size", "min_disk", "min_ram",
        "checksum", "os_hash_algo", "os_hash_value", "os_hidden", "visibility", "protected", "owner", "tags",
        "created_at", "updated_at", "self", "file", "schema", "locations", "direct_url", "stores",
    )
)  # fmt: skip


class ImageServiceUnavailable(ServiceUnavailable):
    text = "The image service cannot answer now (status {status}); try again later."


class ImageRefused(Exception):
    """The image service said no, with this status."""

    def __init__(self, status: int):
        super().__init__(f"the image service answered {status}")
        self.status = status


class TokenRefused(ImageServiceUnavailable):
    """The service's own token has ended before its time: with the next one it may work."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to download one image until ``ends_at``."""

    text: str = field(repr=False)
    ends_at: datetime


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
    created_at: str = ""
    updated_at: str = ""


class ImageClient:
    """`http`: a client whose base URL is the image endpoint without `/v2`. Each call takes the caller's
    token, or a ticket.
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

    async def find(self, query: Sequence[tuple[str, str]], token: str) -> list[Image]:
        """The images that match. Raises ImageRefused."""
        reply = await self._ask("GET", "/v2/images", token, params=list(query))
        return [_image(row) for row in reply.json()["images"]]

    async def delete(self, image_id: str, token: str) -> None:
        """Raises ImageRefused, also where there is no such image."""
        await self._ask("DELETE", f"/v2/images/{quote(image_id, safe='')}", token)

    async def change_properties(
        self,
        image_id: str,
        token: str,
        *,
        set_to: Mapping[str, str],
        remove: Collection[str] = (),
        known: Collection[str],
    ) -> Image:
        """The image with some of its properties set and others taken away; ``known``: those it has. Raises
        ImageRefused.
        """
        patch = [
            {"op": "replace" if key in known else "add", "path": f"/{_pointer(key)}", "value": value}
            for key, value in set_to.items()
        ]
        patch += [{"op": "remove", "path": f"/{_pointer(key)}"} for key in remove]
        content = json.dumps(patch).encode()
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        reply = await self._ask("PATCH", f"/v2/images/{quote(image_id, safe='')}", token, content=content, headers=kind)
        return _image(reply.json())

    async def _ask(
        self,
        method: str,
        path: str,
        token: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: list[tuple[str, str]] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        reply = await self.http.request(
            method, path, headers={"X-Auth-Token": token, **(headers or {})}, params=params, content=content
        )
        if reply.status >= 500:
            raise ImageServiceUnavailable(status=reply.status)
        if reply.status >= 300:
            raise ImageRefused(reply.status)
        return reply

    def download(self, image_id: str, ticket: str) -> AbstractAsyncContextManager[StreamReply]:
        """The image's data while it comes: ``async with images.download(...) as reply`` (200, or a refusal)."""
        return self.http.stream(
            "GET",
            f"/v2/lent/{quote(image_id, safe='')}/file",
            headers={"X-Image-Ticket": ticket, "Accept": "application/octet-stream"},
        )

    async def lend(self, image_id: str, token: str) -> Ticket | None:
        """Leave to download one image; None where there is none. Raises ImageServiceUnavailable."""
        reply = await self.http.request(
            "POST", f"/v2/images/{quote(image_id, safe='')}/tickets", headers={"X-Auth-Token": token}
        )
        if reply.status == 404:
            return None
        if reply.status == 401:
            raise TokenRefused(status=reply.status)
        if reply.status != 201:
            raise ImageServiceUnavailable(status=reply.status)
        body = reply.json()
        return Ticket(body["ticket"], parse_iso(body["expires_at"]))


class ImageTickets:
    """Leave for hosts to download images, with the token of a service; one serves all who ask in its time."""

    _RENEW_BEFORE_S = 1800.0
    _MOST_KEPT = 1000

    def __init__(self, images: ImageClient, session: ServiceSession, clock: Clock):
        self._images, self._session, self._clock = images, session, clock
        self._kept: dict[str, Ticket] = {}

    async def ticket(self, image_id: str) -> str:
        """A ticket that is good for long enough to begin a download; empty where the image is gone.

        Raises ImageServiceUnavailable.
        """
        kept = self._kept.get(image_id)
        if kept is not None and (kept.ends_at - self._clock.now()).total_seconds() > self._RENEW_BEFORE_S:
            return kept.text
        try:
            found = await self._images.lend(image_id, await self._session.token())
        except TokenRefused:
            self._session.forget()
            raise
        if found is None:
            self._kept.pop(image_id, None)
            return ""
        if len(self._kept) >= self._MOST_KEPT:
            self._kept.clear()
        self._kept[image_id] = found
        return found.text


def _pointer(key: str) -> str:
    """A key inside a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


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
        created_at=body.get("created_at") or "",
        updated_at=body.get("updated_at") or "",
        properties={k: str(v) for k, v in body.items() if k not in _NOT_PROPERTIES and v is not None},
    )
