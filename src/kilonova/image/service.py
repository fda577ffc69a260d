"""The parts of the image service that handlers find as ``request.service``."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from kilonova.image.config import Settings
from kilonova.image.drivers.blobs import BlobStore
from kilonova.image.model.image import Image, Viewer, may_see
from kilonova.image.store import images, members
from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context
from kilonova.kernel.db import Database, Transaction

_MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Known:
    """An image as it was read, and as it is answered (JSON)."""

    image: Image
    document: msgspec.Raw


@dataclass(slots=True)
class ImageService:
    """``remembered`` holds images by id; one is used only if its generation is still that of the row."""

    db: Database
    clock: Clock
    settings: Settings
    blobs: BlobStore
    remembered: dict[str, Known] = field(default_factory=dict)

    def remember(self, image_id: str, known: Known) -> None:
        """Keep an image for the next reader."""
        if len(self.remembered) >= _MOST_REMEMBERED:
            self.remembered.clear()
        self.remembered[image_id] = known


@dataclass(frozen=True, slots=True)
class Seen:
    """An image that the caller sees, and whether it is shared with the caller's project."""

    image: Image
    is_member: bool


def viewer(context: Context) -> Viewer:
    """Who looks."""
    return Viewer(context.project_id, context.is_admin)


async def see(tx: Transaction, image: Image | None, context: Context) -> Seen | None:
    """The image with the caller's relation to it, or None where it does not exist for the caller."""
    if image is None:
        return None
    is_member = False
    if image.visibility == "shared" and context.project_id and context.project_id != image.owner:
        is_member = await members.get(tx, image.id, context.project_id) is not None
    return Seen(image, is_member) if may_see(image, viewer(context), is_member=is_member) else None


async def current(service: ImageService, tx: Transaction, image_id: str) -> Image | None:
    """The image as it is now; from memory when the row has not moved on."""
    generation = await images.generation(tx, image_id)
    if generation is None:
        service.remembered.pop(image_id, None)
        return None
    known = service.remembered.get(image_id)
    if known is not None and known.image.generation == generation:
        return known.image
    return await images.get(tx, image_id)
