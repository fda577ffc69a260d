"""Namespaces that behave as guests: a device with the port's MAC, a DHCP client, and a few things a guest does."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass, field

from kilonova.kernel.ovsdb import Ovs
from kilonova.network.agent import namespaces
from kilonova.network.agent.engine import Engine
from kilonova.network.drivers.driver import PortSpec

BROADCAST = b"\xff" * 6


@dataclass(frozen=True)
class Lease:
    address: str
    server: str
    options: dict[int, bytes]

    @property
    def mtu(self) -> int:
        return int.from_bytes(self.options[26], "big")

    @property
    def name_servers(self) -> list[str]:
        raw = self.options[6]
        return [socket.inet_ntoa(raw[at : at + 4]) for at in range(0, len(raw), 4)]

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Option 121."""
        raw, found = self.options.get(121, b""), []
        while raw:
            length, octets = raw[0], (raw[0] + 7) // 8
            net = socket.inet_ntoa(raw[1 : 1 + octets].ljust(4, b"\0"))
            found.append((f"{net}/{length}", socket.inet_ntoa(raw[1 + octets : 5 + octets])))
            raw = raw[5 + octets :]
        return found


@dataclass
class Guest:
    """Plugged into the dataplane of `engine` as a hypervisor would plug a guest of this port."""

    engine: Engine
    port: PortSpec
    servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def netns(self) -> str:
        return f"{self.engine.settings.netns}-g-{self.port.id}"

    @property
    def link(self) -> str:
        return f"g-{self.port.id}"[:15]

    async def plug(self) -> None:
        await asyncio.to_thread(self._make_device)
        self.engine.note_namespace(self.netns)
        ovs = await Ovs.connect(self.engine.ovs_connection)
        await ovs.add_port("br-int", self.link, {"iface-id": self.port.id, "attached-mac": self.port.mac})
        await ovs.aclose()

    async def unplug(self) -> None:
        ovs = await Ovs.connect(self.engine.ovs_connection)
        await ovs.del_port(self.link)
        await ovs.aclose()

    def _make_device(self) -> None:
        namespaces.create(self.netns)
        offloads = self.engine.datapath.offloads

        def here() -> None:
            namespaces.make_veth(self.link, "eth0", self.netns)
            namespaces.set_up(self.link, offloads=offloads)

        namespaces.run_in(self.engine.settings.netns, here)
        namespaces.run_in(self.netns, lambda: namespaces.set_up("eth0", mac=self.port.mac, mtu=1442, offloads=offloads))

    def configure(self, *addresses: str, router: str | None = None, metadata: str | None = None) -> None:
        def inside() -> None:
            namespaces.set_up("eth0", addresses=addresses)
            if router is not None:
                namespaces.add_default_route(router)
            if metadata is not None:
                with namespaces._netlink() as ip:
                    ip.route("replace", dst="169.254.169.254/32", gateway=metadata)

        namespaces.run_in(self.netns, inside)

    # --- what a guest does ---

    async def dhcp(self, timeout_s: float = 5.0) -> Lease:
        """Discover, offer, request, acknowledge; takes the lease's address and routes."""
        offer = await self._ask_dhcp(1, {}, timeout_s)
        wish = {50: socket.inet_aton(offer.address), 54: socket.inet_aton(offer.server)}
        lease = await self._ask_dhcp(3, wish, timeout_s)
        length = bin(int.from_bytes(lease.options[1], "big")).count("1")
        routes = dict(lease.routes)
        router = routes.get("0.0.0.0/0") or (socket.inet_ntoa(lease.options[3][:4]) if 3 in lease.options else None)
        self.configure(f"{lease.address}/{length}", router=router, metadata=routes.get("169.254.169.254/32"))
        return lease

    async def _ask_dhcp(self, kind: int, options: dict[int, bytes], timeout_s: float) -> Lease:
        mac = bytes.fromhex(self.port.mac.replace(":", ""))
        asked = {53: bytes([kind]), **options, 55: bytes([1, 3, 6, 15, 26, 121])}
        body = struct.pack("!BBBB4sHH", 1, 1, 6, 0, b"nova", 0, 0x8000) + b"\0" * 16 + mac.ljust(16, b"\0")
        body += b"\0" * 192 + b"\x63\x82\x53\x63"
        body += b"".join(bytes([code, len(value)]) + value for code, value in asked.items()) + b"\xff"
        udp = struct.pack("!HHHH", 68, 67, 8 + len(body), 0) + body
        head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\0" * 4, b"\xff" * 4)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        frame = BROADCAST + mac + b"\x08\x00" + head + udp

        def open_socket() -> socket.socket:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            raw.bind(("eth0", 0x0800))
            raw.setblocking(False)
            return raw

        loop, want = asyncio.get_running_loop(), {1: 2, 3: 5}[kind]
        with namespaces.run_in(self.netns, open_socket) as raw:
            async with asyncio.timeout(timeout_s):
                while True:
                    raw.send(frame)
                    try:
                        async with asyncio.timeout(0.5):
                            while True:
                                lease = parse_dhcp(await loop.sock_recv(raw, 2048))
                                if lease is not None and lease.options[53] == bytes([want]):
                                    return lease
                    except TimeoutError:
                        continue

    async def ping(self, target: str, timeout_s: float = 3.0, source: str | None = None) -> bool:
        return await ping_from(self.netns, target, timeout_s, source)

    async def connects(self, target: str, port: int, timeout_s: float = 1.0) -> bool:
        return await fetch_from(self.netns, target, port, b"", timeout_s) is not None

    async def fetch(self, target: str, port: int, request: bytes = b"", timeout_s: float = 5.0) -> bytes | None:
        return await fetch_from(self.netns, target, port, request, timeout_s)

    async def listen(self, port: int, body: bytes = b"hello") -> None:
        """Answers every connection with `body`."""
        self.servers.append(await listen_in(self.netns, port, body))

    async def look_up(self, name: str, server: str, timeout_s: float = 3.0, *, edns: bool = False) -> list[str]:
        """The IPv4 addresses of a name, by a plain query or one with an extension."""
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 1 if edns else 0)
        query += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\1\0\1"
        asked = len(query)
        query += b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns else b""

        def open_socket() -> socket.socket:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.connect((server, 53))
            udp.setblocking(False)
            return udp

        with namespaces.run_in(self.netns, open_socket) as udp:
            try:
                async with asyncio.timeout(timeout_s):
                    udp.send(query)
                    reply = await asyncio.get_running_loop().sock_recv(udp, 2048)
            except (TimeoutError, ConnectionRefusedError):
                return []
        count, at, found = struct.unpack("!H", reply[6:8])[0], asked, []
        for _ in range(count):
            at += 2 if reply[at] >= 0xC0 else reply.index(b"\0", at) - at + 1
            kind, _, _, length = struct.unpack("!HHIH", reply[at : at + 10])
            if kind == 1:
                found.append(socket.inet_ntoa(reply[at + 10 : at + 14]))
            at += 10 + length
        return found

    def addresses(self) -> list[str]:
        """All addresses of its device, with prefix lengths. Blocks."""

        def look() -> list[str]:
            with namespaces._netlink() as ip:
                index = namespaces._index(ip, "eth0")
                return [f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}" for one in ip.get_addr(index=index)]

        return namespaces.run_in(self.netns, look)

    async def ping6(self, target: str, timeout_s: float = 0.5) -> bool:
        def open_socket() -> socket.socket:
            raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            raw.setblocking(False)
            return raw

        mark = os.urandom(8)
        with namespaces.run_in(self.netns, open_socket) as raw:
            raw.sendto(struct.pack("!BBHHH", 128, 0, 0, 1, 1) + mark, (target, 0))
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        reply = await asyncio.get_running_loop().sock_recv(raw, 1024)
                        if reply[0] == 129 and reply.endswith(mark):
                            return True
            except TimeoutError:
                return False

    def close(self) -> None:
        for server in self.servers:
            server.close()


