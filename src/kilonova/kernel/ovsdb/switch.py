"""What we ask of Open vSwitch on one host: bridges, ports, and the settings of the whole switch.

Each method is one short transaction that may be repeated. Plugging says nothing about when packets flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.ovsdb.client import Client, OvsdbError, TransactionFailed
from kilonova.kernel.ovsdb.wire import Named, Schema, Uuid, decode_row, encode, encode_row, encode_set

DATABASE = "Open_vSwitch"


class NoBridge(OvsdbError):
    """The bridge a port should go to is not there: the daemons of the host are not set up."""


class Ovs:
    """Over a client connected to the database "Open_vSwitch"."""

    def __init__(self, client: Client):
        self._client = client
        self._schema: Schema | None = None

    @classmethod
    async def connect(cls, remote: str) -> Ovs:
        return cls(await Client.connect(remote))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def add_port(
        self,
        bridge: str,
        name: str,
        external_ids: Mapping[str, str] | None = None,
        *,
        kind: str = "",
        options: Mapping[str, str] | None = None,
        mtu: int | None = None,
        port_external_ids: Mapping[str, str] | None = None,
    ) -> None:
        """Have the device `name` as a port of `bridge`, with exactly these external_ids on its interface.

        `kind`: "" for a device of the machine, "internal", "patch"... A port of that name on another bridge
        moves. Raises NoBridge.
        """
        interface = {
            "type": kind,
            "external_ids": dict(external_ids or {}),
            "options": dict(options or {}),
            "mtu_request": mtu,
        }
        bridges, ports = await self._find(name)
        if bridge not in bridges:
            raise NoBridge(f"there is no bridge {bridge}; start the network agent of this host first")
        operations: list[dict[str, Any]] = []
        if ports:
            uuid, holder = ports[0]["_uuid"], _holder(bridges, ports[0]["_uuid"])
            operations.append(_update("Interface", ["name", "==", name], interface))
            operations.append(_update("Port", ["_uuid", "==", encode(uuid)], _ids(port_external_ids)))
            if holder != bridge:
                if holder is not None:
                    operations.append(_mutate_ports(holder, "delete", uuid))
                operations.append(_mutate_ports(bridge, "insert", uuid))
        else:
            port = {"name": name, "interfaces": [Named("i")], **_ids(port_external_ids)}
            operations.append(_insert("Interface", "i", {"name": name, **interface}))
            operations.append(_insert("Port", "p", port))
            operations.append(_mutate_ports(bridge, "insert", Named("p")))
        await self._run(operations)

    async def del_port(self, name: str) -> None:
        """Let no bridge have a port of that name."""
        bridges, ports = await self._find(name)
        if ports and (holder := _holder(bridges, ports[0]["_uuid"])) is not None:
            await self._run([_mutate_ports(holder, "delete", ports[0]["_uuid"])])

    async def add_bridge(self, name: str, settings: Mapping[str, Any]) -> None:
        """Have a bridge with these columns (and its own internal port)."""
        bridges, _ = await self._find(name)
        if name in bridges:
            await self._run([_update("Bridge", ["name", "==", name], settings)])
            return
        bridge = {"name": name, "ports": [Named("p")], **settings}
        await self._run(
            [
                _insert("Interface", "i", {"name": name, "type": "internal"}),
                _insert("Port", "p", {"name": name, "interfaces": [Named("i")]}),
                _insert("Bridge", "b", bridge),
                _mutate("Open_vSwitch", [], [["bridges", "insert", encode_set([Named("b")])]]),
            ]
        )

    async def del_bridge(self, name: str) -> None:
        bridges, _ = await self._find(name)
        if name in bridges:
            gone = encode_set([bridges[name]["_uuid"]])
            await self._run([_mutate("Open_vSwitch", [], [["bridges", "delete", gone]])])

    async def configure(self, external_ids: Mapping[str, str], other_config: Mapping[str, str]) -> None:
        """Set these keys of the whole switch; other keys stay. Makes the switch's one row when it is
        missing.
        """
        rows = await self._client.transact(DATABASE, [{"op": "select", "table": "Open_vSwitch", "where": []}])
        if not rows[0]["rows"]:
            row = {"external_ids": dict(external_ids), "other_config": dict(other_config)}
            await self._client.transact(DATABASE, [_insert("Open_vSwitch", "o", row)])
            return
        mutations: list[Any] = []
        for column, wanted in (("external_ids", external_ids), ("other_config", other_config)):
            if wanted:
                mutations.append([column, "delete", encode_set(wanted)])
                mutations.append([column, "insert", encode(dict(wanted))])
        if mutations:
            await self._run([_mutate("Open_vSwitch", [], mutations)])

    async def ports(self, bridge: str) -> dict[str, dict[str, Any]]:
        """Name -> row of Interface (name, external_ids, ofport, error, type) for each port of a bridge."""
        columns = ["_uuid", "name", "external_ids", "ofport", "error", "type", "statistics", "mtu"]
        bridges, interfaces, ports = await self._select(
            ("Bridge", [["name", "==", bridge]], ["ports"]),
            ("Interface", [], columns),
            ("Port", [], ["_uuid", "interfaces"]),
        )
        by_uuid = {row["_uuid"]: row for row in interfaces}
        held: set[Uuid] = set().union(*(row["ports"] for row in bridges))
        found = [by_uuid[i] for port in ports if port["_uuid"] in held for i in port["interfaces"]]
        return {row["name"]: row for row in found}

    async def _find(self, port: str) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
        bridges, ports = await self._select(
            ("Bridge", [], ["_uuid", "name", "ports"]),
            ("Port", [["name", "==", port]], ["_uuid", "name"]),
        )
        return {row["name"]: row for row in bridges}, ports

    async def _select(self, *queries: tuple[str, list[Any], list[str]]) -> list[list[dict[str, Any]]]:
        schema = await self._known_schema()
        selects = [
            {"op": "select", "table": table, "where": where, "columns": columns} for table, where, columns in queries
        ]
        results = await self._client.transact(DATABASE, selects)
        return [
            [decode_row(schema.tables[query[0]], row) for row in result["rows"]]
            for query, result in zip(queries, results, strict=True)
        ]

    async def _known_schema(self) -> Schema:
        if self._schema is None:
            self._schema = await self._client.schema(DATABASE)
        return self._schema

    async def _run(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Raising next_cfg with the change is what the protocol asks of whoever configures a switch."""
        raise_cfg = _mutate("Open_vSwitch", [], [["next_cfg", "+=", 1]])
        results = await self._client.transact(DATABASE, [*operations, raise_cfg])
        if results[-1].get("count") == 0:
            raise TransactionFailed("no switch", "the database has no row in Open_vSwitch: configure() it first")


def _holder(bridges: Mapping[str, Mapping[str, Any]], port: Uuid) -> str | None:
    return next((name for name, row in bridges.items() if port in row["ports"]), None)


def _ids(external_ids: Mapping[str, str] | None) -> dict[str, Any]:
    return {"external_ids": dict(external_ids or {})}


def _insert(table: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"op": "insert", "table": table, "uuid-name": name, "row": encode_row(row)}


def _update(table: str, condition: list[Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {"op": "update", "table": table, "where": [condition], "row": encode_row(row)}


def _mutate(table: str, where: list[Any], mutations: list[Any]) -> dict[str, Any]:
    return {"op": "mutate", "table": table, "where": where, "mutations": mutations}


def _mutate_ports(bridge: str, mutator: str, port: Uuid | Named) -> dict[str, Any]:
    return _mutate("Bridge", [["name", "==", bridge]], [["ports", mutator, encode_set([port])]])
