"""The initramfs container: "newc" cpio, the same bytes for the same tree, everything owned by root."""

import os
import stat
from pathlib import Path


def pack(tree: Path) -> bytes:
    """One archive of all that is below `tree`, sorted by name."""
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*"))
    parts = [_entry(number, name, tree / name) for number, name in enumerate(names, start=1)]
    archive = b"".join([*parts, _record(0, "TRAILER!!!", 0, 1, b"")])
    return archive.ljust(-(-len(archive) // 512) * 512, b"\0")


def _entry(number: int, name: str, path: Path) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return _record(number, name, mode, 1, os.readlink(path).encode())
    if stat.S_ISDIR(mode):
        return _record(number, name, mode, 2, b"")
    return _record(number, name, mode, 1, path.read_bytes())


def _record(number: int, name: str, mode: int, links: int, data: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head.ljust(-(-len(head) // 4) * 4, b"\0") + data.ljust(-(-len(data) // 4) * 4, b"\0")
