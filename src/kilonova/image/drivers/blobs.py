"""What the service asks of a store of blobs. Names of blobs are ours (UUIDs); a blob is whole or not there.

Every method may raise Broken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class NoRoom(Exception):
    """The store is full."""


class NoBlob(LookupError):
    """There is no blob of that name."""


class Broken(Exception):
    """The store does not work; the message is for the operator."""


class Writer(Protocol):
    """A blob being written; nobody can read it before ``commit``."""

    async def write(self, piece: bytes) -> None:
        """Append. Raises NoRoom."""

    async def commit(self) -> None:
        """Make the blob whole and durable under its name. Raises NoRoom, or NoBlob when it was deleted meanwhile."""


class Reader(Protocol):
    """An open blob; it stays readable when it is deleted meanwhile."""

    size_bytes: int

    def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset``, in pieces. The reader is closed when they end."""

    def close(self) -> None:
        """Close without reading."""


class BlobStore(Protocol):
    """A place for blobs."""

    kind: str

    def write(self, blob_id: str) -> AbstractAsyncContextManager[Writer]:
        """Write a new blob. What was not committed is gone when the context ends."""

    async def open(self, blob_id: str) -> Reader:
        """Raises NoBlob."""

    async def delete(self, blob_id: str) -> None:
        """Remove a blob, or what is there of it. One that is not there is no error."""

    async def names(self) -> set[str]:
        """All blobs, unfinished ones too."""
