"""Chosen tables of a database, kept in memory and current, over a connection that is made again whenever it
is lost.

Reading costs nothing and never waits. The server sends the changes of a transaction before its answer, so
after `transact` the replica holds what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kilonova.kernel.ovsdb.client import Client, Disconnected, OvsdbError
from kilonova.kernel.ovsdb.wire import Row, Schema, Uuid, merge, with_defaults

LOG = logging.getLogger(__name__)

Listener = Callable[[str, Uuid, Row | None, Row | None], None]
"""Called as (table, uuid, old row, new row) for each change; None for "is not there"."""

MONITOR = "replica"
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 2.0


class Replica:
    """`tables`: table -> columns, or None for all its columns. `tables[...]` is then table -> uuid -> row.

    `remote` may name several servers separated by commas; each is tried in turn. Rows must not be changed by
    callers.
    """

    def __init__(self, remote: str, database: str, tables: Mapping[str, Iterable[str] | None]):
        self._remotes = [one.strip() for one in remote.split(",") if one.strip()]
        self._database = database
        self._wanted = {table: None if columns is None else list(columns) for table, columns in tables.items()}
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []
        self._on_sync: list[Callable[[], None]] = []
        self._synced = asyncio.Event()
        self.problem = "not connected yet"
        self.schema: Schema | None = None
        self.rows: dict[str, dict[Uuid, Row]] = {table: {} for table in tables}
        self._early: list[Mapping[str, Any]] | None = None

    # --- life ---

    async def start(self) -> None:
        """Begin to connect and stay connected; does not wait (see `synced`)."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_connected(), name=f"ovsdb {self._database}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._synced.clear()

    async def synced(self, timeout_s: float) -> None:
        """Wait until the tables are here. Raises Disconnected, with the reason, after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._synced.wait()
        except TimeoutError as error:
            raise Disconnected(f"{self._database} at {','.join(self._remotes)}: {self.problem}") from error

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    def on_change(self, listener: Listener) -> None:
        """`listener` must not block and not raise."""
        self._listeners.append(listener)

    def on_sync(self, callback: Callable[[], None]) -> None:
        """Called each time the tables have been fetched anew, after the changes were told, before `is_synced`."""
        self._on_sync.append(callback)

    async def transact(self, operations: Sequence[Mapping[str, Any]], timeout_s: float = 30.0) -> list[Any]:
        """All operations or none. Raises Disconnected or TransactionFailed."""
        if self._client is None or not self._synced.is_set():
            raise Disconnected(f"{self._database} at {','.join(self._remotes)}: {self.problem}")
        return await self._client.transact(self._database, operations, timeout_s)

    # --- within ---

    async def _stay_connected(self) -> None:
        wait_s, turn = RETRY_FIRST_S, 0
        while True:
            remote = self._remotes[turn % len(self._remotes)]
            turn += 1
            try:
                self._client = await Client.connect(remote, self._notified)
                await self._fetch(self._client)
                wait_s = RETRY_FIRST_S
                await self._client.closed.wait()
                self.problem = "the connection was lost"
                LOG.warning("ovsdb: the connection to %s at %s was lost", self._database, remote)
            except OvsdbError as error:
                self.problem = str(error)
            finally:
                self._synced.clear()
                if self._client is not None:
                    client, self._client = self._client, None
                    with contextlib.suppress(OvsdbError):
                        await client.aclose()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MOST_S)

    async def _fetch(self, client: Client) -> None:
        self.schema = await client.schema(self._database)
        requests = {}
        for table, columns in self._wanted.items():
            known = self.schema.tables.get(table)
            if known is None:
                raise OvsdbError(f"{self._database} {self.schema.version} has no table {table}")
            requests[table] = [{"columns": [c for c in columns or known.columns if c in known.columns]}]
        self._early = []
        initial = await client.call("monitor_cond", [self._database, MONITOR, requests])
        before, self.rows = self.rows, {table: {} for table in self._wanted}
        self._update(initial, tell=False)
        self._tell_all_that_changed(before)
        early, self._early = self._early, None
        for update in early:
            self._update(update, tell=True)
        for callback in self._on_sync:
            callback()
        self.problem = ""
        self._synced.set()

    def _tell_all_that_changed(self, old: Mapping[str, Mapping[Uuid, Row]]) -> None:
        """After a reconnection, tell only what differs from before."""
        for table, rows in self.rows.items():
            before = old.get(table, {})
            for uuid in before.keys() - rows.keys():
                self._tell(table, uuid, before[uuid], None)
            for uuid, row in rows.items():
                if before.get(uuid) != row:
                    self._tell(table, uuid, before.get(uuid), row)

    def _notified(self, method: str, params: list[Any]) -> None:
        if method != "update2" or not params or params[0] != MONITOR:
            return
        if self._early is not None:  # read from the wire before whoever waits for the tables has got them
            self._early.append(params[1])
        else:
            self._update(params[1], tell=True)

    def _update(self, update: Mapping[str, Any], *, tell: bool) -> None:
        assert self.schema is not None
        told: list[tuple[str, Uuid, Row | None, Row | None]] = []
        for table, changes in update.items():
            rows, columns = self.rows[table], self.schema.tables[table].columns
            for raw_uuid, change in changes.items():
                uuid = Uuid(raw_uuid)
                old = rows.get(uuid)
                new: Row | None
                if "delete" in change:
                    new = None
                    rows.pop(uuid, None)
                elif "modify" in change:
                    new = dict(old or {})
                    for name, raw in change["modify"].items():
                        new[name] = merge(columns[name], new[name], raw)
                    rows[uuid] = new
                else:
                    raw_row = change.get("initial", change.get("insert"))
                    new = with_defaults(self.schema.tables[table], self._names(table), raw_row)
                    rows[uuid] = new
                told.append((table, uuid, old, new))
        if tell:
            for one in told:
                self._tell(*one)

    def _names(self, table: str) -> Iterable[str]:
        assert self.schema is not None
        columns = self.schema.tables[table].columns
        return [name for name in self._wanted[table] or columns if name in columns]

    def _tell(self, table: str, uuid: Uuid, old: Row | None, new: Row | None) -> None:
        for listener in self._listeners:
            listener(table, uuid, old, new)
