"""Tags of images, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kilonova.image.api.attributes import check_count
from kilonova.image.api.reading import find, target
from kilonova.image.errors import TagNotFound
from kilonova.image.model.image import Image
from kilonova.image.service import ImageService
from kilonova.image.store import images
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Request, Response, no_content


async def add_tag(request: Request[ImageService]) -> Response:
    """Add a tag; one that is there already stays."""
    tag = request.params["tag"]
    if len(tag) > 255:
        raise BadRequest("A tag has at most 255 characters.")

    def added(image: Image) -> Image:
        if tag in image.tags:
            return image
        check_count("tags", len(image.tags) + 1, len(image.tags), request.service.settings.tag_quota)
        return replace(image, tags=tuple(sorted((*image.tags, tag))))

    return await _change(request, added)


async def remove_tag(request: Request[ImageService]) -> Response:
    """Remove a tag."""
    tag = request.params["tag"]

    def removed(image: Image) -> Image:
        if tag not in image.tags:
            raise TagNotFound(image_id=image.id, tag=tag)
        return replace(image, tags=tuple(one for one in image.tags if one != tag))

    return await _change(request, removed)


async def _change(request: Request[ImageService], to: Callable[[Image], Image]) -> Response:
    service = request.service
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        after = to(seen.image)
        if after is not seen.image:
            await images.change(tx, seen.image, replace(after, updated_at=service.clock.now()))
    return no_content()
