"""Images: create, list, show, change, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kilonova.image.api import attributes
from kilonova.image.api.fields import documents, known
from kilonova.image.api.reading import find, target
from kilonova.image.errors import (
    ImageExists,
    IsProtected,
    OnlyBeforeData,
    OwnerForbidden,
    ReadOnly,
)
from kilonova.image.model import listing, patch
from kilonova.image.model.image import COMMUNITY, PUBLIC, QUEUED, Image
from kilonova.image.service import ImageService, current, see, viewer
from kilonova.image.store import images, uploads
from kilonova.image.store.listing import find as find_page
from kilonova.image.workflows.uploading import discard
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.errors import BadRequest, UnsupportedMediaType
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Request, Response, answer, no_content

PATCH_TYPES = (
    "application/openstack-images-v2.1-json-patch",
    "application/openstack-images-v2.0-json-patch",
)


async def create_image(request: Request[ImageService]) -> Response:
    """A new image without data. The caller may choose its id."""
    service, context, body = request.service, request.context, request.body
    attributes.refuse_names(body)
    now = service.clock.now()
    image_id = body.get("id", "").lower() or new_uuid()
    blank = Image(id=image_id, owner=context.project_id, created_at=now, updated_at=now)
    image = attributes.from_wire(blank, body, service.settings)
    request.allow({"project_id": context.project_id, "owner": image.owner, "user_id": context.user_id})
    _check_visibility(request, None, image)
    try:
        async with service.db.transaction() as tx:
            await images.add(tx, image)
    except Duplicate:
        raise ImageExists(image_id=image.id) from None
    return answer(
        known(service, image).document,
        201,
        (
            ("Location", f"{request.url_prefix}/v2/images/{image.id}"),
            ("OpenStack-image-import-methods", "glance-direct"),
            ("OpenStack-image-store-ids", service.settings.store),
        ),
    )


async def list_images(request: Request[ImageService]) -> Response:
    """One page of the images that the caller sees and that pass the filters."""
    service = request.service
    query = listing.parse(request.query, page_default=service.settings.page_default, page_max=service.settings.page_max)
    async with service.db.read() as tx:
        if query.marker is not None:
            await _check_marker(request, tx, query.marker)
        keys = await find_page(tx, query, viewer(request.context))
        found = await documents(service, tx, keys)
    page: dict[str, Any] = {
        "images": found,
        "first": listing.link("/v2/images", request.query, None),
        "schema": "/v2/schemas/images",
    }
    if keys and len(keys) == query.limit:
        page["next"] = listing.link("/v2/images", request.query, keys[-1][0])
    return answer(page)


async def _check_marker(request: Request[ImageService], tx: Transaction, marker: str) -> None:
    """A marker is no way to learn of images that the caller cannot see."""
    if await see(tx, await current(request.service, tx, marker), request.context) is None:
        raise BadRequest(f"The marker {marker} names no image.")


async def show_image(request: Request[ImageService]) -> Response:
    """One image."""
    async with request.service.db.read() as tx:
        seen = await find(request, tx)
    request.allow(target(seen, request))
    return answer(known(request.service, seen.image).document)


async def update_image(request: Request[ImageService]) -> Response:
    """Change an image by JSON patch."""
    service = request.service
    declared = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if declared not in PATCH_TYPES:
        raise UnsupportedMediaType(content_type=declared or "(none)", supported=" or ".join(PATCH_TYPES))
    old_dialect = declared == PATCH_TYPES[1]
    operations = patch.parse(request.body, old_dialect=old_dialect)
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        before = seen.image
        if any(one.name == "id" for one in operations):
            raise ReadOnly(name="id")
        attributes.refuse_names([one.name for one in operations])
        wire = patch.apply(attributes.to_wire(before), operations, fixed=attributes.FIXED, old_dialect=old_dialect)
        attributes.check(_touched(wire, operations))
        after = replace(attributes.from_wire(before, wire, service.settings), updated_at=service.clock.now())
        _check_change(request, before, after)
        if operations:
            await images.change(tx, before, after)
            after = replace(after, generation=before.generation + 1)
        else:
            after = before
    return answer(known(service, after).document)


def _touched(wire: Mapping[str, Any], operations: list[patch.Operation]) -> dict[str, Any]:
    """What the patch wrote: the rest of the image need not be checked again (and may predate today's rules)."""
    return {one.name: wire[one.name] for one in operations if one.name in wire}


def _check_change(request: Request[ImageService], before: Image, after: Image) -> None:
    _check_visibility(request, before, after)
    if after.owner != before.owner and not request.context.is_admin:
        raise OwnerForbidden(owner=after.owner)
    if before.status != QUEUED:
        for name in ("disk_format", "container_format"):
            if getattr(after, name) != getattr(before, name):
                raise OnlyBeforeData(name=name)


def _check_visibility(request: Request[ImageService], before: Image | None, after: Image) -> None:
    rule = {PUBLIC: "publicize_image", COMMUNITY: "communitize_image"}.get(after.visibility)
    if rule is not None and (before is None or before.visibility != after.visibility):
        request.allow({"project_id": after.owner, "owner": after.owner, "user_id": None}, rule)


async def delete_image(request: Request[ImageService]) -> Response:
    """Delete an image, its data, and what is being uploaded to it."""
    service = request.service
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        if seen.image.protected:
            raise IsProtected(image_id=seen.image.id)
        await uploads.end_of_image(tx, seen.image.id)
        await images.remove(tx, seen.image, service.clock.now())
    service.remembered.pop(seen.image.id, None)
    if seen.image.blob_id is not None:
        await discard(service, seen.image.blob_id)
    return no_content()
