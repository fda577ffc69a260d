"""What the tests put into the cloud's outside: a web server and a name server, on sockets made in its namespace."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cloud.real.make import GATEWAY, RealCloud


@dataclass
class Heard:
    """``calls``: path -> source address of each request that came to ``port``."""

    port: int
    calls: dict[str, str] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://{GATEWAY}:{self.port}/{path}"


@contextmanager
def web_outside(cloud: RealCloud) -> Iterator[Heard]:
    """Answers ``hello`` to everything."""
    sock = cloud.socket_outside(socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((GATEWAY, 0))
    sock.listen(16)
    heard = Heard(sock.getsockname()[1])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.calls[self.path.lstrip("/")] = self.client_address[0]
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer((GATEWAY, 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def names_outside(cloud: RealCloud, known: dict[str, str]) -> Iterator[None]:
    """A name server at the outside's address that knows IPv4 addresses by name, and nothing else."""
    sock = cloud.socket_outside(socket.SOCK_DGRAM)
    sock.bind((GATEWAY, 53))
    sock.settimeout(0.2)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                query, asker = sock.recvfrom(2048)
            except TimeoutError:
                continue
            sock.sendto(_answer(query, known), asker)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sock.close()


def _answer(query: bytes, known: dict[str, str]) -> bytes:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    question, kind = query[12 : at + 5], struct.unpack_from("!H", query, at + 1)[0]
    address = known.get(".".join(labels))
    found = address is not None and kind == 1
    head = query[:2] + struct.pack("!HHHHH", 0x8180 if address else 0x8183, 1, int(found), 0, 0)
    tail = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address) if found and address else b""
    return head + question + tail
