"""Consoles of guests that do not exist: a blank screen that speaks RFB, and a serial line that says what was logged.

So the way from a browser to a guest can be tried where there is no QEMU. RFB is RFC 6143; the screen never changes.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

WIDTH, HEIGHT = 320, 200
_SET_PIXELS, _SET_ENCODINGS, _UPDATE, _KEY, _POINTER, _CUT = 0, 2, 3, 4, 5, 6
_FIXED_BYTES = {_SET_PIXELS: 19, _UPDATE: 9, _KEY: 7, _POINTER: 5}
"""What follows the first byte of a message of this type."""


class FakeConsoles:
    """Listens on a unix socket a console, from when it is first asked for."""

    def __init__(self) -> None:
        self._servers: dict[Path, asyncio.Server] = {}
        self._talks: dict[asyncio.Task[None], Path] = {}

    async def open(self, path: Path, kind: Literal["vnc", "serial"], text: Callable[[], bytes]) -> Path:
        """Have a console listen at `path`. `text`: what the guest has written to its serial line."""
        if path in self._servers:
            return path

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._talks[task] = path
                task.add_done_callback(lambda done: self._talks.pop(done, None))
            try:
                if kind == "vnc":
                    await _show_screen(reader, writer, path.parent.name)
                else:
                    await _serial_line(reader, writer, text())
            except (OSError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # through a descriptor: a socket's name may have 107 characters
            self._servers[path] = await asyncio.start_unix_server(talk, f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        return path

    def close(self, folder: Path | None = None) -> None:
        """End the consoles of one guest's folder, or all."""
        for path in [one for one in self._servers if folder is None or one.parent == folder]:
            self._servers.pop(path).close()
            path.unlink(missing_ok=True)
            for task, where in list(self._talks.items()):
                if where == path:
                    task.cancel()


async def _serial_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> None:
    writer.write(text.replace(b"\n", b"\r\n"))
    while data := await reader.read(4096):
        writer.write(data)  # as a terminal echoes
        await writer.drain()


async def _show_screen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
    writer.write(b"RFB 003.008\n")
    await reader.readexactly(12)
    writer.write(b"\x01\x01")  # one kind of security: none
    await reader.readexactly(1)
    writer.write(struct.pack(">I", 0))
    await reader.readexactly(1)
    pixels = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
    title = name.encode()
    writer.write(struct.pack(">HH", WIDTH, HEIGHT) + pixels + struct.pack(">I", len(title)) + title)
    bytes_a_pixel = 4
    while True:
        kind = (await reader.readexactly(1))[0]
        if kind == _SET_ENCODINGS:
            _, count = struct.unpack(">BH", await reader.readexactly(3))
            await reader.readexactly(4 * count)
        elif kind == _CUT:
            (length,) = struct.unpack(">xxxI", await reader.readexactly(7))
            await _skip(reader, length)
        elif kind in _FIXED_BYTES:
            body = await reader.readexactly(_FIXED_BYTES[kind])
            if kind == _SET_PIXELS:
                bytes_a_pixel = max(1, body[3] // 8)
            elif kind == _UPDATE and body[0] == 0:  # not incremental: all of it is wanted, not what changed
                head = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
                writer.write(head + bytes(WIDTH * HEIGHT * bytes_a_pixel))
                await writer.drain()
        else:
            return  # a message that we do not know has a length that we do not know


async def _skip(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0:
        piece = await reader.read(min(length, 1 << 16))
        if not piece:
            return
        length -= len(piece)
