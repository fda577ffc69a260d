"""Password hashing by bcrypt, in threads of its own so that the loop never waits for it.

bcrypt reads 72 bytes; longer passwords are first digested with SHA-256, so that each of their bytes counts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from kilonova.kernel.errors import ServiceUnavailable

MOST_WAITING = 256


class Hasher:
    """``rounds``: the cost, 2^rounds. At most :data:`MOST_WAITING` requests queue; more are refused with 503."""

    def __init__(self, rounds: int):
        self._rounds = rounds
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="bcrypt")
        self._nobody = f"$2b${rounds:02d}${'.' * 53}".encode()  # of no known password; to check it costs the same
        self._waiting = 0

    def hash_now(self, password: str) -> str:
        """Blocking; for bootstrap."""
        return bcrypt.hashpw(_bytes(password), bcrypt.gensalt(self._rounds)).decode()

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return str(await self._run(self.hash_now, password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether ``password`` is the one of ``hashed``. With None it costs the same and is False."""
        return bool(await self._run(self._check, password, hashed))

    def _check(self, password: str, hashed: str | None) -> bool:
        same = bcrypt.checkpw(_bytes(password), self._nobody if hashed is None else hashed.encode())
        return same and hashed is not None

    async def _run(self, function: object, *arguments: object) -> object:
        if self._waiting >= MOST_WAITING:
            raise ServiceUnavailable("Too many logins are waiting; try again later.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)  # type: ignore[arg-type]
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _bytes(password: str) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    if len(raw) <= 72:
        return raw
    return base64.b64encode(hashlib.sha256(raw).digest())
