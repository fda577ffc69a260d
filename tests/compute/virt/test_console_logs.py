"""Console logs stay short, whatever a guest prints."""

from __future__ import annotations

from pathlib import Path

from kilonova.compute.virt.libvirt import console_logs


def test_a_log_without_end_keeps_its_last_lines(tmp_path: Path):
    path = tmp_path / "guest" / console_logs.NAME
    path.parent.mkdir()
    line = b"x" * 99 + b"\n"
    with path.open("ab", buffering=0) as guest:  # as QEMU holds it
        guest.write(line * (console_logs.MOST_BYTES // len(line) + 1) + b"the last line\n")
        assert console_logs.shorten_all(tmp_path) == 1
        guest.write(b"and one more\n")
    text = path.read_bytes()
    assert text.endswith(b"\nthe last line\nand one more\n")
    assert text.startswith(b"xxx")
    assert len(text) < console_logs.KEPT_BYTES + 100


def test_a_short_log_is_left_alone(tmp_path: Path):
    path = tmp_path / "guest" / console_logs.NAME
    path.parent.mkdir()
    path.write_bytes(b"login: ")
    assert console_logs.shorten_all(tmp_path) == 0
    assert path.read_bytes() == b"login: "


def test_a_log_that_has_just_gone_is_no_error(tmp_path: Path):
    assert console_logs.shorten(tmp_path / "gone") is False
