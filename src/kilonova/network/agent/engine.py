"""The dataplane of one host: namespaces, databases, daemons, bridges; brought up, adopted, and taken down.

Everything runs in the cloud's own network namespace. The daemons are children that outlive us: starting again finds
and adopts them, so traffic never stops. What was made is written down under the state directory, so `teardown` removes
exactly that, also when another process made it.

A single machine without the kernel's datapath switches in userspace with TSO; then all offloads may stay on. TSO and
tunnels exclude one another there, so with an `encap_ip` offloads are off, on our veths and on guests' taps.

The *outside* is a namespace with the provider network's gateway address, joined to the provider bridge: what a guest
reaches through SNAT, and from where its floating IP is reached. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.ovsdb import Client, Ovs, OvsdbError
from kilonova.kernel.process import ChildState, Supervisor, running_in, stop_process
from kilonova.network.agent import daemons, namespaces
from kilonova.network.agent.config import EngineSettings
from kilonova.network.agent.daemons import DatabaseFile, Paths
from kilonova.network.agent.probe import has_kernel_datapath
from kilonova.network.drivers.driver import Abilities
from kilonova.network.drivers.ovn.chassis import GATEWAY_OPTION, VNET_HDR_OPTION
from kilonova.network.drivers.ovn.driver import Connections
from kilonova.network.drivers.ovn.names import mac_for

LOG = logging.getLogger(__name__)

INTEGRATION_BRIDGE = "br-int"
OUTSIDE_LINK, OUTSIDE_PEER = "outside0", "public0"
TUNNEL_OVERHEAD = 58
SIGN_OFF_S = 3.0


class EngineFailed(OSError):
    """The dataplane did not come up; the sentence says what stood in the way."""


@dataclass(frozen=True, slots=True)
class Datapath:
    """`kernel`: in the kernel. `tso`: in userspace, and packets may be larger than they are on the wire."""

    kernel: bool
    tso: bool

    @property
    def kind(self) -> str:
        return "system" if self.kernel else "netdev"

    @property
    def offloads(self) -> bool:
        """Whether senders may leave checksums to be filled in later."""
        return self.kernel or self.tso


def choose_datapath(wish: str, *, kernel: bool, has_tunnels: bool) -> Datapath:
    in_kernel = kernel if wish == "auto" else wish == "system"
    return Datapath(in_kernel, tso=not in_kernel and not has_tunnels)


class Engine:
    """One host's daemons and bridges. `start` may be repeated at any time and mends what it finds broken."""

    def __init__(self, settings: EngineSettings, supervisor: Supervisor | None = None, clock: Clock | None = None):
        self._clock = clock or SystemClock()
        self.settings = settings
        self.paths = Paths.under(settings.state_dir)
        self._supervisor = supervisor or Supervisor()
        self._datapath: Datapath | None = None

    @property
    def connections(self) -> Connections:
        """What the OVN driver connects to."""
        own = self.paths.remote
        return Connections(self.settings.northbound or own, self.settings.southbound or own)

    @property
    def ovs_connection(self) -> str:
        """What plugs interfaces."""
        return self.settings.ovs or self.paths.remote

    @property
    def datapath(self) -> Datapath:
        """Found out once, by asking the kernel."""
        if self._datapath is None:
            wish = self.settings.datapath
            kernel = wish != "netdev" and has_kernel_datapath()
            self._datapath = choose_datapath(wish, kernel=kernel, has_tunnels=self.settings.encap_ip is not None)
        return self._datapath

    @property
    def abilities(self) -> Abilities:
        return Abilities(physical_networks=tuple(self.settings.bridge_mappings), tenant_mtu=1500 - TUNNEL_OVERHEAD)

    async def start(self) -> None:
        """Raises ChildFailed or OSError; what has come up by then stays up."""
        try:
            await self._start()
        except OvsdbError as error:
            raise EngineFailed(f"the databases of {self.settings.host} cannot be used: {error}") from error

    async def _start(self) -> None:
        settings = self.settings
        datapath = await asyncio.to_thread(lambda: self.datapath)
        if settings.netns:
            self.note_namespace(settings.netns)
            await asyncio.to_thread(namespaces.create, settings.netns)
        if not settings.ovs:
            await self._start_switch()
        ovs = await Ovs.connect(self.ovs_connection)
        try:
            await ovs.configure(self._external_ids(), self._other_config())
            if not settings.ovs:
                await self._supervisor.ensure(daemons.vswitchd(self.paths, settings.netns, kernel=datapath.kernel))
            await ovs.add_bridge(INTEGRATION_BRIDGE, self._integration_bridge())
            for bridge in settings.bridge_mappings.values():
                await ovs.add_bridge(bridge, {"datapath_type": datapath.kind, "fail_mode": "standalone"})
            if settings.is_central:
                await self._supervisor.ensure(daemons.northd(self.paths, settings.netns))
            await self._until_bridge_answers()
            await self._supervisor.ensure(daemons.controller(self.paths, settings.netns))
            await self._join_provider_network(ovs)
        finally:
            await ovs.aclose()
        LOG.info("network engine of %s runs: %s datapath in namespace %s", settings.host, datapath.kind,
                 settings.netns or "(root)")  # fmt: skip

    async def stop(self) -> None:
        """Stop watching. Daemons and traffic go on."""
        await self._supervisor.aclose()

    async def teardown(self) -> None:
        """End the daemons and remove namespaces, bridges and links; the databases stay. May be repeated."""
        if not self.settings.netns:
            await self._remove_bridges()
        await self._supervisor.aclose()
        running = {one.name: one for one in running_in(self.paths.run)}
        if "ovn-controller" in running:
            await self._sign_off(running["ovn-controller"].pid)
        for name in reversed(daemons.NAMES):
            if name in running:
                await stop_process(running[name])
        for name in self._noted_namespaces():
            await asyncio.to_thread(_empty_and_remove, name)
        self._namespace_file.unlink(missing_ok=True)

    def states(self) -> tuple[ChildState, ...]:
        return self._supervisor.states()

    def note_namespace(self, name: str) -> None:
        """Write down, before it is made, that this namespace is ours to remove."""
        noted = self._noted_namespaces()
        if name not in noted:
            self._write_namespaces([*noted, name])

    def forget_namespace(self, name: str) -> None:
        self._write_namespaces([one for one in self._noted_namespaces() if one != name])

    def metadata_namespaces(self) -> list[str]:
        """Those that are written down, whether they still exist or not."""
        prefix = self.settings.metadata_netns("")
        return [name for name in self._noted_namespaces() if name.startswith(prefix)]

    async def remove_namespace(self, name: str) -> None:
        """Remove one that was written down, with all its links."""
        await asyncio.to_thread(_empty_and_remove, name)
        self.forget_namespace(name)

    # --- within ---

    @property
    def _namespace_file(self) -> Path:
        return self.paths.base / "namespaces.json"

    def _noted_namespaces(self) -> list[str]:
        try:
            return [str(one) for one in json.loads(self._namespace_file.read_text())]
        except FileNotFoundError:
            return []

    def _write_namespaces(self, names: list[str]) -> None:
        self.paths.base.mkdir(parents=True, exist_ok=True)
        beside = self._namespace_file.with_suffix(".new")
        beside.write_text(json.dumps(names))
        beside.replace(self._namespace_file)

    async def _start_switch(self) -> None:
        """The database server, with its databases made or brought to the installed schema before it starts."""
        self.paths.run.mkdir(parents=True, exist_ok=True)
        central = self.settings.is_central
        if not any(one.name == "ovsdb-server" for one in running_in(self.paths.run)):
            for database in daemons.databases(self.paths, central=central):
                await asyncio.to_thread(_make_or_convert, database)
        await self._supervisor.ensure(daemons.ovsdb_server(self.paths, self.settings.netns, central=central))
        if central:
            await self._initialise_ovn()

    async def _until_bridge_answers(self) -> None:
        """ovn-controller that finds no bridge to talk to looks again only after a second. Short, and not essential."""
        control = self.paths.run / f"{INTEGRATION_BRIDGE}.mgmt"
        for _ in range(200):
            if self.settings.ovs or control.is_socket():
                return
            await self._clock.sleep(0.005)

    async def _initialise_ovn(self) -> None:
        """The one row each OVN database has, and no chassis of a name this host had before."""
        client = await Client.connect(self.paths.remote)
        try:
            for database, table in (("OVN_Northbound", "NB_Global"), ("OVN_Southbound", "SB_Global")):
                found = await client.transact(database, [{"op": "select", "table": table, "where": []}])
                if not found[0]["rows"]:
                    await client.transact(database, [{"op": "insert", "table": table, "row": {}}])
            if self.settings.encap_ip is None:  # the only host there is
                other = [["name", "!=", self.settings.host]]
                gone = [{"op": "delete", "table": table, "where": other} for table in ("Chassis", "Chassis_Private")]
                await client.transact("OVN_Southbound", gone)
        finally:
            await client.aclose()

    def _external_ids(self) -> dict[str, str]:
        settings, datapath = self.settings, self.datapath
        options = [f"{VNET_HDR_OPTION}={'true' if datapath.offloads else 'false'}"]
        if settings.bridge_mappings:
            options.insert(0, GATEWAY_OPTION)
        return {
            "system-id": settings.host,
            "hostname": settings.host,
            "rundir": str(self.paths.run),
            "ovn-remote": self.connections.southbound,
            "ovn-encap-type": settings.encap_type,
            "ovn-encap-ip": settings.encap_ip or "127.0.0.1",
            "ovn-bridge": INTEGRATION_BRIDGE,
            "ovn-bridge-datapath-type": datapath.kind,
            "ovn-bridge-mappings": ",".join(f"{wire}:{bridge}" for wire, bridge in settings.bridge_mappings.items()),
            "ovn-cms-options": ",".join(options),
        }

    def _integration_bridge(self) -> dict[str, object]:
        """As ovn-controller would make it; made before, because it looks again only after a second."""
        config = {"disable-in-band": "true", "hwaddr": mac_for(self.settings.host)}
        return {"datapath_type": self.datapath.kind, "fail_mode": "secure", "other_config": config}

    def _other_config(self) -> dict[str, str]:
        """TSO is read once, when the switch starts: it is set before."""
        return {"userspace-tso-enable": "true" if self.datapath.tso else "false"}

    async def _join_provider_network(self, ovs: Ovs) -> None:
        settings = self.settings
        bridge = next(iter(settings.bridge_mappings.values()), None)
        if bridge is None:
            return
        if settings.provider_interface is not None:
            await ovs.add_port(bridge, settings.provider_interface)
        elif settings.outside_address is not None:
            self.note_namespace(settings.outside_netns)
            await asyncio.to_thread(self._make_outside, settings.outside_address)
            await ovs.add_port(bridge, OUTSIDE_LINK)

    def _make_outside(self, address: str) -> None:
        settings, offloads = self.settings, self.datapath.offloads
        namespaces.create(settings.outside_netns)

        def here() -> None:
            namespaces.make_veth(OUTSIDE_LINK, OUTSIDE_PEER, settings.outside_netns)
            namespaces.set_up(OUTSIDE_LINK, offloads=offloads)

        def there() -> None:
            namespaces.set_up(OUTSIDE_PEER, addresses=[address], offloads=offloads)

        namespaces.run_in(settings.netns, here)
        namespaces.run_in(settings.outside_netns, there)

    async def _sign_off(self, pid: int) -> None:
        """Told to exit, the controller takes its host out of the southbound database; a signal would leave it in."""
        with contextlib.suppress(OvsdbError, TimeoutError):
            control = await Client.connect(f"unix:{self.paths.run}/ovn-controller.{pid}.ctl")
            try:
                async with asyncio.timeout(SIGN_OFF_S):
                    await control.call("exit", [])
                    await control.closed.wait()  # it answers first and signs off then
            finally:
                await control.aclose()

    async def _remove_bridges(self) -> None:
        """Only needed in the machine's own namespace: with a namespace of ours everything goes with it."""
        with contextlib.suppress(OvsdbError):
            ovs = await Ovs.connect(self.ovs_connection)
            try:
                for bridge in (INTEGRATION_BRIDGE, *self.settings.bridge_mappings.values()):
                    await ovs.del_bridge(bridge)
                await self._clock.sleep(0.3)  # the switch takes its devices down
            finally:
                await ovs.aclose()
            await asyncio.to_thread(namespaces.delete_link, OUTSIDE_LINK)


def _empty_and_remove(name: str) -> None:
    """Links first: a namespace that some process still holds would keep its taps otherwise."""
    if namespaces.exists(name):

        def empty() -> None:
            for link in namespaces.links():
                if link != "lo":
                    namespaces.delete_link(link)

        namespaces.run_in(name, empty)
    namespaces.remove(name)


def _make_or_convert(database: DatabaseFile) -> None:
    """Blocking. The server must not run. A database that was half made when we died is made again."""
    if not database.file.exists():
        beside = database.file.with_suffix(".new")
        beside.unlink(missing_ok=True)
        _tool("create", beside, database.schema)
        beside.replace(database.file)
    elif _tool("needs-conversion", database.file, database.schema).strip() == "yes":
        LOG.info("converting %s to schema %s", database.file, database.version())
        _tool("convert", database.file, database.schema)


def _tool(verb: str, file: Path, schema: Path) -> str:
    command = ["ovsdb-tool", verb, str(file), str(schema)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
