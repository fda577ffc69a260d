"""Deactivate and reactivate: take the data out of circulation and give it back."""

from __future__ import annotations

from dataclasses import replace

from kilonova.image.api.reading import find, target
from kilonova.image.errors import CannotDeactivate
from kilonova.image.model.image import ACTIVE, DEACTIVATED
from kilonova.image.service import ImageService
from kilonova.image.store import images
from kilonova.kernel.web import Request, Response, no_content


async def deactivate_image(request: Request[ImageService]) -> Response:
    """Only administrators may read the data from now on. Deactivating twice is no error."""
    return await _turn(request, DEACTIVATED)


async def reactivate_image(request: Request[ImageService]) -> Response:
    """The data may be read again."""
    return await _turn(request, ACTIVE)


async def _turn(request: Request[ImageService], to: str) -> Response:
    service = request.service
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        image = seen.image
        if not image.has_data:
            what = "deactivated" if to == DEACTIVATED else "reactivated"
            raise CannotDeactivate(status=image.status, what=what)
        if image.status != to:
            await images.change(tx, image, replace(image, status=to, updated_at=service.clock.now()))
    return no_content()
