"""The console proxy, over real sockets: browsers on one side, a guest's unix socket on the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kilonova.compute.console.app import Consoles, spend_tokens
from kilonova.compute.console.config import Settings
from kilonova.compute.console.proxy import ConsoleProxy, Target
from kilonova.compute.store import console_tokens
from kilonova.compute.store.tables import metadata
from kilonova.kernel import log
from kilonova.kernel.http import Client, Sockets
from kilonova.kernel.testing import FakeClock, memory_database
from kilonova.kernel.web.listen import serve_socket

SERVER = "5a0c5b4e-3f1f-4c53-9d0a-2b6d3a1b8f10"
TOKEN = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


@dataclass
class Guest:
    """A console that greets like a VNC server, then says back what it hears in capitals."""

    path: Path
    heard: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(b"RFB 003.008\n")
        while data := await reader.read(1024):
            self.heard.append(data)
            writer.write(data.upper())
        writer.close()


@dataclass
class Bench:
    proxy: ConsoleProxy
    guest: Guest
    tokens: dict[str, Target]
    port: int

    def url(self, token: str = TOKEN, path: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{path}?token={token}"

    def open(self, token: str = TOKEN, origin: str | None = None, path: str = "/"):
        return open_websocket(self.url(token, path), origin=origin, subprotocols=["binary"], open_timeout=5)

    async def page(self, path: str):
        client = Client(f"http://127.0.0.1:{self.port}", Sockets())
        return await client.request("GET", path)


@contextlib.asynccontextmanager
async def served(app) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = await serve_socket(app, listening, most_connections=100, websockets=True)
    yield listening.getsockname()[1]
    server.close()


@pytest.fixture
async def bench(tmp_path):
    pages = tmp_path / "pages"
    (pages / "core").mkdir(parents=True)
    (pages / "vnc.html").write_text("<title>noVNC</title>")
    (pages / "core/rfb.js").write_text("export default 1")
    (tmp_path / "secret").write_text("not for you")
    (pages / "way-out").symlink_to(tmp_path / "secret")
    (pages / "vnc_auto.html").symlink_to("vnc.html")
    folder = tmp_path / ("a-state-directory-with-a-long-name-" * 4)
    folder.mkdir()
    guest = Guest(folder / f"{SERVER}.vnc")
    tokens = {TOKEN: Target(SERVER, "novnc", "here", str(guest.path))}

    async def authorize(token: str) -> Target | None:
        return tokens.pop(token, None)

    short = tmp_path / "s"
    listening = await asyncio.start_unix_server(guest.talk, short)
    short.rename(guest.path)
    proxy = ConsoleProxy(authorize, "here", pages)
    async with served(proxy) as port:
        yield Bench(proxy, guest, tokens, port)
        await proxy.close()
    listening.close()


async def test_a_browser_and_a_screen_are_joined(bench):
    async with bench.open(origin=f"http://127.0.0.1:{bench.port}") as browser:
        assert await browser.recv() == b"RFB 003.008\n"
        await browser.send(b"hello")
        assert await browser.recv() == b"HELLO"
        assert browser.subprotocol == "binary"
    assert bench.guest.heard == [b"hello"]


async def test_much_passes_unchanged(bench):
    sent = bytes(range(97, 123)) * 40_000
    async with bench.open() as browser:
        assert await browser.recv() == b"RFB 003.008\n"
        await browser.send(sent)
        back = b""
        while len(back) < len(sent):
            back += await browser.recv()
    assert back == sent.upper()


async def test_a_token_opens_once(bench):
    async with bench.open() as browser:
        await browser.recv()
    with pytest.raises(InvalidStatus, match="403"):
        async with bench.open():
            pass


@pytest.mark.parametrize("token", ["", "unknown", "x" * 300, "%00", "../../etc"])
async def test_a_wrong_token_opens_nothing(bench, token):
    with pytest.raises(InvalidStatus, match="403"):
        async with bench.open(token):
            pass
    assert bench.guest.writers == []


async def test_two_tokens_in_one_address_are_none(bench):
    with pytest.raises(InvalidStatus, match="403"):
        async with open_websocket(bench.url() + "&token=other"):
            pass
    assert TOKEN in bench.tokens


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "file://", "http://127.0.0.1.evil.example", "http://[bad", "://"]
)
async def test_a_foreign_page_cannot_open_a_console_and_spends_no_token(bench, origin):
    with pytest.raises(InvalidStatus, match="403"):
        async with bench.open(origin=origin):
            pass
    assert TOKEN in bench.tokens
    assert bench.guest.writers == []


async def test_a_page_of_an_allowed_host_may(bench):
    bench.proxy.allowed_origins = ("dashboard.example",)
    async with bench.open(origin="https://dashboard.example:8443") as browser:
        assert await browser.recv() == b"RFB 003.008\n"


async def test_no_token_is_ever_logged(bench, tmp_path):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.set_up(level="DEBUG", file=tmp_path / "log")
        logging.getLogger("websockets.client").setLevel(logging.WARNING)  # the browser's side, not ours
        async with bench.open(origin=f"http://127.0.0.1:{bench.port}") as browser:
            await browser.recv()
        for refused in ({"origin": "http://evil.example"}, {"token": "another-secret"}):
            with pytest.raises(InvalidStatus):
                async with bench.open(**refused):
                    pass
        await bench.page(f"/vnc_auto.html?path=%3Ftoken%3D{TOKEN}")
    finally:
        root.handlers[:], root.level = before
    told = (tmp_path / "log").read_text()
    assert SERVER in told
    assert TOKEN not in told
    assert "another-secret" not in told


async def test_when_the_guest_ends_so_does_the_websocket(bench):
    async with bench.open() as browser:
        await browser.recv()
        bench.guest.writers[0].close()
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
    assert "ended" in closed.value.rcvd.reason


async def test_when_the_browser_leaves_the_guest_is_let_go(bench):
    async with bench.open() as browser:
        await browser.recv()
    async with asyncio.timeout(5):
        while bench.proxy._joined:
            await asyncio.sleep(0.005)


async def test_a_console_on_another_host_says_so(bench):
    bench.tokens["far"] = Target(SERVER, "novnc", "there", str(bench.guest.path))
    async with bench.open("far") as browser:
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
    assert "another host" in closed.value.rcvd.reason
    assert bench.guest.writers == []


async def test_a_console_that_is_gone_says_so(bench, tmp_path):
    bench.tokens["gone"] = Target(SERVER, "novnc", "here", str(tmp_path / "gone" / "socket"))
    async with bench.open("gone") as browser:
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
    assert "running" in closed.value.rcvd.reason


async def test_a_kind_that_is_not_offered_here_is_refused(bench):
    bench.tokens["serial"] = Target(SERVER, "serial", "here", str(bench.guest.path))
    bench.proxy.kinds = frozenset({"novnc"})
    with pytest.raises(InvalidStatus, match="403"):
        async with bench.open("serial"):
            pass


async def test_there_is_a_limit(bench):
    bench.proxy.most_consoles = 0
    async with bench.open() as browser:
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
    assert closed.value.rcvd.code == 1013


async def test_the_page_and_its_scripts_are_served(bench):
    for path in ("/", "/vnc.html", "/vnc_auto.html", f"/vnc_auto.html?path=%3Ftoken%3D{TOKEN}"):
        reply = await bench.page(path)
        assert (reply.status, reply.body) == (200, b"<title>noVNC</title>")
        assert reply.headers["referrer-policy"] == "no-referrer"
    script = await bench.page("/core/rfb.js")
    assert script.headers["content-type"] == "text/javascript"
    assert script.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret", "/%2e%2e/secret", "/core/..%2f..%2fsecret", "/way-out", "/%2fetc/passwd", "/core", "/nothing",
        "/%00", "/core%5c..%5c..%5csecret",
    ],
)  # fmt: skip
async def test_nothing_else_is(bench, path):
    reply = await bench.page(path)
    assert reply.status == 404
    assert b"not for you" not in reply.body


@pytest.mark.parametrize("path", ["//evil.example/%2e%2e", "//evil.example", "/%2f%2fevil.example/", "/core"])
async def test_no_redirect_leads_elsewhere(bench, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"404"
    assert b"location:" not in answer.lower()


async def test_without_novnc_the_page_names_the_package(bench, tmp_path):
    proxy = ConsoleProxy(bench.proxy.authorize, "here", tmp_path / "not-installed")
    async with served(proxy) as port:
        reply = await Client(f"http://127.0.0.1:{port}", Sockets()).request("GET", "/vnc.html")
    assert reply.status == 404
    assert b"novnc" in reply.body


async def test_tokens_of_the_api_open_once_and_end():
    clock = FakeClock()
    db = memory_database(metadata)

    async def new(token: str) -> None:
        now = clock.now()
        async with db.transaction() as tx:
            await console_tokens.insert_token(
                tx,
                token,
                server_id=SERVER,
                console_type="novnc",
                host="here",
                path="/run/console",
                url_base="",
                now=now,
                expires_at=now + timedelta(seconds=600),
            )

    authorize = spend_tokens(db, clock)
    await new("one")
    assert await authorize("one") == Target(SERVER, "novnc", "here", "/run/console")
    assert await authorize("one") is None
    await new("two")
    await clock.advance(601)
    assert await authorize("two") is None


async def test_both_proxies_are_served_and_a_taken_port_is_named(bench, tmp_path):
    settings = Settings(pages=tmp_path / "pages", vnc_port=0, serial_port=0)
    consoles = Consoles(settings, bench.proxy.authorize, "here", serial=True)
    await consoles.start()
    screens, lines = consoles.ports
    bench.tokens["line"] = Target(SERVER, "serial", "here", str(bench.guest.path))
    async with open_websocket(f"ws://127.0.0.1:{lines}/?token=line") as terminal:
        assert await terminal.recv() == b"RFB 003.008\n"
        taken = Consoles(Settings(vnc_port=screens), bench.proxy.authorize, "here")
        with pytest.raises(OSError, match=f"console proxy cannot listen on 127.0.0.1 port {screens}"):
            await taken.start()
        await consoles.stop()
        with pytest.raises(ConnectionClosed):
            await terminal.recv()
