"""The agent's parts: specs, records, config drives, the image cache, tickets."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from kilonova.compute.agent.config_drive import write_config_drive
from kilonova.compute.agent.guest_spec import guest_spec
from kilonova.compute.agent.images import ImageCache, ImageNotFetched, ImageUnusable
from kilonova.compute.agent.lifecycle import GuestGone, Lifecycle, TicketTooOld
from kilonova.compute.agent.records import Record, Records
from kilonova.compute.calls import AskGuest, GuestOrder, Nic, OnGuest, Persona, Power, ReadConsole, Spawn
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.operations import InjectedFile
from kilonova.compute.model.servers import ImageSnapshot
from kilonova.compute.virt.driver import BackingImage, Transient
from kilonova.compute.virt.fake import FakeDriver
from kilonova.kernel.errors import Error, ServiceUnavailable
from kilonova.kernel.http import StreamReply
from kilonova.kernel.testing.clock import settle

SERVER = "11111111-2222-4333-8444-555555555555"
PORT = "abcdefab-1111-4111-8111-111111111111"


def an_order(**more: Any) -> GuestOrder:
    facts: dict[str, Any] = {
        "server_id": SERVER,
        "number": 1,
        "guest_name": "instance-00000001",
        "title": "web",
        "flavor": FlavorSnapshot("1", "tiny", 2, 512, 10),
        "image": ImageSnapshot("img", disk_format="qcow2"),
        "persona": Persona(name="web", hostname="web", project_id="p", zone="nova"),
        "nics": (Nic(port_id=PORT, network_id="n", mac="fa:16:3e:00:00:01", mtu=1442, vnet_hdr=False),),
    }
    return GuestOrder(**{**facts, **more})


# --- the spec -------------------------------------------------------------------------------------------------------


def test_a_guest_spec_has_its_disk_card_and_name():
    spec = guest_spec(an_order(config_drive=True), Path("/g"), BackingImage("/i/x.qcow2", "qcow2"))
    [disk] = spec.disks
    assert (disk.path, disk.size_bytes, disk.boot_order) == ("/g/disk", 10 * 1024**3, 1)
    [nic] = spec.nics
    assert (nic.tap, nic.mtu, nic.vnet_hdr, nic.bridge) == ("tapabcdefab-11", 1442, False, "br-int")
    assert len(nic.tap) < 16
    assert (spec.name, spec.vcpus, spec.ram_mib, spec.config_drive) == ("instance-00000001", 2, 512, "/g/disk.config")


def test_ephemeral_and_swap_disks_follow_the_root_disk():
    flavor = FlavorSnapshot("1", "f", 1, 64, 1, ephemeral_gib=5, swap_mib=100)
    spec = guest_spec(an_order(flavor=flavor), Path("/g"), BackingImage("/i/x.raw", "raw"))
    assert [disk.path for disk in spec.disks] == ["/g/disk", "/g/disk.eph0", "/g/disk.swap"]
    assert spec.disks[2].size_bytes == 100 * 1024**2


def test_image_properties_choose_devices_and_nonsense_is_virtio():
    properties = {"hw_disk_bus": "scsi", "hw_vif_model": "e1000", "hw_firmware_type": "uefi", "hw_machine_type": "q35"}
    spec = guest_spec(an_order(image=ImageSnapshot("i", properties=properties)), Path("/g"), BackingImage("/x", "raw"))
    assert (spec.disks[0].bus, spec.nics[0].model, spec.firmware, spec.machine) == ("scsi", "e1000", "uefi", "q35")
    odd = guest_spec(
        an_order(image=ImageSnapshot("i", properties={"hw_disk_bus": "lego"})), Path("/g"), BackingImage("/x", "raw")
    )
    assert odd.disks[0].bus == "virtio"


# --- records --------------------------------------------------------------------------------------------------------


def test_records_survive_and_hold_no_secrets(tmp_path):
    records = Records(tmp_path)
    records.load()
    persona = Persona(
        name="w",
        hostname="w",
        project_id="p",
        zone="z",
        admin_password="s3cret",
        files=(InjectedFile("/x", "c2VjcmV0"),),
    )
    records.put(Record(server_id=SERVER, ticket=(7, 1), order=an_order(persona=persona)))
    text = (tmp_path / f"{SERVER}.json").read_text()
    assert "s3cret" not in text
    assert "c2VjcmV0" not in text
    again = Records(tmp_path)
    again.load()
    assert again.get(SERVER) == records.get(SERVER)
    assert again.admits(SERVER, (7, 1))
    assert not again.admits(SERVER, (6, 9))
    again.remove(SERVER, (8, 1))
    assert not again.admits(SERVER, (7, 2))
    assert not list(tmp_path.glob("*.json"))


def test_a_broken_record_is_as_a_missing_one(tmp_path):
    (tmp_path / "x.json").write_text("{")
    records = Records(tmp_path)
    records.load()
    assert records.all() == ()


# --- config drives --------------------------------------------------------------------------------------------------


def test_a_config_drive_is_an_iso_with_the_label_and_the_files(tmp_path):
    path = tmp_path / "disk.config"
    tree = {
        "openstack/latest/meta_data.json": b'{"uuid":"x"}',
        "openstack/latest/user_data": b"#!/bin/sh\n" * 1000,
        "openstack/content/0000": b"",
        "ec2/latest/meta-data.json": b"{}",
    }
    write_config_drive(path, tree)
    write_config_drive(path, tree)
    assert path.stat().st_mode & 0o077 == 0
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    assert iso.pvd.volume_identifier.strip() == b"config-2"
    for name, content in tree.items():
        for way in ("rr_path", "joliet_path"):
            out = io.BytesIO()
            iso.get_file_from_iso_fp(out, **{way: f"/{name}"})
            assert out.getvalue() == content
    iso.close()


# --- images ---------------------------------------------------------------------------------------------------------


class Images:
    """An image service with one image."""

    def __init__(self, data: bytes, status: int = 200):
        self.data, self.status, self.downloads, self.gate = data, status, 0, asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def download(self, image_id: str, token: str) -> AsyncIterator[StreamReply]:
        self.downloads += 1
        await self.gate.wait()

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(self.data), 65536):
                yield self.data[start : start + 65536]

        yield StreamReply(self.status, {}, chunks())


def a_qcow2(*, backing: bytes = b"") -> bytes:
    """The smallest header that says qcow2, with a backing file's name when asked."""
    header = bytearray(65536 * 2)
    header[0:8] = b"QFI\xfb" + (3).to_bytes(4, "big")
    if backing:
        header[8:16] = (1024).to_bytes(8, "big")
        header[16:20] = len(backing).to_bytes(4, "big")
        header[1024 : 1024 + len(backing)] = backing
    header[20:24] = (16).to_bytes(4, "big")
    header[24:32] = (1 << 20).to_bytes(8, "big")
    header[100:104] = (104).to_bytes(4, "big")
    return bytes(header)


