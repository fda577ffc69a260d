"""Data comes in: begin (reserve), receive (inspect and write piece by piece), finish (give it to the image).

Whatever ends it early (a client that goes away, data that is refused, a full disk, our own end) gives the image
back as queued and leaves no blob; what even that cannot do, the sweeps of janitor.py do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from kilonova.image.drivers.blobs import Broken, NoBlob, NoRoom, Writer
from kilonova.image.drivers.inspector import Findings, Inspector, Unfit
from kilonova.image.errors import (
    DeletedMeanwhile,
    FormatsMissing,
    Refused,
    SizeDiffers,
    StorageQuotaExceeded,
    StoreBroken,
    StoreFull,
    TooBig,
    WrongStatus,
)
from kilonova.image.model.image import ACTIVE, QUEUED, SAVING, UPLOADING, Image
from kilonova.image.service import ImageService
from kilonova.image.store import images, uploads
from kilonova.kernel.db import Transaction
from kilonova.kernel.ids import new_uuid

LOG = logging.getLogger(__name__)

PIECE_BYTES = 1 << 20  # as much of an image is in memory
RESERVE_STEP_BYTES = 16 << 20  # for data whose size nobody announced
TOUCH_EVERY_S = 10.0


@dataclass(slots=True)
class Ticket:
    """One upload under way. ``announced_bytes``: what the client said would come, or None."""

    image: Image
    blob_id: str
    announced_bytes: int | None
    reserved_bytes: int
    touched_s: float


async def begin(
    service: ImageService, tx: Transaction, image: Image, announced_bytes: int | None, *, stage: bool
) -> Ticket:
    """Reserve space for the data of a queued image, in the caller's transaction."""
    if image.status != QUEUED:
        raise WrongStatus(status=image.status)
    missing = [name for name in ("disk_format", "container_format") if getattr(image, name) is None]
    if missing:
        raise FormatsMissing(missing=" and ".join(missing))
    if announced_bytes is not None and announced_bytes > service.settings.size_cap_bytes:
        raise TooBig(limit=service.settings.size_cap_bytes)
    now = service.clock.now()
    blob_id = new_uuid()
    wanted = announced_bytes or 0
    reserved = await _reserve(service, tx, image, wanted, wanted, blob_id)
    await uploads.add(tx, uploads.Upload(blob_id, image.id, image.owner, reserved, now, now))
    after = replace(image, status=UPLOADING if stage else SAVING, updated_at=now)
    await images.change(tx, image, after)
    return Ticket(
        replace(after, generation=image.generation + 1),
        blob_id,
        announced_bytes,
        reserved,
        service.clock.monotonic(),
    )


async def receive(service: ImageService, ticket: Ticket, data: AsyncIterator[bytes], *, stage: bool) -> None:
    """Take the data in and give it to the image. Raises what refuses it; then nothing is left of it."""
    image = ticket.image
    committed = False
    try:
        inspector = Inspector(str(image.disk_format), str(image.container_format))
        async with service.blobs.write(ticket.blob_id) as writer:
            findings = await _write(service, ticket, data, inspector, writer)
            await writer.commit()
        committed = True
        await _finish(service, ticket, findings, stage=stage)
    except BaseException as error:
        await _give_up(service, ticket)
        if committed:
            await discard(service, ticket.blob_id)
        match error:
            case Unfit():
                LOG.warning("image %s: data refused: %s", image.id, error)
                raise Refused(why=error) from None
            case NoRoom():
                LOG.error("image %s: the store is full: %s", image.id, error)
                raise StoreFull() from None
            case Broken():
                LOG.error("image %s: the store is broken: %s", image.id, error)
                raise StoreBroken() from None
            case NoBlob():
                raise DeletedMeanwhile(image_id=image.id) from None
            case _:
                raise


async def _write(
    service: ImageService, ticket: Ticket, data: AsyncIterator[bytes], inspector: Inspector, writer: Writer
) -> Findings:
    received = 0

    async def kept() -> AsyncIterator[bytes]:
        # Each chunk as it comes: a slow client may take minutes to fill a piece, and is alive all the same.
        nonlocal received
        async for chunk in data:
            received += len(chunk)
            await _keep(service, ticket, received)
            yield chunk

    async for piece in _in_pieces(kept()):
        await asyncio.to_thread(inspector.feed, piece)
        await writer.write(piece)
    if ticket.announced_bytes is not None and ticket.announced_bytes != received:
        raise SizeDiffers(announced=ticket.announced_bytes, received=received)
    return inspector.finish()


