"""The network driver over OVN: plans made from a replica of the northbound database, one transaction an `apply`.

No thread, no subprocess. The southbound database is only read: which hosts there are, what they can, and whether they
answer. When hosts come or go, the gateways of routers are placed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.ovsdb import Disconnected, OvsdbError, Replica, TransactionFailed, Uuid
from kilonova.kernel.ovsdb.wire import Row as Real
from kilonova.network.drivers.driver import (
    Abilities,
    BadSpec,
    Binding,
    Change,
    Difference,
    HostAgent,
    Kind,
    NotAble,
    PortEvent,
    PortListener,
    PortSpec,
    Put,
    RouterSpec,
    Spec,
    Unreachable,
    in_order,
    kind_of,
)
from kilonova.network.drivers.ovn import names
from kilonova.network.drivers.ovn.acls import DROP_OWNER, drop_rows
from kilonova.network.drivers.ovn.chassis import Chassis, gateways_for
from kilonova.network.drivers.ovn.plan import Mirror, Operation, Plan, difference_of, strays
from kilonova.network.drivers.ovn.rows import COLUMNS, SLOT_COLUMNS, TABLES, Owner, Row, owner_of
from kilonova.network.drivers.ovn.translate import Settings, gateway_rows, rows_of
from kilonova.network.drivers.validate import check

LOG = logging.getLogger(__name__)

NORTHBOUND, SOUTHBOUND = "OVN_Northbound", "OVN_Southbound"
SPECS_AT_ONCE = 50
CHASSIS_TABLES = {"Chassis": ["name", "hostname", "other_config"], "Chassis_Private": ["name", "nb_cfg"]}


@dataclass(frozen=True, slots=True)
class Connections:
    """Where the two databases are, as "unix:/path" or "tcp:host:port", several with commas between."""

    northbound: str
    southbound: str


@dataclass(frozen=True, slots=True)
class Timing:
    """`connect_s`: how long a call waits for a lost connection. `heartbeat_s`: how often hosts are asked for an
    answer.
    """

    connect_s: float = 3.0
    answer_s: float = 15.0
    heartbeat_s: float = 30.0


class OvnDriver:
    """See kilonova.network.drivers.driver.NetworkDriver for the contract."""

    def __init__(
        self,
        connections: Connections,
        settings: Settings | None = None,
        abilities: Abilities | None = None,
        timing: Timing | None = None,
        clock: Clock | None = None,
    ):
        self._settings = settings or Settings()
        self._abilities = abilities or Abilities()
        self._timing = timing or Timing()
        self._clock = clock or SystemClock()
        self._nb = Replica(connections.northbound, NORTHBOUND, {**_columns(), "NB_Global": ["nb_cfg"]})
        self._sb = Replica(connections.southbound, SOUTHBOUND, CHASSIS_TABLES)
        self._mirror = Mirror()
        self._listeners: list[PortListener] = []
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._place_again = asyncio.Event()
        self._nb.on_change(self._note)
        self._nb.on_sync(self._tell_all_ports)
        self._sb.on_change(self._note_chassis)

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    # --- life ---

    async def start(self) -> None:
        if self._tasks:
            return
        await self._nb.start()
        await self._sb.start()
        self._tasks.add(asyncio.create_task(self._place_gateways_forever(), name="ovn gateways"))
        self._tasks.add(asyncio.create_task(self._heartbeat(), name="ovn heartbeat"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._nb.stop()
        await self._sb.stop()

    # --- writing ---

    async def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, Put):
                check(change.spec)
        await self._write(lambda: self._plan(changes).operations())

    def _plan(self, changes: Sequence[Change]) -> Plan:
        plan = Plan(self._mirror)
        if not self._mirror.owned(DROP_OWNER):
            plan.put(DROP_OWNER, drop_rows())
        for change in changes:
            if not isinstance(change, Put):
                plan.drop(Owner(change.kind, change.id))
                continue
            owner = Owner(kind_of(change.spec), change.spec.id)
            there = self._mirror.revision(owner)
            if there > change.spec.revision:
                LOG.info("ovn: %s revision %d is older than %d, skipped", owner, change.spec.revision, there)
                continue
            plan.put(owner, self._rows(change.spec))
        return plan

    async def _write(self, plan: Callable[[], list[Operation]]) -> None:
        """Plan and write under one lock, so a plan never overlooks what another is just writing."""
        async with self._writing:
            await self._ready()
            for attempt in (1, 2):
                operations = plan()
                if not operations:
                    return
                try:
                    await self._nb.transact(operations, self._timing.answer_s)
                    return
                except TransactionFailed as error:
                    if attempt == 2:
                        raise BadSpec(f"OVN refuses the change: {error}") from error
                    LOG.warning("ovn: transaction refused, trying once more: %s", error)
                except OvsdbError as error:
                    raise Unreachable(str(error)) from error

    async def _ready(self, replica: Replica | None = None) -> None:
        try:
            await (replica or self._nb).synced(self._timing.connect_s)
        except Disconnected as error:
            raise Unreachable(str(error)) from error

    def _rows(self, spec: Spec) -> list[Row]:
        chassis = self._gateways(spec) if isinstance(spec, RouterSpec) else ()
        return rows_of(spec, self._settings, chassis)

    # --- reading ---

    async def bind_port(self, port: PortSpec, host: str) -> Binding:
        await self._ready()
        await self._ready(self._sb)
        chassis = next((one for one in self._chassis() if host in (one.host, one.name)), None)
        if chassis is None:
            raise NotAble(f"host {host} has no chassis in OVN: is its network agent running?")
        if port.vnic_type != "normal":
            raise NotAble(f"ports of type {port.vnic_type} cannot be carried")
        wire = self._physical_network(port.network_id)
        if wire is not None and wire not in chassis.physical_networks:
            raise NotAble(f"host {host} is not connected to the physical network {wire}")
        details: dict[str, object] = {
            "port_filter": True,
            "connectivity": "l2",
            "bound_drivers": {"0": "ovn"},
            "bridge_name": "br-int",
            "datapath_type": chassis.datapath_type,
            "vnet_hdr": chassis.vnet_hdr,
        }
        switch = self._mirror.find("Logical_Switch", names.switch(port.network_id))
        if switch is not None:
            details["mtu"] = int(self._mirror.rows["Logical_Switch", switch]["external_ids"]["neutron:mtu"])
        return Binding("ovs", details)

    async def differences(self, wanted: Iterable[Spec]) -> Sequence[Difference]:
        """Pauses now and then: a whole cloud takes longer than others should wait."""
        await self._ready()
        specs = list(wanted)
        owners = {Owner(kind_of(spec), spec.id) for spec in specs} | {DROP_OWNER}
        found = [difference_of(self._mirror, DROP_OWNER, drop_rows())]
        for number, spec in enumerate(specs):
            if number % SPECS_AT_ONCE == SPECS_AT_ONCE - 1:
                await asyncio.sleep(0)
            found.append(difference_of(self._mirror, Owner(kind_of(spec), spec.id), self._rows(spec)))
        return in_order([*strays(self._mirror, owners), *(one for one in found if one is not None)])

    async def ports_up(self) -> Mapping[str, bool]:
        await self._ready()
        return {port: up for port, up, _ in self._ports()}

    async def agents(self) -> Sequence[HostAgent]:
        now = next((row["nb_cfg"] for row in self._nb.rows["NB_Global"].values()), 0)
        return [
            HostAgent(one.host, one.name, one.cfg >= now - 1, one.is_gateway, one.physical_networks)
            for one in self._chassis()
        ]

    # --- events ---

    def on_port_event(self, listener: PortListener) -> None:
        self._listeners.append(listener)

    def _note(self, table: str, uuid: Uuid, old: Real | None, new: Real | None) -> None:
        if table == "NB_Global":
            return
        self._mirror.note(table, uuid, old, new)
        if table == "Logical_Switch_Port" and new is not None and self._nb.is_synced:
            before = bool(old and old["up"])
            if bool(new["up"]) != before and (table, uuid) in self._mirror.rows:
                self._tell(new["name"], not before, new["external_ids"].get("neutron:host_id"))

    def _tell_all_ports(self) -> None:
        for port, up, host in self._ports():
            self._tell(port, up, host)
        self._place_again.set()

    def _ports(self) -> list[tuple[str, bool, str | None]]:
        return [
            (real["name"], bool(real["up"]), real["external_ids"].get("neutron:host_id"))
            for (table, _), real in self._mirror.rows.items()
            if table == "Logical_Switch_Port" and real["external_ids"]["kilonova:owner"].startswith(f"{Kind.PORT}/")
        ]

    def _tell(self, port_id: str, up: bool, host: str | None) -> None:
        for listener in self._listeners:
            listener(PortEvent(port_id, up, host or None))

    # --- hosts and gateways ---

    def _note_chassis(self, table: str, _uuid: Uuid, old: Real | None, new: Real | None) -> None:
        if table == "Chassis" and old != new:
            self._place_again.set()

    def _chassis(self) -> list[Chassis]:
        private = {row["name"]: row for row in self._sb.rows["Chassis_Private"].values()}
        return [Chassis.read(row, private.get(row["name"])) for row in self._sb.rows["Chassis"].values()]

    def _physical_network(self, network_id: str) -> str | None:
        uuid = self._mirror.find("Logical_Switch_Port", names.localnet(network_id))
        if uuid is None:
            return None
        return str(self._mirror.rows["Logical_Switch_Port", uuid]["options"].get("network_name", "")) or None

    def _gateways(self, spec: RouterSpec) -> tuple[str, ...]:
        if spec.gateway is None:
            return ()
        now = self._placed(Owner(Kind.ROUTER, spec.id))
        if not self._sb.is_synced:  # which hosts there are is not known: leave it where it is
            return tuple(now)
        wire = self._physical_network(spec.gateway.network_id)
        return gateways_for(spec.id, wire, self._chassis(), now)

    def _placed(self, router: Owner) -> list[str]:
        """Where a router's gateway may be now, best first."""
        places = [self._mirror.rows[place] for place in self._mirror.owned(router) if place[0] == "Gateway_Chassis"]
        return [row["chassis_name"] for row in sorted(places, key=lambda row: -row["priority"])]

    async def _place_gateways_forever(self) -> None:
        while True:
            await self._place_again.wait()
            self._place_again.clear()
            try:
                await self._write(self._plan_gateways)
            except (Unreachable, BadSpec) as error:
                LOG.warning("ovn: gateways of routers could not be placed again: %s", error)

    def _plan_gateways(self) -> list[Operation]:
        """Put each router that has a gateway on the chassis that can carry it now, from what is in the database."""
        if not self._sb.is_synced:
            return []
        plan, chassis = Plan(self._mirror), self._chassis()
        for (table, _), real in self._mirror.rows.items():
            port_id = real["external_ids"].get("neutron:gw_port_id") if table == "Logical_Router" else None
            owner = owner_of(real)
            port = self._mirror.find("Logical_Router_Port", names.router_port(port_id)) if port_id else None
            if owner is None or port is None or port_id is None:
                continue
            switch = self._mirror.rows["Logical_Router_Port", port]["external_ids"].get("neutron:network_name", "")
            wire = self._physical_network(switch.removeprefix("neutron-"))
            best = gateways_for(owner.id, wire, chassis, self._placed(owner))
            plan.put(owner, gateway_rows(owner, names.router_port(port_id), best), only="Gateway_Chassis")
        return plan.operations()

    async def _heartbeat(self) -> None:
        """Ask all hosts for an answer now and then: who does not raise its nb_cfg to ours has no live controller."""
        while True:
            with contextlib.suppress(OvsdbError):
                raise_cfg = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
                if self._nb.is_synced:
                    await self._nb.transact([raise_cfg], self._timing.answer_s)
            await self._clock.sleep(self._timing.heartbeat_s)


def _columns() -> dict[str, list[str] | None]:
    """Only what plans need: columns that OVN fills in by itself would wake us for nothing."""
    extra = {"Logical_Switch_Port": ["up"]}
    return {table: [*COLUMNS[table], *SLOT_COLUMNS.get(table, ()), *extra.get(table, ())] for table in TABLES}