def an_image(data: bytes, disk_format: str = "qcow2", **more: Any) -> ImageSnapshot:
    return ImageSnapshot(
        "img",
        disk_format=disk_format,
        size_bytes=len(data),
        checksum=more.pop("checksum", hashlib.md5(data).hexdigest()),
        **more,
    )


async def test_an_image_is_fetched_once_for_all_who_want_it(tmp_path):
    data = a_qcow2()
    service = Images(data)
    cache = ImageCache(tmp_path, service)  # type: ignore[arg-type]
    service.gate.clear()
    waiting = [asyncio.create_task(cache.ensure(an_image(data), "t")) for _ in range(5)]
    await asyncio.sleep(0)
    service.gate.set()
    found = await asyncio.gather(*waiting)
    assert service.downloads == 1
    assert {one.format for one in found} == {"qcow2"}
    assert Path(found[0].path).read_bytes() == data
    await cache.ensure(an_image(data), "t")
    assert service.downloads == 1
    assert [p.suffix for p in tmp_path.iterdir()] == [".qcow2"]


@pytest.mark.parametrize(
    ("data", "disk_format", "words"),
    [
        (a_qcow2(backing=b"/etc/shadow"), "qcow2", "not safe"),
        (a_qcow2(), "raw", "declared as raw"),
        (b"\0" * 100_000, "qcow2", "declared as qcow2"),
        (b"\0" * 100_000, "docker", "declared as docker"),
    ],
)
async def test_an_image_that_is_not_what_it_says_is_refused(tmp_path, data, disk_format, words):
    cache = ImageCache(tmp_path, Images(data))  # type: ignore[arg-type]
    with pytest.raises(ImageUnusable, match=words):
        await cache.ensure(an_image(data, disk_format), "t")
    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_was_changed_on_the_way_is_not_kept(tmp_path):
    data = b"\0" * 100_000
    cache = ImageCache(tmp_path, Images(data))  # type: ignore[arg-type]
    with pytest.raises(ImageNotFetched, match="checksum"):
        await cache.ensure(an_image(data, "raw", checksum="0" * 32), "t")
    assert list(tmp_path.iterdir()) == []


async def test_an_image_that_is_gone_serves_as_long_as_it_is_kept(tmp_path):
    data = b"\0" * 1000
    service = Images(data)
    cache = ImageCache(tmp_path, service)  # type: ignore[arg-type]
    with pytest.raises(ImageUnusable, match="any more"):
        await cache.ensure(an_image(data, "raw"), "")
    assert service.downloads == 0
    await cache.ensure(an_image(data, "raw"), "t")
    assert (await cache.ensure(an_image(data, "raw"), "")).format == "raw"


async def test_a_service_that_is_away_can_be_asked_again(tmp_path):
    service = Images(b"\0" * 1000, status=503)
    cache = ImageCache(tmp_path, service)  # type: ignore[arg-type]
    with pytest.raises(ServiceUnavailable):
        await cache.ensure(an_image(service.data, "raw"), "t")
    service.status = 200
    assert (await cache.ensure(an_image(service.data, "raw"), "t")).format == "raw"


