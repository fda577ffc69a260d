"""Finding the image that a request names, as its caller sees it, and the target that rules are asked about."""

from __future__ import annotations

from typing import Any

from kilonova.image.errors import ImageNotFound
from kilonova.image.model.image import Image
from kilonova.image.service import ImageService, Seen, current, see
from kilonova.kernel.db import Transaction
from kilonova.kernel.web import Request


async def find(request: Request[ImageService], tx: Transaction) -> Seen:
    """The image ``image_id`` of the path. Raises ImageNotFound when the caller cannot see one."""
    image_id = request.params["image_id"].lower()
    seen = await see(tx, await current(request.service, tx, image_id), request.context)
    if seen is None:
        raise ImageNotFound(image_id=request.params["image_id"])
    return seen


def target(seen: Seen, request: Request[Any]) -> dict[str, Any]:
    """What rules may look at."""
    facts = target_of(seen.image)
    if seen.is_member:
        facts["member_id"] = request.context.project_id
    return facts


def target_of(image: Image) -> dict[str, Any]:
    """What rules may look at of the image alone."""
    return {
        "image_id": image.id,
        "project_id": image.owner,
        "owner": image.owner,
        "visibility": image.visibility,
        "user_id": None,
    }
