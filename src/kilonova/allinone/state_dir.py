"""The one directory of a cloud: its lock, its secrets, what it was started with, and the paths of its parts."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECRETS = (
    "admin_password",
    "demo_password",
    "service_password",
    "metadata_proxy_shared_secret",
)


class AlreadyRunning(RuntimeError):
    """Another process runs this cloud."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """Paths under ``root``. Everything is readable by its owner only, but for what guests' processes must reach."""

    root: Path

    def database(self, service: str) -> str:
        """The URL of a service's SQLite file."""
        return f"sqlite:///{self.root / 'db' / f'{service}.db'}"

    @property
    def pid_file(self) -> Path:
        return self.root / "kilonova.pid"

    @property
    def log_file(self) -> Path:
        return self.root / "kilonova.log"

    @property
    def started_with(self) -> Path:
        return self.root / "started_with.json"

    def prepare(self) -> None:
        """Make the directory. Raises PermissionError with the path."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        (self.root / "db").mkdir(mode=0o700, exist_ok=True)

    def secrets(self) -> dict[str, str]:
        """Passwords and keys of this cloud, made at the first start and kept in ``secrets.json`` (mode 0600)."""
        path = self.root / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        missing = [name for name in _SECRETS if name not in known]
        if missing:
            known.update({name: secrets.token_urlsafe(18) for name in missing})
            self.write_private(path, known)
        return known

    def write_private(self, path: Path, content: Any) -> None:
        """Write JSON atomically, readable by the owner only."""
        temporary = path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def running_pid(self) -> int | None:
        """The process that runs this cloud now: told by its lock, which ends with the process."""
        if not self.pid_file.exists():
            return None
        with self.pid_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
        return None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this cloud for this process. Raises AlreadyRunning."""
        handle = os.open(self.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(handle, 20, 0).decode().strip()
                raise AlreadyRunning(f"process {pid} runs the cloud in {self.root}") from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)
