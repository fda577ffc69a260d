"""The data of images: upload, stage, import, download."""

from __future__ import annotations

import logging
import re

from kilonova.image.api.reading import find, target
from kilonova.image.drivers.blobs import Broken, NoBlob
from kilonova.image.errors import (
    DataIsDeactivated,
    DataMissing,
    NoSuchMethod,
    NoSuchStore,
    NothingStaged,
    RangeNotSatisfiable,
    SizeDiffers,
    StoreBroken,
)
from kilonova.image.model.image import ACTIVE, DEACTIVATED, UPLOADING, Image
from kilonova.image.model.task import KEPT_FOR, Task
from kilonova.image.service import ImageService
from kilonova.image.store import images, tasks
from kilonova.image.workflows import uploading
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Request, Response, StreamResponse, accepted, no_content

LOG = logging.getLogger(__name__)

METHODS = ("glance-direct",)


async def upload_data(request: Request[ImageService]) -> Response:
    """The data of a queued image, which then is active."""
    return await _take(request, stage=False)


async def stage_data(request: Request[ImageService]) -> Response:
    """The data of a queued image, which waits to be imported."""
    return await _take(request, stage=True)


async def _take(request: Request[ImageService], *, stage: bool) -> Response:
    service = request.service
    _check_store(service, request.headers.get("x-image-meta-store"))
    announced = _announced(request)
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        ticket = await uploading.begin(service, tx, seen.image, announced, stage=stage)
    await uploading.receive(service, ticket, request.stream(), stage=stage)
    return no_content()


def _check_store(service: ImageService, store: str | None) -> None:
    if store is not None and store != service.settings.store:
        raise NoSuchStore(store=store, known=service.settings.store)


def _announced(request: Request[ImageService]) -> int | None:
    sizes = set()
    for name in ("content-length", "x-openstack-image-size"):
        text = request.headers.get(name)
        if text is None:
            continue
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise BadRequest(f"The header {name} must be a whole number of bytes.")
        sizes.add(int(text))
    if len(sizes) > 1:
        raise SizeDiffers(announced=max(sizes), received=min(sizes))
    return next(iter(sizes), None)


async def import_image(request: Request[ImageService]) -> Response:
    """Make staged data the data of its image. It was inspected while it came, so only the row changes."""
    service, body = request.service, request.body
    method = body["method"]["name"]
    if method not in METHODS:
        raise NoSuchMethod(method=method, known=", ".join(METHODS))
    for store in body.get("stores", ()):
        _check_store(service, store)
    async with service.db.transaction() as tx:
        seen = await find(request, tx)
        request.allow(target(seen, request))
        image = seen.image
        if image.status != UPLOADING or image.blob_id is None:
            raise NothingStaged(image_id=image.id, status=image.status)
        now = service.clock.now()
        await images.change(tx, image, uploading.imported(image, now))
        context = request.context
        done = Task(new_uuid(), image.id, image.owner, context.user_id, context.request_id, body, now, now + KEPT_FOR)
        await tasks.add(tx, done)
    return accepted()


async def download_data(request: Request[ImageService]) -> Response | StreamResponse:
    """The data, whole or one range of it."""
    service = request.service
    async with service.db.read() as tx:
        seen = await find(request, tx)
    request.allow(target(seen, request))
    image = seen.image
    if image.status == DEACTIVATED and not request.context.is_admin:
        raise DataIsDeactivated()
    return await send_data(request, image)


async def send_data(request: Request[ImageService], image: Image) -> Response | StreamResponse:
    """The data of an image that the caller may read, whole or one range of it; 204 where there is none."""
    service = request.service
    if image.status not in (ACTIVE, DEACTIVATED) or image.blob_id is None:
        return no_content()
    try:
        reader = await service.blobs.open(image.blob_id)
    except NoBlob:
        raise DataMissing(image_id=image.id) from None
    except Broken as error:
        LOG.error("image %s: the store is broken: %s", image.id, error)
        raise StoreBroken() from None
    size = reader.size_bytes
    try:
        part = parse_range(request.headers.get("range"), size)
    except BaseException:
        reader.close()
        raise
    if part is None:
        headers = [] if image.checksum is None else [("Content-MD5", image.checksum)]
        return StreamResponse(200, reader.pieces(0, size), headers, length=size)
    first, last = part
    headers = [("Content-Range", f"bytes {first}-{last}/{size}")]
    return StreamResponse(206, reader.pieces(first, last - first + 1), headers, length=last - first + 1)


_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z", re.ASCII)


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header, or None without one. Raises RangeNotSatisfiable."""
    if text is None:
        return None
    found = _RANGE.match(text)
    refusal = RangeNotSatisfiable(asked=text[:100], size=size, headers={"Content-Range": f"bytes */{size}"})
    if found is None or not (found[1] or found[2]):
        raise refusal
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first > last or first >= size:
        raise refusal
    return first, last
