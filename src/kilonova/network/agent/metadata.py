"""Metadata (and names) for all networks of a host, from one process: a namespace and sockets for each network.

A network is served here while a guest of this host is on it. Its namespace has one half of a veth pair with the
addresses of the network's metadata port (a `localport`: every host has it) and 169.254.169.254; the socket is opened
inside and served from our event loop. What there is to serve is read from OVN's southbound database, and compared with
what is served whenever it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections import defaultdict
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.http import Client as HttpClient
from kilonova.kernel.ovsdb import Ovs, OvsdbError, Replica, Uuid
from kilonova.kernel.ovsdb.wire import Row as Real
from kilonova.kernel.web.listen import serve_socket
from kilonova.network.agent import namespaces
from kilonova.network.agent.engine import INTEGRATION_BRIDGE, Engine
from kilonova.network.agent.metadata_proxy import Asker, MetadataProxy
from kilonova.network.agent.names import NameServer
from kilonova.network.drivers.ovn.rows import NAMES

LOG = logging.getLogger(__name__)

METADATA_ADDRESS, METADATA_PORT, NAMES_PORT = "169.254.169.254", 80, 53
PEER = "md0"
CONNECTIONS_A_NETWORK = 200
"""Each network has its own limit, so that none can starve another."""
RETRY_S = 2.0

TABLES: Mapping[str, list[str]] = {
    "Chassis": ["name"],
    "Datapath_Binding": ["external_ids"],
    "Port_Binding": ["logical_port", "type", "chassis", "datapath", "mac", "external_ids"],
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a network needs here. `addresses`: with their prefix lengths, 169.254.169.254 among them."""

    network_id: str
    datapath: Uuid
    port_id: str
    mac: str
    addresses: tuple[str, ...]

    @property
    def link(self) -> str:
        return f"md-{self.port_id[:11]}"


class Bindings:
    """The southbound ports by datapath, kept current. Pure but for being fed."""

    def __init__(self) -> None:
        self._ports: dict[Uuid, dict[Uuid, Real]] = defaultdict(dict)
        self._names: dict[Uuid, str] = {}
        self._chassis: dict[Uuid, str] = {}

    def note(self, table: str, uuid: Uuid, old: Real | None, new: Real | None) -> None:
        match table:
            case "Chassis":
                _note(self._chassis, uuid, None if new is None else new["name"])
            case "Datapath_Binding":
                _note(self._names, uuid, None if new is None else new["external_ids"].get("name", ""))
            case "Port_Binding":
                if old is not None:
                    self._ports[old["datapath"]].pop(uuid, None)
                if new is not None:
                    self._ports[new["datapath"]][uuid] = new

    def find(self, datapath: Uuid, address: str) -> Asker | None:
        """The server whose port has the address."""
        for row in self._ports.get(datapath, {}).values():
            ids = row["external_ids"]
            if row["type"] == "" and ids.get("neutron:device_id") and _has_address(row, address):
                return Asker(ids["neutron:device_id"], ids.get("neutron:project_id", ""))
        return None

    def records(self, datapath: Uuid) -> Mapping[str, str]:
        """Name -> addresses, and reverse name -> name, of all ports of a network."""
        found: dict[str, str] = {}
        for row in self._ports.get(datapath, {}).values():
            ids = row["external_ids"]
            addresses = [cidr.partition("/")[0] for cidr in ids.get("neutron:cidrs", "").split()]
            for name in ids.get(NAMES, "").split():
                found[name] = " ".join(addresses)
                found |= {ipaddress.ip_address(one).reverse_pointer: name for one in addresses}
        return found

    def wanted(self, chassis: str) -> dict[str, Wanted]:
        """What this chassis shall serve, by network."""
        found = {}
        for datapath, ports in self._ports.items():
            local = next((row for row in ports.values() if row["type"] == "localport"), None)
            name = self._names.get(datapath, "")
            guests = (row for row in ports.values() if row["type"] == "" and row["chassis"] is not None)
            if local is None or not name.startswith("neutron-") or not local["mac"]:
                continue
            if any(self._chassis.get(row["chassis"]) == chassis for row in guests):
                network_id = name.removeprefix("neutron-")
                cidrs = local["external_ids"].get("neutron:cidrs", "").split()
                addresses = (*sorted(cidrs), f"{METADATA_ADDRESS}/32")
                mac = next(iter(local["mac"])).split()[0]
                found[network_id] = Wanted(network_id, datapath, local["logical_port"], mac, addresses)
        return found


def _note(held: dict[Uuid, str], uuid: Uuid, value: str | None) -> None:
    if value is None:
        held.pop(uuid, None)
    else:
        held[uuid] = value


def _has_address(row: Real, address: str) -> bool:
    return any(address in one.split()[1:] for one in row["mac"])


@dataclass(frozen=True, slots=True)
class _Sockets:
    """Opened inside a network's namespace: one for metadata, one a address for names."""

    metadata: socket.socket
    names: tuple[socket.socket, ...]


@dataclass(frozen=True, slots=True)
class _Served:
    wanted: Wanted
    server: asyncio.Server
    names: tuple[asyncio.DatagramTransport, ...]

    def close(self) -> None:
        self.server.close()
        for transport in self.names:
            transport.close()


