"""The image cache of a host: each image is fetched once, checked while it streams, and never written again.

The format is inspected here once more, whatever the image service said: a disk image is a program for the tools
that read it. What is kept is ``raw`` or a ``qcow2`` that names no other file; all else is converted to raw, by a
``qemu-img`` that is told the format and runs under limits.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import resource
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oslo_utils.imageutils import format_inspector

from kilonova.clients.image import ImageClient
from kilonova.compute.model.servers import ImageSnapshot
from kilonova.compute.virt.driver import BackingImage, DiskFormat
from kilonova.kernel.errors import Error, ServiceUnavailable

LOG = logging.getLogger(__name__)

_KEPT: dict[str, DiskFormat] = {"raw": "raw", "qcow2": "qcow2", "iso": "raw", "ami": "raw", "ari": "raw", "aki": "raw"}
_CONVERTED = {"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
_AS_RAW = frozenset(("raw", "gpt", "iso", "luks"))
_CHUNK = 1 << 20


class ImageUnusable(Error):
    """The image will not run on any host."""

    status = 400
    text = "Image {image} is unacceptable: {why}"


class ImageNotFetched(ServiceUnavailable):
    text = "Image {image} could not be downloaded: {why}"


class _Feed:
    """A file-like source that hands the inspector the chunk that has just come."""

    def __init__(self) -> None:
        self.chunk = b""

    def read(self, size: int) -> bytes:
        chunk, self.chunk = self.chunk, b""
        return chunk

    def close(self) -> None:
        return None


@dataclass(slots=True)
class ImageCache:
    """Files in ``directory``, at most ``most_bytes`` of them beyond those in use, ``at_once`` downloads."""

    directory: Path
    client: ImageClient
    most_bytes: int = 20 * 1024**3
    at_once: int = 2
    _fetching: dict[str, asyncio.Task[BackingImage]] = field(default_factory=dict)
    _room: asyncio.Semaphore | None = None

    async def ensure(self, image: ImageSnapshot, ticket: str) -> BackingImage:
        """The image's file, fetched if it is not there. Raises ImageUnusable or ImageNotFetched.

        ``ticket``: the image service's leave to download it; empty where it is known to be gone.
        """
        kept = self.find(image)
        if kept is not None:
            return kept
        key = self._name(image)
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(image, ticket), name=f"image {image.image_id}")
            self._fetching[key] = task
            task.add_done_callback(lambda _done: self._fetching.pop(key, None))
        return await asyncio.shield(task)

    def find(self, image: ImageSnapshot) -> BackingImage | None:
        """The image's file if it is there; notes that it was wanted."""
        kinds: tuple[DiskFormat, ...] = ("qcow2", "raw")
        for kind in kinds:
            path = self.directory / f"{self._name(image)}.{kind}"
            if path.exists():
                os.utime(path)
                return BackingImage(str(path), kind)
        return None

    def prune(self, in_use: Collection[str]) -> list[str]:
        """Remove what was not wanted for longest until the rest fits; never what a guest's disk starts from."""
        if not self.directory.exists():
            return []
        files = sorted(
            ((p.stat().st_mtime, p.stat().st_blocks * 512, p) for p in self.directory.iterdir() if p.is_file()),
            reverse=True,
        )
        used, removed = 0, []
        for _moment, size, path in files:
            if path.suffix == ".part" and any(path.name.startswith(key) for key in self._fetching):
                continue
            if str(path) in in_use:
                continue
            used += size
            if used > self.most_bytes or path.suffix == ".part":
                path.unlink(missing_ok=True)
                used -= size
                removed.append(path.name)
        return removed

    async def _fetch(self, image: ImageSnapshot, ticket: str) -> BackingImage:
        if self._room is None:
            self._room = asyncio.Semaphore(self.at_once)
        async with self._room:
            kept = self.find(image)
            if kept is not None:
                return kept
            self.directory.mkdir(parents=True, exist_ok=True)
            part = self.directory / f"{self._name(image)}.part"
            try:
                found = await self._download(image, ticket, part)
                return await self._keep(image, found, part)
            finally:
                part.unlink(missing_ok=True)

    async def _download(self, image: ImageSnapshot, ticket: str, part: Path) -> str:
        """Write the data to ``part``; the format that was found in it."""
        if not ticket:
            raise ImageUnusable(image=image.image_id, why="the image service does not have it any more")
        digest, feed = hashlib.md5(usedforsecurity=False), _Feed()
        inspect = format_inspector.InspectWrapper(feed)
        LOG.info("image %s: fetching %d bytes", image.image_id, image.size_bytes)
        with part.open("wb") as file:

            def take(data: bytes) -> None:
                digest.update(data)
                feed.chunk = data
                inspect.read(len(data))
                file.write(data)

            async with self.client.download(image.image_id, ticket) as reply:
                if reply.status >= 500 or reply.status in (401, 403):
                    raise ImageNotFetched(image=image.image_id, why=f"the image service answered {reply.status}")
                if reply.status != 200:
                    raise ImageUnusable(image=image.image_id, why=f"it has no data (status {reply.status})")
                waiting: list[bytes] = []
                size = 0
                async for chunk in reply.chunks:
                    waiting.append(chunk)
                    size += len(chunk)
                    if size >= _CHUNK:
                        await asyncio.to_thread(take, b"".join(waiting))
                        waiting, size = [], 0
                await asyncio.to_thread(take, b"".join(waiting))
        if image.checksum and digest.hexdigest() != image.checksum:
            raise ImageNotFetched(image=image.image_id, why="its checksum is not the one that was promised")
        return await asyncio.to_thread(_inspected, inspect, image)

    async def _keep(self, image: ImageSnapshot, found: str, part: Path) -> BackingImage:
        if found in _KEPT:
            kind = _KEPT[found]
            path = self.directory / f"{self._name(image)}.{kind}"
            os.chmod(part, 0o644)
            os.replace(part, path)
            return BackingImage(str(path), kind)
        path = self.directory / f"{self._name(image)}.raw"
        made = part.with_suffix(".raw.part")
        try:
            await convert_to_raw(part, _CONVERTED[found], made, image)
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)
        return BackingImage(str(path), "raw")

    @staticmethod
    def _name(image: ImageSnapshot) -> str:
        return f"{image.image_id}-{image.checksum}" if image.checksum else image.image_id