async def _in_pieces(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    async for chunk in data:
        pieces.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


async def _keep(service: ImageService, ticket: Ticket, received: int) -> None:
    """Stay within cap and reservation, and show life now and then."""
    if received > service.settings.size_cap_bytes:
        raise TooBig(limit=service.settings.size_cap_bytes)
    if ticket.announced_bytes is not None and received > ticket.announced_bytes:
        raise SizeDiffers(announced=ticket.announced_bytes, received=f"at least {received}")
    short = received > ticket.reserved_bytes
    now_s = service.clock.monotonic()
    if not short and now_s - ticket.touched_s < TOUCH_EVERY_S:
        return
    async with service.db.transaction() as tx:
        if short:
            ticket.reserved_bytes = await _reserve(
                service, tx, ticket.image, received, received + RESERVE_STEP_BYTES, ticket.blob_id
            )
        alive = await uploads.touch(tx, ticket.blob_id, ticket.reserved_bytes, service.clock.now())
    if not alive:
        raise DeletedMeanwhile(image_id=ticket.image.id)
    ticket.touched_s = now_s


async def _reserve(
    service: ImageService, tx: Transaction, image: Image, needed_bytes: int, wished_bytes: int, blob_id: str
) -> int:
    """As much of what is wished as the quota has left. Raises StorageQuotaExceeded when that is less than needed."""
    limit = service.settings.storage_quota_bytes
    if limit is None or image.owner is None:
        return wished_bytes
    others = await images.used_bytes(tx, image.owner)
    others += await uploads.reserved_bytes(tx, image.owner, but=blob_id)
    if others + needed_bytes > limit:
        raise StorageQuotaExceeded(wanted=others + needed_bytes, limit=limit)
    return min(wished_bytes, limit - others)


async def _finish(service: ImageService, ticket: Ticket, findings: Findings, *, stage: bool) -> None:
    async with service.db.transaction() as tx:
        image = await images.get(tx, ticket.image.id)
        if not await uploads.end(tx, ticket.blob_id) or image is None:
            raise DeletedMeanwhile(image_id=ticket.image.id)
        after = replace(
            image,
            status=UPLOADING if stage else ACTIVE,
            size_bytes=findings.size_bytes,
            virtual_size_bytes=findings.virtual_size_bytes,
            checksum=findings.checksum,
            hash_value=findings.hash_value,
            blob_id=ticket.blob_id,
            updated_at=service.clock.now(),
        )
        await images.change(tx, image, after)
    LOG.info("image %s: %d bytes, %s -> %s", image.id, findings.size_bytes, image.status, after.status)


async def discard(service: ImageService, blob_id: str) -> None:
    """Delete a blob that is nobody's any more; one that cannot be deleted now is left to the sweep."""
    try:
        await service.blobs.delete(blob_id)
    except Broken as error:
        LOG.error("blob %s could not be deleted, the sweep will: %s", blob_id, error)


async def _give_up(service: ImageService, ticket: Ticket) -> None:
    async with service.db.transaction() as tx:
        await requeue(service, tx, ticket.blob_id, ticket.image.id)


async def requeue(service: ImageService, tx: Transaction, blob_id: str, image_id: str) -> bool:
    """End an upload that will not come to its end; its image waits for data again. False: it had ended."""
    if not await uploads.end(tx, blob_id):
        return False
    image = await images.get(tx, image_id)
    if image is not None and image.status in (SAVING, UPLOADING) and image.blob_id is None:
        await images.change(tx, image, replace(image, status=QUEUED, updated_at=service.clock.now()))
        LOG.info("image %s: %s -> %s: the upload did not finish", image_id, image.status, QUEUED)
    return True


def imported(image: Image, now: datetime) -> Image:
    """A staged image once it is imported."""
    return replace(image, status=ACTIVE, updated_at=now)
