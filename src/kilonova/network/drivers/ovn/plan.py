"""From wanted rows and real ones to the operations of one transaction. Pure but for reading the mirror.

`Mirror` is an index over the replica's tables: by (table, key), by owner, and which columns hold a row.
`Plan` collects what several objects want, and yields inserts, updates, mutations and deletes; nothing when
all is as wanted. References are resolved last, so a row may refer to another that the same transaction
inserts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kilonova.kernel.ovsdb.wire import Named, Uuid, encode, encode_row, encode_set
from kilonova.kernel.ovsdb.wire import Row as Real
from kilonova.network.drivers.driver import BadSpec, Difference, Kind
from kilonova.network.drivers.ovn import names
from kilonova.network.drivers.ovn.rows import (
    REVISION,
    ROOT_TABLES,
    SLOT_COLUMNS,
    TABLES,
    FirstOf,
    Owner,
    Row,
    Slot,
    key_of,
    owner_of,
    revision_of,
)

Place = tuple[str, Uuid]
Operation = dict[str, Any]


class Mirror:
    """The rows of ours that are there. Feed it with `note` for every change."""

    def __init__(self) -> None:
        self.rows: dict[Place, Real] = {}
        self._by_key: dict[tuple[str, str], Uuid] = {}
        self._by_owner: dict[Owner, set[Place]] = defaultdict(set)
        self._holders: dict[Place, set[tuple[Place, str]]] = defaultdict(set)

    def note(self, table: str, uuid: Uuid, old: Real | None, new: Real | None) -> None:
        place = (table, uuid)
        for column, held_table in SLOT_COLUMNS.get(table, {}).items():
            before = old[column] if old else set()
            after = new[column] if new else set()
            for gone in before - after:
                self._holders[held_table, gone].discard((place, column))
            for added in after - before:
                self._holders[held_table, added].add((place, column))
        if old is not None and (key := key_of(table, old)) is not None:
            if self._by_key.get((table, key)) == uuid:
                del self._by_key[table, key]
            if (owner := owner_of(old)) is not None:
                self._by_owner[owner].discard(place)
                if not self._by_owner[owner]:
                    del self._by_owner[owner]
            self.rows.pop(place, None)
        if new is None:
            self._holders.pop(place, None)
        elif (key := key_of(table, new)) is not None and (owner := owner_of(new)) is not None:
            self.rows[place] = new
            self._by_key[table, key] = uuid
            self._by_owner[owner].add(place)

    def find(self, table: str, key: str) -> Uuid | None:
        return self._by_key.get((table, key))

    def owned(self, owner: Owner) -> set[Place]:
        return self._by_owner.get(owner, set())

    def owners(self) -> Iterable[Owner]:
        return self._by_owner.keys()

    def holders(self, place: Place) -> set[tuple[Place, str]]:
        return self._holders.get(place, set())

    def revision(self, owner: Owner) -> int:
        return max((revision_of(self.rows[place]) for place in self.owned(owner)), default=0)


class Plan:
    """What one transaction shall do. `put` and `drop` collect; `operations` yields."""

    def __init__(self, mirror: Mirror):
        self._mirror = mirror
        self._wanted: dict[tuple[str, str], Row] = {}
        self._gone: set[Place] = set()

    def put(self, owner: Owner, rows: Sequence[Row], only: str | None = None) -> None:
        """The object has exactly these rows (`only`: of this table); those it had besides go."""
        for key in [key for key, row in self._wanted.items() if row.owner == owner and only in (None, row.table)]:
            del self._wanted[key]
        self._gone |= {place for place in self._mirror.owned(owner) if only in (None, place[0])}
        for row in rows:
            self._wanted[row.table, row.key] = row
        self._gone = {place for place in self._gone if self._key_at(place) not in self._wanted}

    def drop(self, owner: Owner) -> None:
        """The object goes, with all its rows; a network also with what else its switch had."""
        self.put(owner, [])
        if owner.kind is Kind.NETWORK:
            switch = names.switch(owner.id)
            ids = ((place, real["external_ids"]) for place, real in self._mirror.rows.items())
            on_it = [place for place, external in ids if external.get("neutron:network_name") == switch]
            self._gone |= {place for place in on_it if place[0] in ("DHCP_Options", "DNS", "Logical_Switch_Port")}

    def operations(self) -> list[Operation]:
        """Raises BadSpec when a row would be held by nothing."""
        inserts: list[Operation] = []
        changes: list[Operation] = []
        for row in self._wanted.values():
            uuid = self._mirror.find(row.table, row.key)
            if uuid is None:
                inserts.append(self._insert(row))
                changes += [self._hold(slot, self._name(row), row) for slot in row.slots]
            else:
                changes += self._update(row, uuid)
        return [*inserts, *changes, *self._deletions()]

    def changed_columns(self, row: Row, real: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of `row` that are not as wanted, with their wanted values."""
        stored = {column: self._resolve(value) for column, value in row.stored().items()}
        return {column: value for column, value in stored.items() if real[column] != value}

    # --- within ---

    def _key_at(self, place: Place) -> tuple[str, str]:
        return place[0], key_of(place[0], self._mirror.rows[place]) or ""

    def _name(self, row: Row) -> Named:
        return Named("r" + "".join(c if c.isalnum() else "_" for c in f"{row.table}_{row.key}"))

    def _resolve(self, value: Any) -> Any:
        if not isinstance(value, FirstOf):
            return value
        for key in value.keys:
            uuid = self._mirror.find(value.table, key)
            wanted = self._wanted.get((value.table, key))
            if uuid is not None and (value.table, uuid) not in self._gone:
                return uuid
            if uuid is None and wanted is not None:
                return self._name(wanted)
        return None

    def _insert(self, row: Row) -> Operation:
        columns = {column: self._resolve(value) for column, value in row.stored().items()}
        return {"op": "insert", "table": row.table, "uuid-name": str(self._name(row)), "row": encode_row(columns)}

    def _update(self, row: Row, uuid: Uuid) -> list[Operation]:
        place = (row.table, uuid)
        changed = self.changed_columns(row, self._mirror.rows[place])
        operations: list[Operation] = []
        if changed:
            where = [["_uuid", "==", encode(uuid)]]
            operations.append({"op": "update", "table": row.table, "where": where, "row": encode_row(changed)})
        held, wanted = self._holders_by_slot(place), set(row.slots)
        for slot, holder in held.items():
            if slot not in wanted:
                operations.append(_mutate(holder, slot.column, "delete", uuid))
        operations += [self._hold(slot, uuid, row) for slot in row.slots if slot not in held]
        return operations

    def _holders_by_slot(self, place: Place) -> dict[Slot, Place]:
        """Which of our rows hold this one; rows that others made are left alone."""
        known = ((holder, column) for holder, column in self._mirror.holders(place) if holder in self._mirror.rows)
        return {Slot(*self._key_at(holder), column): holder for holder, column in known}

    def _hold(self, slot: Slot, held: Uuid | Named, row: Row) -> Operation:
        uuid = self._mirror.find(slot.table, slot.key)
        if uuid is not None and (slot.table, uuid) not in self._gone:
            return _mutate((slot.table, uuid), slot.column, "insert", held)
        wanted = self._wanted.get((slot.table, slot.key))
        if wanted is None:
            raise BadSpec(f"{row.owner} needs {slot.table} {slot.key}, which is not there")
        where = [["name", "==", slot.key]]
        return _mutation(slot.table, where, slot.column, "insert", held)

    def _deletions(self) -> list[Operation]:
        operations: list[Operation] = []
        for table, uuid in sorted(self._gone):
            if table in ROOT_TABLES:
                where = [["_uuid", "==", encode(uuid)]]
                operations.append({"op": "delete", "table": table, "where": where})
            else:
                for holder, column in self._mirror.holders((table, uuid)):
                    if holder not in self._gone:
                        operations.append(_mutate(holder, column, "delete", uuid))
        return operations


