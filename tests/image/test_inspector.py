"""The inspector: the same verdict however the data is cut, and never anything but a verdict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.image.config import DISK_FORMATS
from kilonova.image.drivers.inspector import Findings, Inspector, Unfit
from tests.image.make import gpt, iso, qcow2, vmdk

DISKS = {
    "qcow2": qcow2(),
    "backed": qcow2(backing=True),
    "vmdk": vmdk(),
    "flat": vmdk("monolithicFlat"),
    "gpt": gpt(),
    "iso": iso(),
    "noise": bytes(range(256)) * 300,
    "nothing": b"",
}
MAGICS = (b"QFI\xfb", b"KDMV", b"vhdxfile", b"conectix", b"LUKS\xba\xbe", b"QED\0", b"<<< QEMU VM Virtual Disk")


def verdict(disk_format: str, data: bytes, cut: int) -> Findings | str:
    inspector = Inspector(disk_format, "bare")
    try:
        for start in range(0, len(data), cut):
            inspector.feed(data[start : start + cut])
        return inspector.finish()
    except Unfit:
        return "unfit"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(DISKS)),
    st.sampled_from(DISK_FORMATS),
    st.integers(min_value=300, max_value=100_000),
)
def test_how_the_data_is_cut_does_not_matter(disk: str, disk_format: str, cut: int) -> None:
    data = DISKS[disk]
    assert verdict(disk_format, data, cut) == verdict(disk_format, data, 1 << 20)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(MAGICS),
    st.binary(max_size=3000),
    st.integers(min_value=0, max_value=70_000),
    st.sampled_from(DISK_FORMATS),
)
def test_hostile_headers_get_a_verdict(magic: bytes, rest: bytes, padding: int, disk_format: str) -> None:
    verdict(disk_format, magic + rest + bytes(padding), 65536)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(sorted(DISKS)),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8),
    st.sampled_from(DISK_FORMATS),
)
def test_damaged_disks_get_a_verdict(disk: str, damage: list[tuple[int, int]], disk_format: str) -> None:
    data = bytearray(DISKS[disk])
    for place, value in damage:
        if place < len(data):
            data[place] = value
    verdict(disk_format, bytes(data), 4096)
