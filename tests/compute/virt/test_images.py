"""Disk files: made whole or not at all, formats never guessed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.compute.virt.driver import BackingImage, Broken, DiskSpec
from kilonova.compute.virt.libvirt import images

MIB = 1 << 20

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.fixture
def base(tmp_path: Path) -> BackingImage:
    path = tmp_path / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(8 * MIB)], check=True)
    return BackingImage(str(path), "qcow2")


def disk(tmp_path: Path, **fields) -> DiskSpec:
    return replace(DiskSpec(path=str(tmp_path / "guest" / "disk"), format="qcow2"), **fields)


async def test_an_overlay_starts_from_its_image_and_is_as_large_as_wanted(tmp_path, base):
    spec = disk(tmp_path, size_bytes=32 * MIB, backing=base)
    await images.make_disk(spec)
    found = images.info(Path(spec.path), "qcow2")
    assert (found.virtual_bytes, found.backing) == (32 * MIB, base.path)


async def test_without_a_size_a_disk_is_as_large_as_its_image(tmp_path, base):
    for disk_format in ("qcow2", "raw"):
        spec = disk(tmp_path, path=str(tmp_path / disk_format), format=disk_format, backing=base)
        await images.make_disk(spec)
        assert images.info(Path(spec.path), disk_format).virtual_bytes == 8 * MIB


async def test_a_raw_disk_is_a_full_copy_grown_to_its_size(tmp_path, base):
    spec = disk(tmp_path, format="raw", size_bytes=16 * MIB, backing=base)
    await images.make_disk(spec)
    assert os.path.getsize(spec.path) == 16 * MIB
    assert images.info(Path(spec.path), "raw").used_bytes < MIB


@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
async def test_an_empty_disk_has_its_size(tmp_path, disk_format):
    spec = disk(tmp_path, format=disk_format, size_bytes=4 * MIB)
    await images.make_disk(spec)
    assert images.info(Path(spec.path), disk_format).virtual_bytes == 4 * MIB


async def test_a_disk_that_is_there_is_left_alone(tmp_path, base):
    spec = disk(tmp_path, size_bytes=32 * MIB, backing=base)
    Path(spec.path).parent.mkdir()
    Path(spec.path).write_bytes(b"the guest's data")
    await images.make_disk(spec)
    assert Path(spec.path).read_bytes() == b"the guest's data"


async def test_an_image_larger_than_the_disk_is_refused(tmp_path, base):
    spec = disk(tmp_path, size_bytes=4 * MIB, backing=base)
    with pytest.raises(Broken, match="only 4194304"):
        await images.make_disk(spec)
    assert not Path(spec.path).exists()


async def test_a_missing_image_is_named(tmp_path):
    spec = disk(tmp_path, backing=BackingImage(str(tmp_path / "gone"), "qcow2"))
    with pytest.raises(Broken, match="gone"):
        await images.make_disk(spec)


async def test_a_volume_is_not_ours_to_make(tmp_path):
    with pytest.raises(Broken, match="not ours"):
        await images.make_disk(disk(tmp_path, size_bytes=MIB, owned=False))


async def test_a_raw_disk_in_which_a_guest_wrote_a_qcow2_header_stays_raw(tmp_path):
    """The header names a file of the host as its backing file: whoever guesses the format would show it."""
    path = tmp_path / "disk"
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0" + bytes(MIB))
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", path, str(MIB)]
    subprocess.run(make, check=True)
    size = path.stat().st_size
    assert images.info(path, "raw").backing is None
    await images.resize(path, "raw", size + MIB)
    assert images.info(path, "raw").virtual_bytes == size + MIB


async def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(MIB))
    with pytest.raises(Broken, match="no qcow2"):
        images.info(path, "qcow2")


async def test_a_disk_grows_and_never_shrinks(tmp_path):
    spec = disk(tmp_path, size_bytes=4 * MIB)
    await images.make_disk(spec)
    path = Path(spec.path)
    for _ in range(2):
        await images.resize(path, "qcow2", 8 * MIB)
        assert images.info(path, "qcow2").virtual_bytes == 8 * MIB
    with pytest.raises(Broken, match="cannot shrink"):
        await images.resize(path, "qcow2", 4 * MIB)


async def test_guests_may_read_the_image_they_share(tmp_path, base):
    os.chmod(base.path, 0o600)
    await images.make_disk(disk(tmp_path, backing=base))
    assert os.stat(base.path).st_mode & 0o777 == 0o644