def strays(mirror: Mirror, wanted: Collection[Owner]) -> list[Difference]:
    """The objects that have rows here and that nobody wants."""
    return [
        Difference(owner.kind, owner.id, "stray", _listed(mirror.owned(owner)))
        for owner in list(mirror.owners())
        if owner not in wanted
    ]


def difference_of(mirror: Mirror, owner: Owner, rows: Sequence[Row]) -> Difference | None:
    """How the rows that are there differ from these. Revisions alone do not count."""
    plan = Plan(mirror)
    plan.put(owner, rows)
    problem = _problem(plan, mirror, owner, rows)
    return Difference(owner.kind, owner.id, *problem) if problem else None


def _problem(plan: Plan, mirror: Mirror, owner: Owner, rows: Sequence[Row]) -> tuple[str, str] | None:
    real = mirror.owned(owner)
    if rows and not real:
        return "missing", f"{len(rows)} rows"
    missing = [f"{row.table} {row.key}" for row in rows if mirror.find(row.table, row.key) is None]
    if missing:
        return "changed", "no " + ", ".join(missing)
    details = []
    for row in rows:
        uuid = mirror.find(row.table, row.key)
        assert uuid is not None
        there = mirror.rows[row.table, uuid]
        for column, value in plan.changed_columns(row, there).items():
            if column != "external_ids" or _without_revision(value) != _without_revision(there[column]):
                details.append(f"{row.table} {row.key}: {column} is {there[column]!r}, not {value!r}")
    try:
        operations = plan.operations()
    except BadSpec as error:
        return "changed", str(error)
    shifts = [f"{op['table']}: {op['mutations']}" for op in operations if op["op"] in ("mutate", "delete")]
    return ("changed", "; ".join(details + shifts)) if details or shifts else None


def _without_revision(ids: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in ids.items() if key != REVISION}


def _listed(places: Iterable[Place]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for table, _ in places:
        counts[table] += 1
    return ", ".join(f"{count} {table}" for table, count in sorted(counts.items()))


def _mutate(holder: Place, column: str, mutator: str, held: Uuid | Named) -> Operation:
    return _mutation(holder[0], [["_uuid", "==", encode(holder[1])]], column, mutator, held)


def _mutation(table: str, where: list[Any], column: str, mutator: str, held: Uuid | Named) -> Operation:
    return {"op": "mutate", "table": table, "where": where, "mutations": [[column, mutator, encode_set([held])]]}


assert set(SLOT_COLUMNS) <= set(TABLES)
