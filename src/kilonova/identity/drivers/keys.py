"""Key repositories on disk, in upstream's layout: a folder (0700) of files (0600) named by number.

0 is the staged key, the highest number is the primary one that encrypts, all decrypt. A rotation makes the staged key
primary and stages a new one, so that every process knows a key before anyone encrypts with it. Blocking, but small:
a repository is read at start and when its folder changed.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet


class KeysMissing(RuntimeError):
    """The repository has no keys; bootstrap makes them."""


class KeyRepository:
    """The keys in ``folder``. ``version`` changes whenever keys came or went."""

    def __init__(self, folder: Path, *, max_active_keys: int = 3):
        self.folder, self._max = folder, max(1, max_active_keys)
        self._read_at: int | None = None
        self._fernet: MultiFernet | None = None

    @property
    def version(self) -> int:
        """A number that changes with the folder; 0 when there is none."""
        try:
            return os.stat(self.folder).st_mtime_ns
        except FileNotFoundError:
            return 0

    def fernet(self) -> MultiFernet:
        """All keys, the primary one first. Raises KeysMissing."""
        version = self.version
        if self._fernet is None or version != self._read_at:
            numbers = sorted(self._numbers(), reverse=True)
            if not numbers:
                raise KeysMissing(f"There are no keys in {self.folder}: run bootstrap first.")
            keys = [Fernet((self.folder / str(n)).read_bytes().strip()) for n in numbers]
            self._fernet, self._read_at = MultiFernet(keys), version
        return self._fernet

    def ensure(self) -> None:
        """Make the folder with a staged and a primary key, unless there are keys; mend the permissions."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(self.folder, 0o700)
        if not self._numbers():
            self._write(0)
            self._write(1)
        for number in self._numbers():
            os.chmod(self.folder / str(number), 0o600)

    def rotate(self) -> None:
        """The staged key becomes primary, a new one is staged, and the oldest beyond the maximum go."""
        numbers = self._numbers()
        if 0 not in numbers:
            self._write(0)
            numbers.append(0)
        os.rename(self.folder / "0", self.folder / str(max(numbers) + 1))
        self._write(0)
        kept = sorted(n for n in self._numbers() if n > 0)
        for number in kept[: max(0, len(kept) + 1 - self._max)] if self._max > 1 else kept[:-1]:
            os.unlink(self.folder / str(number))

    def _numbers(self) -> list[int]:
        try:
            return [int(p.name) for p in self.folder.iterdir() if p.name.isdigit()]
        except FileNotFoundError:
            return []

    def _write(self, number: int) -> None:
        # Written beside and renamed, so that no reader sees half a key.
        beside = self.folder / f".{number}.new"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(descriptor)
        os.rename(beside, self.folder / str(number))
