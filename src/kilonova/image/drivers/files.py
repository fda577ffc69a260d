"""Blobs as files of one folder. A blob is written beside its place, synced, and renamed: whole or not there."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from kilonova.image.drivers.blobs import Broken, NoBlob, NoRoom

P = ParamSpec("P")
T = TypeVar("T")

_PIECE_BYTES = 1 << 20
_UNFINISHED = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Files:
    """Blobs below ``folder``, which is made when it is not there and readable by its owner alone."""

    kind = "filesystem"

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @asynccontextmanager
    async def write(self, blob_id: str) -> AsyncIterator[FileWriter]:
        """See BlobStore."""
        path = self.folder / blob_id
        unfinished = path.with_name(blob_id + _UNFINISHED)
        writer = FileWriter(path, unfinished, await _blocking(open, unfinished, "xb", 0))
        try:
            yield writer
        finally:
            # In the loop, so that a cancelled task cannot leave it out; both are quick.
            with suppress(OSError):  # what cannot be cleaned up now belongs to nobody, which a sweep sees
                writer.file.close()
                if not writer.committed:
                    unfinished.unlink(missing_ok=True)

    async def open(self, blob_id: str) -> FileReader:
        """See BlobStore."""
        file = await _blocking(open, self.folder / blob_id, "rb", 0)
        return FileReader(file, os.fstat(file.fileno()).st_size)

    async def delete(self, blob_id: str) -> None:
        """See BlobStore."""
        for name in (blob_id, blob_id + _UNFINISHED):
            with suppress(NoBlob):
                await _blocking(os.unlink, self.folder / name)

    async def names(self) -> set[str]:
        """See BlobStore."""
        return {name.removesuffix(_UNFINISHED) for name in await _blocking(os.listdir, self.folder)}


class FileWriter:
    """One file being written."""

    def __init__(self, path: Path, unfinished: Path, file: BinaryIO):
        self._path, self._unfinished, self.file, self.committed = path, unfinished, file, False

    async def write(self, piece: bytes) -> None:
        """See Writer."""
        await _blocking(_write_all, self.file, piece)

    async def commit(self) -> None:
        """See Writer."""
        await _blocking(os.fsync, self.file.fileno())
        await _blocking(_rename, self._unfinished, self._path)
        self.committed = True


class FileReader:
    """One open file."""

    def __init__(self, file: BinaryIO, size_bytes: int):
        self._file, self.size_bytes = file, size_bytes

    async def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """See Reader."""
        try:
            while length > 0:
                piece = await asyncio.to_thread(os.pread, self._file.fileno(), min(_PIECE_BYTES, length), offset)
                if not piece:
                    raise EOFError(f"a blob of {self.size_bytes} bytes ended at {offset}")
                yield piece
                offset, length = offset + len(piece), length - len(piece)
        finally:
            self._file.close()

    def close(self) -> None:
        """See Reader."""
        self._file.close()


def _write_all(file: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _rename(before: Path, after: Path) -> None:
    os.rename(before, after)
    folder = os.open(after.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def _blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except FileNotFoundError as gone:
        raise NoBlob(str(gone)) from gone
    except OSError as error:
        raise (NoRoom if error.errno in _FULL else Broken)(str(error)) from error