def _inspected(inspect: Any, image: ImageSnapshot) -> str:
    """The format of what streamed by, when it is what was declared and is safe to open."""
    inspect.close()
    declared = image.disk_format or "raw"
    try:
        formats = inspect.formats or []
        names = {str(one) for one in formats}
        for one in formats:
            one.safety_check()
    except format_inspector.SafetyCheckFailed as unsafe:
        raise ImageUnusable(image=image.image_id, why=f"it is not safe to open ({unsafe})") from None
    except format_inspector.ImageFormatError as strange:
        raise ImageUnusable(image=image.image_id, why=f"its format cannot be told ({strange})") from None
    as_declared = names <= _AS_RAW if declared in ("raw", "iso", "ami", "ari", "aki") else declared in names
    if not as_declared or (declared not in _KEPT and declared not in _CONVERTED):
        found = ", ".join(sorted(names)) or "nothing known"
        raise ImageUnusable(image=image.image_id, why=f"it is declared as {declared}, but is {found}")
    return declared


async def convert_to_raw(source: Path, source_format: str, target: Path, image: ImageSnapshot) -> None:
    """Run qemu-img, told the format, with limits on its memory, time and files."""
    process = await asyncio.create_subprocess_exec(
        "qemu-img",
        "convert",
        "-f",
        source_format,
        "-O",
        "raw",
        "-t",
        "none",
        str(source),
        str(target),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_limit,
    )
    try:
        async with asyncio.timeout(600):
            _out, error = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ImageUnusable(image=image.image_id, why="converting it took too long") from None
    if process.returncode:
        why = error.decode(errors="replace").strip().splitlines()[-1:] or ["qemu-img failed"]
        raise ImageUnusable(image=image.image_id, why=f"it cannot be converted ({why[0]})")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
