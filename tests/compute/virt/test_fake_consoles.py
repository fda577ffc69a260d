"""The pretended consoles talk as real ones do: a viewer gets a screen, a terminal gets the log."""

from __future__ import annotations

import asyncio
import struct

import pytest

from kilonova.compute.console.proxy import connect
from kilonova.compute.virt import fake_consoles
from kilonova.compute.virt.fake_consoles import FakeConsoles


@pytest.fixture
async def consoles():
    one = FakeConsoles()
    yield one
    one.close()


async def test_a_viewer_gets_a_whole_screen(consoles, tmp_path):
    path = await consoles.open(tmp_path / "vnc.sock", "vnc", bytes)
    reader, writer = await connect(path)
    async with asyncio.timeout(5):
        writer.write(await reader.readexactly(12))
        assert await reader.readexactly(2) == b"\x01\x01"
        writer.write(b"\x01")
        assert await reader.readexactly(4) == bytes(4)
        writer.write(b"\x01")
        width, height = struct.unpack(">HH", await reader.readexactly(4))
        await reader.readexactly(16)
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        assert (await reader.readexactly(length)).decode() == tmp_path.name
        writer.write(struct.pack(">BxHii", 2, 2, 0, 7) + b"\x06\0\0\0" + struct.pack(">I", 3) + b"cut")
        writer.write(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 8, 8, 0, 1, 7, 7, 3, 0, 3, 6))
        writer.write(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        assert struct.unpack(">BxHHHHHi", await reader.readexactly(16)) == (0, 1, 0, 0, width, height, 0)
        await reader.readexactly(width * height)
        writer.write(b"\xff")
        assert await reader.read() == b""
    assert (width, height) == (fake_consoles.WIDTH, fake_consoles.HEIGHT)


async def test_a_terminal_gets_the_log_and_its_own_keys(consoles, tmp_path):
    path = await consoles.open(tmp_path / "serial.sock", "serial", lambda: b"booted\nlogin: ")
    reader, writer = await connect(path)
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"login: ") == b"booted\r\nlogin: "
        writer.write(b"root")
        assert await reader.readexactly(4) == b"root"
        consoles.close(tmp_path)
        assert await reader.read() == b""
    assert not path.exists()
