"""The keys of an image and of a member on the wire, and images as JSON, rendered once a generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.image.model.image import HASH_ALGORITHM, Image, Member
from kilonova.image.model.task import KIND, SUCCESS
from kilonova.image.service import ImageService, Known
from kilonova.image.store import images
from kilonova.kernel.clock import iso_seconds
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Field, FieldTable

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NUMBER_OR_NULL = {"type": ["integer", "null"]}
_TRUTH = {"type": "boolean"}

IMAGE = FieldTable(
    Field("id", lambda i: i.id, schema=_TEXT),
    Field("name", lambda i: i.name, schema=_TEXT_OR_NULL),
    Field("status", lambda i: i.status, schema=_TEXT),
    Field("visibility", lambda i: i.visibility, schema=_TEXT),
    Field("protected", lambda i: i.protected, schema=_TRUTH),
    Field("os_hidden", lambda i: i.hidden, schema=_TRUTH),
    Field("owner", lambda i: i.owner, schema=_TEXT_OR_NULL),
    Field("container_format", lambda i: i.container_format, schema=_TEXT_OR_NULL),
    Field("disk_format", lambda i: i.disk_format, schema=_TEXT_OR_NULL),
    Field("min_disk", lambda i: i.min_disk_gib, schema={"type": "integer"}),
    Field("min_ram", lambda i: i.min_ram_mib, schema={"type": "integer"}),
    Field("size", lambda i: i.size_bytes, schema=_NUMBER_OR_NULL),
    Field("virtual_size", lambda i: i.virtual_size_bytes, schema=_NUMBER_OR_NULL),
    Field("checksum", lambda i: i.checksum, schema=_TEXT_OR_NULL),
    Field("os_hash_algo", lambda i: HASH_ALGORITHM if i.hash_value else None, schema=_TEXT_OR_NULL),
    Field("os_hash_value", lambda i: i.hash_value, schema=_TEXT_OR_NULL),
    Field("created_at", lambda i: iso_seconds(i.created_at), schema=_TEXT),
    Field("updated_at", lambda i: iso_seconds(i.updated_at), schema=_TEXT),
    Field("tags", lambda i: list(i.tags), schema={"type": "array", "items": _TEXT}),
    Field("self", lambda i: f"/v2/images/{i.id}", schema=_TEXT),
    Field("file", lambda i: f"/v2/images/{i.id}/file", schema=_TEXT),
    Field("schema", lambda i: "/v2/schemas/image", schema=_TEXT),
)

MEMBER = FieldTable(
    Field("image_id", lambda m: m.image_id, schema=_TEXT),
    Field("member_id", lambda m: m.project_id, schema=_TEXT),
    Field("status", lambda m: m.status, schema=_TEXT),
    Field("created_at", lambda m: iso_seconds(m.created_at), schema=_TEXT),
    Field("updated_at", lambda m: iso_seconds(m.updated_at), schema=_TEXT),
    Field("schema", lambda m: "/v2/schemas/member", schema=_TEXT),
)

_SHORT_TASK = (
    Field("id", lambda t: t.id, schema=_TEXT),
    Field("type", lambda t: KIND, schema=_TEXT),
    Field("status", lambda t: SUCCESS, schema=_TEXT),
    Field("owner", lambda t: t.owner, schema=_TEXT_OR_NULL),
    Field("image_id", lambda t: t.image_id, schema=_TEXT),
    Field("request_id", lambda t: t.request_id, schema=_TEXT),
    Field("user_id", lambda t: t.user_id, schema=_TEXT_OR_NULL),
    Field("created_at", lambda t: iso_seconds(t.created_at), schema=_TEXT),
    Field("updated_at", lambda t: iso_seconds(t.created_at), schema=_TEXT),
    Field("expires_at", lambda t: iso_seconds(t.expires_at), schema=_TEXT),
    Field("self", lambda t: f"/v2/tasks/{t.id}", schema=_TEXT),
    Field("schema", lambda t: "/v2/schemas/task", schema=_TEXT),
)
SHORT_TASK = FieldTable(*_SHORT_TASK)
TASK = FieldTable(
    *_SHORT_TASK,
    Field("input", lambda t: {"image_id": t.image_id, "import_req": t.request}, schema={"type": "object"}),
    Field("result", lambda t: {"image_id": t.image_id}, schema={"type": "object"}),
    Field("message", lambda t: "", schema=_TEXT),
)

# Keys that the service itself writes, and keys that nobody may use.
READ_ONLY = frozenset(
    (
        "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
        "self", "file", "schema", "direct_url", "stores",
    )
)  # fmt: skip
RESERVED = frozenset(("deleted", "deleted_at", "location", "locations"))
RESERVED_PREFIX = "os_glance_"

_encode = msgspec.json.Encoder().encode


def render(image: Image, store: str) -> dict[str, Any]:
    """The image as it goes on the wire: its properties stand beside the fixed keys."""
    document: dict[str, Any] = {**image.properties, **IMAGE.render(image)}
    if image.has_data:
        document["stores"] = store
    return document


def known(service: ImageService, image: Image) -> Known:
    """The image with its document, remembered."""
    found = service.remembered.get(image.id)
    if found is None or found.image.generation != image.generation:
        found = Known(image, msgspec.Raw(_encode(render(image, service.settings.store))))
        service.remember(image.id, found)
    return found


async def documents(service: ImageService, tx: Transaction, keys: Sequence[tuple[str, int]]) -> list[msgspec.Raw]:
    """The documents of images by id and generation, in their order; reads only those not remembered."""
    held: dict[str, msgspec.Raw] = {}
    unknown: list[str] = []
    for image_id, generation in keys:
        found = service.remembered.get(image_id)
        if found is not None and found.image.generation == generation:
            held[image_id] = found.document
        else:
            unknown.append(image_id)
    for image_id, image in (await images.load(tx, unknown)).items():
        held[image_id] = known(service, image).document
    return [held[image_id] for image_id, _ in keys if image_id in held]


def render_members(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Members as they go on the wire."""
    return MEMBER.render_all(members)
