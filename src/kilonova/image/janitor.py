"""Sweeps: uploads that nobody carries on, blobs that nobody owns, and records that are old.

The first two come from a process that was killed: everything else cleans up after itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kilonova.image.service import ImageService
from kilonova.image.store import images, tasks, uploads
from kilonova.image.workflows.uploading import TOUCH_EVERY_S, requeue
from kilonova.kernel.tasks import Finding, Sweep

SILENT_AFTER_S = 12 * TOUCH_EVERY_S  # no chunk for that long: the client or its server is gone


async def find_silent_uploads(service: ImageService) -> Sequence[Finding]:
    """Uploads that have shown no life for long."""
    since = service.clock.now() - timedelta(seconds=SILENT_AFTER_S)
    async with service.db.read() as tx:
        found = await uploads.silent(tx, since)
    return [
        Finding("silent upload", u.blob_id, f"the upload to image {u.image_id} died", {"image_id": u.image_id})
        for u in found
    ]


async def end_upload(service: ImageService, finding: Finding) -> None:
    """Give the image back as queued and remove what came of its data."""
    since = service.clock.now() - timedelta(seconds=SILENT_AFTER_S)
    async with service.db.transaction() as tx:
        if finding.subject not in {u.blob_id for u in await uploads.silent(tx, since)}:
            return
        await requeue(service, tx, finding.subject, finding.facts["image_id"])
    await service.blobs.delete(finding.subject)


async def find_orphan_blobs(service: ImageService) -> Sequence[Finding]:
    """Blobs that neither an image nor an upload names.

    The names are listed first: a blob that was there then had its row before, and a row goes only in the
    transaction that makes the blob an image's.
    """
    names = await service.blobs.names()
    async with service.db.read() as tx:
        owned = await uploads.blobs(tx) | await images.blobs(tx)
    return [Finding("orphan blob", name, f"blob {name} belongs to no image") for name in sorted(names - owned)]


async def delete_orphan(service: ImageService, finding: Finding) -> None:
    """Remove the blob, if it still is nobody's."""
    async with service.db.read() as tx:
        if finding.subject in await uploads.blobs(tx) | await images.blobs(tx):
            return
    await service.blobs.delete(finding.subject)


async def find_expired_tasks(service: ImageService) -> Sequence[Finding]:
    """Whether records of imports have served their time."""
    async with service.db.read() as tx:
        count = await tasks.count_expired(tx, service.clock.now())
    return [Finding("expired tasks", "tasks", f"{count} records of imports are past their time")] if count else []


async def forget_tasks(service: ImageService, finding: Finding) -> None:
    """Delete them."""
    async with service.db.transaction() as tx:
        await tasks.forget_expired(tx, service.clock.now())


SWEEPS = (
    Sweep("silent uploads", 20.0, find_silent_uploads, end_upload),
    Sweep("orphan blobs", 600.0, find_orphan_blobs, delete_orphan, patience=2),
    Sweep("expired tasks", 3600.0, find_expired_tasks, forget_tasks),
)