class MetadataAgent:
    """Serves the networks of the host whose engine this is. `compute`: a client of compute's metadata service."""

    def __init__(self, engine: Engine, compute: HttpClient, secret: str, clock: Clock | None = None):
        self._engine, self._compute, self._secret = engine, compute, secret
        self._clock = clock or SystemClock()
        self._bindings = Bindings()
        self._sb = Replica(engine.connections.southbound, "OVN_Southbound", TABLES)
        self._sb.on_change(self._note)
        self._sb.on_sync(lambda: self._changed.set())
        self._changed = asyncio.Event()
        self._served: dict[str, _Served] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """After the engine's start. Returns at once; networks are served as they are found."""
        await self._sb.start()
        self._task = asyncio.create_task(self._serve_forever(), name="metadata agent")

    async def stop(self) -> None:
        """Close the sockets. Namespaces stay, to be taken up again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for served in self._served.values():
            served.close()
        self._served.clear()
        await self._sb.stop()

    @property
    def networks(self) -> tuple[str, ...]:
        """The ids of the networks that are served now."""
        return tuple(self._served)

    def _note(self, table: str, uuid: Uuid, old: Real | None, new: Real | None) -> None:
        self._bindings.note(table, uuid, old, new)
        self._changed.set()

    async def _serve_forever(self) -> None:
        await self._sb.synced(3600.0)
        while True:
            self._changed.clear()
            wanted = self._bindings.wanted(self._engine.settings.host)
            all_done = await self._converge(wanted)
            if all_done:
                await self._changed.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_S):
                        await self._changed.wait()

    async def _converge(self, wanted: Mapping[str, Wanted]) -> bool:
        """Serve what is wanted, and nothing else. False when something failed and should be tried again."""
        all_done = True
        known = {self._engine.settings.metadata_netns(network_id): network_id for network_id in self._served}
        left_over = [name for name in self._engine.metadata_namespaces() if name not in known]
        needed = {self._engine.settings.metadata_netns(network_id) for network_id in wanted}
        for name in left_over:
            if name not in needed:
                await self._engine.remove_namespace(name)
        for network_id in [one for one in self._served if one not in wanted]:
            all_done &= await self._attempt(network_id, self._stop_serving(network_id))
        for network_id, one in wanted.items():
            served = self._served.get(network_id)
            if served is None or served.wanted != one:
                all_done &= await self._attempt(network_id, self._serve(one))
        return all_done

    async def _attempt(self, network_id: str, work: Awaitable[None]) -> bool:
        try:
            await work
        except (OSError, OvsdbError) as error:
            LOG.error("metadata: network %s will be tried again: %s", network_id, error)
            return False
        except Exception:  # one network must not end the loop that serves all
            LOG.exception("metadata: network %s will be tried again", network_id)
            return False
        return True

    async def _serve(self, wanted: Wanted) -> None:
        netns = self._engine.settings.metadata_netns(wanted.network_id)
        self._engine.note_namespace(netns)
        before = self._served.pop(wanted.network_id, None)
        if before is not None:
            before.close()
        sockets = await asyncio.to_thread(self._prepare, wanted, netns)
        served = await self._serve_sockets(wanted, sockets)
        try:
            await self._plug(wanted)
        except BaseException:
            served.close()
            raise
        self._served[wanted.network_id] = served
        LOG.info("metadata: network %s is served", wanted.network_id)

    async def _serve_sockets(self, wanted: Wanted, sockets: _Sockets) -> _Served:
        app = MetadataProxy(lambda address: self._bindings.find(wanted.datapath, address), self._compute, self._secret)
        server = await serve_socket(app, sockets.metadata, most_connections=CONNECTIONS_A_NETWORK)
        names = [await self._answer_names(wanted.datapath, one) for one in sockets.names]
        return _Served(wanted, server, tuple(names))

    async def _plug(self, wanted: Wanted) -> None:
        ovs = await Ovs.connect(self._engine.ovs_connection)
        try:
            await ovs.add_port(INTEGRATION_BRIDGE, wanted.link, {"iface-id": wanted.port_id})
        finally:
            await ovs.aclose()

    async def _answer_names(self, datapath: Uuid, opened: socket.socket) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: NameServer(lambda: self._bindings.records(datapath)), sock=opened
        )
        return transport

    def _prepare(self, wanted: Wanted, netns: str) -> _Sockets:
        """Blocking: namespace, link and the sockets inside."""
        offloads = self._engine.datapath.offloads

        def here() -> None:
            namespaces.make_veth(wanted.link, PEER, netns)
            namespaces.set_up(wanted.link, offloads=offloads)

        def there() -> _Sockets:
            namespaces.set_up(PEER, mac=wanted.mac, addresses=wanted.addresses, offloads=offloads)
            with contextlib.ExitStack() as opened:
                metadata = opened.enter_context(_open(socket.SOCK_STREAM, METADATA_ADDRESS, METADATA_PORT))
                metadata.listen(128)
                addresses = (one.partition("/")[0] for one in wanted.addresses)
                names = [opened.enter_context(_open(socket.SOCK_DGRAM, one, NAMES_PORT)) for one in addresses]
                opened.pop_all()
            return _Sockets(metadata, tuple(names))

        namespaces.create(netns)
        namespaces.run_in(self._engine.settings.netns, here)
        return namespaces.run_in(netns, there)

    async def _stop_serving(self, network_id: str) -> None:
        served = self._served.pop(network_id)
        served.close()
        ovs = await Ovs.connect(self._engine.ovs_connection)
        try:
            await ovs.del_port(served.wanted.link)
        finally:
            await ovs.aclose()
        netns = self._engine.settings.metadata_netns(network_id)
        await self._engine.remove_namespace(netns)
        LOG.info("metadata: network %s has no guest here any more", network_id)


def _open(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened
