"""Stories of what a killed process leaves behind."""

from __future__ import annotations

import pytest

from kilonova.image.janitor import (
    SILENT_AFTER_S,
    delete_orphan,
    end_upload,
    find_expired_tasks,
    find_orphan_blobs,
    find_silent_uploads,
    forget_tasks,
)
from kilonova.image.store import images
from kilonova.image.workflows import uploading
from tests.image.make import ALICE, OCTETS, Cloud, qcow2


async def killed_upload(cloud: Cloud) -> str:
    """An image whose upload was killed: the row, the reservation and half a blob are there."""
    image_id: str = (await cloud.image())["id"]
    async with cloud.parts.db.transaction() as tx:
        image = await images.get(tx, image_id)
        assert image is not None
        ticket = await uploading.begin(cloud.parts, tx, image, 1000, stage=False)
    (cloud.folder / f"{ticket.blob_id}.part").write_bytes(b"half")
    return image_id


async def test_an_upload_that_died_gives_its_image_back(cloud: Cloud) -> None:
    image_id = await killed_upload(cloud)
    assert await find_silent_uploads(cloud.parts) == []
    assert await find_orphan_blobs(cloud.parts) == []
    await cloud.clock.advance(SILENT_AFTER_S + 1)
    (finding,) = await find_silent_uploads(cloud.parts)
    assert image_id in finding.sentence
    await end_upload(cloud.parts, finding)
    await end_upload(cloud.parts, finding)
    assert (await cloud.show(image_id)).json["status"] == "queued"
    assert cloud.files() == []
    assert (await cloud.upload(image_id, b"again")).status == 204


async def test_records_of_imports_are_kept_for_two_days(cloud: Cloud) -> None:
    image = await cloud.image(disk_format="qcow2")
    path = f"/v2/images/{image['id']}"
    assert (await cloud.client.put(f"{path}/stage", content=qcow2(), headers=OCTETS, token=ALICE)).status == 204
    method = {"method": {"name": "glance-direct"}}
    assert (await cloud.client.post(f"{path}/import", json=method, token=ALICE)).status == 202
    assert await find_expired_tasks(cloud.parts) == []
    await cloud.clock.advance(49 * 3600)
    for finding in await find_expired_tasks(cloud.parts):
        await forget_tasks(cloud.parts, finding)
    assert (await cloud.client.get(f"{path}/tasks", token=ALICE)).json["tasks"] == []


async def test_blobs_of_nobody_go_and_those_of_images_stay(cloud: Cloud) -> None:
    await cloud.image(b"data")
    kept = cloud.files()
    for name in ("11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000.part"):
        (cloud.folder / name).write_bytes(b"lost")
    found = await find_orphan_blobs(cloud.parts)
    assert len(found) == 2
    for finding in found:
        await delete_orphan(cloud.parts, finding)
    assert cloud.files() == kept


async def test_an_upload_that_was_given_up_by_a_sweep_notices(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = await killed_upload(cloud)
    await cloud.clock.advance(SILENT_AFTER_S + 1)
    for finding in await find_silent_uploads(cloud.parts):
        await end_upload(cloud.parts, finding)
    async with cloud.parts.db.transaction() as tx:
        assert not await uploading.requeue(cloud.parts, tx, "gone", image_id)
