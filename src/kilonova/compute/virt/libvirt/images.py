"""Making and reading disk files. Every call of qemu-img names the format and runs under limits.

A format is never guessed from content: a guest can write a qcow2 header into its raw disk that names any file of the
host. Sizes are read from the header by ourselves, which needs no process.
"""

from __future__ import annotations

import asyncio
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from kilonova.compute.virt.driver import Broken, DiskFormat, DiskSpec

MEMORY_LIMIT_BYTES = 1 << 30
QUICK_CPU_S = 30
COPY_CPU_S = 3600


@dataclass(frozen=True, slots=True)
class DiskInfo:
    """A disk file: the size the guest sees, the bytes it takes on the host, the file it is an overlay of."""

    virtual_bytes: int
    used_bytes: int
    backing: str | None = None


async def make_disk(spec: DiskSpec) -> None:
    """Have the file of a disk, as the spec wants it; one that is there is left alone. It appears whole or not at all.

    Raises Broken: the backing image is missing or larger than the disk, no space, a volume's file is missing.
    """
    path = Path(spec.path)
    if await asyncio.to_thread(path.exists):
        return
    if not spec.owned:
        raise Broken(f"The disk {path} is not there, and is not ours to make.")
    size_bytes = await asyncio.to_thread(_size_wanted, spec)
    if spec.backing is not None:
        await asyncio.to_thread(_let_guests_read, Path(spec.backing.path))
    beside = path.with_name(f".{path.name}.new")
    await asyncio.to_thread(_clear, beside)
    if spec.backing is None and spec.format == "raw":
        await asyncio.to_thread(_make_sparse, beside, size_bytes)
    elif spec.backing is None:
        await _qemu_img("create", "-f", "qcow2", str(beside), str(size_bytes))
    elif spec.format == "qcow2":
        backing = ("-b", spec.backing.path, "-F", spec.backing.format)
        await _qemu_img("create", "-f", "qcow2", *backing, str(beside), str(size_bytes))
    else:
        copy = ("-f", spec.backing.format, "-O", "raw", "-t", "none", spec.backing.path, str(beside))
        await _qemu_img("convert", *copy, cpu_s=COPY_CPU_S)
        await asyncio.to_thread(os.truncate, beside, size_bytes)
    await asyncio.to_thread(beside.replace, path)


async def resize(path: Path, disk_format: DiskFormat, size_bytes: int) -> None:
    """Grow a disk that no guest uses. One that is as large already is left alone; shrinking is refused."""
    now = (await asyncio.to_thread(info, path, disk_format)).virtual_bytes
    if size_bytes < now:
        raise Broken(f"The disk {path} has {now} bytes; it cannot shrink to {size_bytes}.")
    if size_bytes > now:
        await _qemu_img("resize", "-f", disk_format, str(path), str(size_bytes))


def info(path: Path, disk_format: DiskFormat) -> DiskInfo:
    """Read a disk's size from its header. Raises Broken when it is missing or is not of that format."""
    try:
        with path.open("rb") as file:
            header = file.read(32)
            status = os.fstat(file.fileno())
            used_bytes = status.st_blocks * 512
            if disk_format == "raw":
                return DiskInfo(file.seek(0, os.SEEK_END), used_bytes)
            magic, _, backing_at, backing_length, _, virtual_bytes = struct.unpack(">4sIQIIQ", header.ljust(32, b"\0"))
            if magic != b"QFI\xfb":
                raise Broken(f"The disk {path} is no qcow2 file.")
            if not backing_at:
                return DiskInfo(virtual_bytes, used_bytes)
            file.seek(backing_at)
            return DiskInfo(virtual_bytes, used_bytes, file.read(min(backing_length, 1023)).decode(errors="replace"))
    except OSError as error:
        raise Broken(f"The disk {path} cannot be read: {error.strerror}") from error


def _size_wanted(spec: DiskSpec) -> int:
    if spec.backing is None:
        if spec.size_bytes <= 0:
            raise Broken(f"The disk {spec.path} has neither a size nor an image to start from.")
        return spec.size_bytes
    least = info(Path(spec.backing.path), spec.backing.format).virtual_bytes
    if spec.size_bytes and spec.size_bytes < least:
        raise Broken(f"The image needs {least} bytes; the disk {spec.path} is to have only {spec.size_bytes}.")
    return spec.size_bytes or least


def _let_guests_read(path: Path) -> None:
    """The user that guests run as is not the owner of images, which they share."""
    mode = path.stat().st_mode
    if not mode & 0o004:
        path.chmod(mode & 0o7777 | 0o044)


def _make_sparse(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        file.truncate(size_bytes)


def _clear(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _qemu_img(command: str, *arguments: str, cpu_s: int = QUICK_CPU_S) -> None:
    process = await asyncio.create_subprocess_exec(
        *("prlimit", f"--as={MEMORY_LIMIT_BYTES}", f"--cpu={cpu_s}", "--core=0"),
        *("qemu-img", command, *(() if command == "convert" else ("-q",)), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        why = said.decode(errors="replace").strip()[-300:] or f"it ended with status {process.returncode}"
        raise Broken(f"qemu-img {command} failed: {why}")