async def test_pruning_spares_what_guests_start_from(tmp_path):
    cache = ImageCache(tmp_path, Images(b""), most_bytes=0)  # type: ignore[arg-type]
    for name in ("a.raw", "b.raw", "c.part"):
        (tmp_path / name).write_bytes(b"x" * 8192)
    removed = cache.prune({str(tmp_path / "a.raw")})
    assert sorted(removed) == ["b.raw", "c.part"]
    assert (tmp_path / "a.raw").exists()


# --- lifecycle ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def host(tmp_path):
    driver = FakeDriver(tmp_path / "guests")
    await driver.open()
    records = Records(tmp_path / "records")
    records.load()
    return Lifecycle("h", driver, records, ImageCache(tmp_path / "images", Images(b"")))  # type: ignore[arg-type]


async def test_spawning_twice_is_spawning_once(host):
    first = await host.spawn(Spawn(order=an_order(), ticket=(1, 1)))
    second = await host.spawn(Spawn(order=an_order(), ticket=(1, 1)))
    assert first == second
    assert first.power_state == 1
    assert len(await host.driver.list_guests()) == 1


async def test_destroying_what_is_not_there_is_no_error(host):
    await host.destroy(OnGuest(server_id=SERVER, ticket=(1, 1)))
    await host.spawn(Spawn(order=an_order(), ticket=(2, 1)))
    await host.destroy(OnGuest(server_id=SERVER, ticket=(3, 1)))
    await host.destroy(OnGuest(server_id=SERVER, ticket=(3, 1)))
    assert await host.driver.list_guests() == ()


async def test_work_on_one_guest_is_done_one_thing_at_a_time_also_after_its_end(host, monkeypatch):
    at_it = most = 0
    may_go = asyncio.Semaphore(0)

    async def destroy(_uuid: str) -> None:
        nonlocal at_it, most
        at_it += 1
        most = max(most, at_it)
        await may_go.acquire()
        at_it -= 1

    monkeypatch.setattr(host.driver, "destroy", destroy)
    first, second = (asyncio.create_task(host.destroy(OnGuest(server_id=SERVER, ticket=(1, 1)))) for _ in range(2))
    await settle()
    may_go.release()
    await first
    third = asyncio.create_task(host.destroy(OnGuest(server_id=SERVER, ticket=(2, 1))))
    await settle()
    may_go.release()
    may_go.release()
    await asyncio.gather(second, third)
    assert most == 1
    assert not host._locks, "nothing is left of a guest that is gone"


async def test_an_old_ticket_is_refused_and_changes_nothing(host):
    await host.spawn(Spawn(order=an_order(), ticket=(5, 1)))
    await host.destroy(OnGuest(server_id=SERVER, ticket=(6, 1)))
    with pytest.raises(TicketTooOld):
        await host.spawn(Spawn(order=an_order(), ticket=(5, 2)))
    assert await host.driver.list_guests() == ()


async def test_power_of_a_guest_that_is_not_there(host):
    with pytest.raises(GuestGone):
        await host.power(Power(guest=OnGuest(server_id=SERVER, ticket=(1, 1)), what="start"))


async def test_driver_errors_cross_with_their_names(host):
    await host.spawn(Spawn(order=an_order(), ticket=(1, 1)))
    host.driver.knobs.fail["pause"] = [Transient("later")]
    with pytest.raises(ServiceUnavailable, match="later"):
        await host.power(Power(guest=OnGuest(server_id=SERVER, ticket=(1, 1)), what="pause"))
    with pytest.raises(Error) as caught:
        await host.screenshot(AskGuest(server_id=SERVER))
    assert caught.value.type_name == "NotAble"
    assert host.busy == set()


async def test_the_end_of_the_console(host):
    await host.spawn(Spawn(order=an_order(), ticket=(1, 1)))
    everything = (await host.console_log(ReadConsole(server_id=SERVER))).text
    assert everything
    last = (await host.console_log(ReadConsole(server_id=SERVER, last_lines=1))).text
    assert everything.endswith(last)
    assert last.count("\n") <= 1
    assert (await host.console_log(ReadConsole(server_id=SERVER, last_lines=0))).text == ""


async def test_two_calls_on_one_guest_wait_for_each_other(host):
    await host.spawn(Spawn(order=an_order(), ticket=(1, 1)))
    gate = host.driver.knobs.hold["pause"] = asyncio.Event()
    pause = asyncio.create_task(host.power(Power(guest=OnGuest(server_id=SERVER, ticket=(1, 1)), what="pause")))
    unpause = asyncio.create_task(host.power(Power(guest=OnGuest(server_id=SERVER, ticket=(1, 2)), what="unpause")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not unpause.done()
    gate.set()
    await asyncio.gather(pause, unpause)
    state = await host.driver.guest_state(SERVER)
    assert state.power_state == 1
    assert host.records.get(SERVER).ticket == (1, 2)