def parse_dhcp(frame: bytes) -> Lease | None:
    if len(frame) < 290 or frame[23] != 17 or struct.unpack("!H", frame[36:38])[0] != 68:
        return None
    body = frame[42:]
    options, at = {}, 240
    while at < len(body) and body[at] != 255:
        if body[at] == 0:
            at += 1
            continue
        length = body[at + 1]
        options[body[at]] = options.get(body[at], b"") + body[at + 2 : at + 2 + length]
        at += 2 + length
    return Lease(socket.inet_ntoa(body[16:20]), socket.inet_ntoa(options[54]), options)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


async def ping_from(netns: str, target: str, timeout_s: float, source: str | None = None) -> bool:
    """Whether one of several echo requests is answered in time."""

    def open_socket() -> socket.socket:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        if source is not None:
            raw.bind((source, 0))
        raw.setblocking(False)
        return raw

    mark = os.urandom(8)
    request = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + mark
    request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    loop = asyncio.get_running_loop()
    with namespaces.run_in(netns, open_socket) as raw:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        raw.sendto(request, (target, 0))
                    except OSError:
                        return False
                    try:
                        async with asyncio.timeout(0.2):
                            while True:
                                reply = await loop.sock_recv(raw, 1024)
                                if reply[20] == 0 and reply.endswith(mark):
                                    return True
                    except TimeoutError:
                        continue
        except TimeoutError:
            return False


async def fetch_from(netns: str, target: str, port: int, request: bytes, timeout_s: float) -> bytes | None:
    """Connect, send, read to the end; None when no connection came about."""

    def open_socket() -> socket.socket:
        tcp = socket.socket()
        tcp.setblocking(False)
        return tcp

    loop = asyncio.get_running_loop()
    with namespaces.run_in(netns, open_socket) as tcp:
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(tcp, (target, port))
                if request:
                    await loop.sock_sendall(tcp, request)
                body = b""
                while chunk := await loop.sock_recv(tcp, 65536):
                    body += chunk
                return body
        except (TimeoutError, OSError):
            return None


async def listen_in(netns: str, port: int, body: bytes) -> asyncio.Server:
    def open_socket() -> socket.socket:
        tcp = socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("0.0.0.0", port))
        tcp.setblocking(False)
        return tcp

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        writer.write(body.replace(b"PEER", peer.encode()))
        writer.close()

    return await asyncio.start_server(answer, sock=namespaces.run_in(netns, open_socket))
