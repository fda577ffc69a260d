"""The journal: what users asked for and is not yet done, in the same database as the rows it changes.

An operation is written in the transaction that records the wish, so the work starts if and only if the wish
was kept. A worker takes it under a lease with a fence number; whoever took it last holds the highest
number, and every write of progress names the number, so a worker that was thought dead cannot write any
more.

Operations on one subject run one after another, oldest first. One that *overtakes* (a delete) asks those
before it to stop at their next step and to undo what they did. An operation whose undo keeps failing is
*parked*: it is taken again later, for as long as it needs, and does not hold up the others.

What users see as the actions and events of a server is this same table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from kilonova.kernel.bus.call import Bus
from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context, current
from kilonova.kernel.db import Database, JsonText, Transaction, UtcDateTime

QUEUED, RUNNING, UNDOING, PARKED = "queued", "running", "undoing", "parked"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
OPEN = (QUEUED, RUNNING, UNDOING, PARKED)
BLOCKING = (QUEUED, RUNNING, UNDOING)
CLOSED = (DONE, FAILED, CANCELLED)

Write = Callable[[Transaction], Awaitable[object]]


def operations_table(metadata: MetaData, name: str = "operations") -> Table:
    """The journal's table, for the ``store/tables.py`` of the service that owns the operations."""
    return Table(
        name,
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("kind", String(64), nullable=False),
        Column("subject", String(64), nullable=False),
        Column("state", String(16), nullable=False),
        Column("step", Integer, nullable=False, default=0),
        Column("unwind_to", Integer, nullable=False, default=0),
        Column("unwind_then", String(16)),
        Column("payload", JsonText, nullable=False),
        Column("data", JsonText, nullable=False),
        Column("events", JsonText, nullable=False),
        Column("fault", JsonText),
        Column("message", Text),
        Column("attempts", Integer, nullable=False, default=0),
        Column("cancel", Boolean, nullable=False, default=False),
        Column("lease_owner", String(128)),
        Column("lease_until", UtcDateTime),
        Column("fence", Integer, nullable=False, default=0),
        Column("not_before", UtcDateTime),
        Column("deadline", UtcDateTime),
        Column("request_id", String(64)),
        Column("global_request_id", String(64)),
        Column("user_id", String(64)),
        Column("project_id", String(64)),
        Column("created_at", UtcDateTime, nullable=False),
        Column("started_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        Column("updated_at", UtcDateTime, nullable=False),
        Index(f"ix_{name}_state", "state", "subject"),
        Index(f"ix_{name}_subject", "subject", "id"),
        sqlite_autoincrement=True,
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """One asked-for change. ``step`` is the next step to do (running) or to undo (undoing, parked)."""

    id: int
    kind: str
    subject: str
    state: str
    step: int
    unwind_to: int
    unwind_then: str | None
    payload: dict[str, Any]
    data: dict[str, Any]
    events: list[dict[str, Any]]
    fault: dict[str, Any] | None
    message: str | None
    attempts: int
    cancel: bool
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    not_before: datetime | None
    deadline: datetime | None
    request_id: str | None
    global_request_id: str | None
    user_id: str | None
    project_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    @property
    def ticket(self) -> tuple[int, int]:
        """Grows with each operation on a subject and each taking of it: agents refuse a lower one."""
        return (self.id, self.fence)

    def context(self) -> Context:
        """The context under which the work is logged and calls are made."""
        return Context(
            request_id=self.request_id or f"req-operation-{self.id}",
            global_request_id=self.global_request_id,
            user_id=self.user_id,
            project_id=self.project_id,
        )


class LeaseLost(Exception):
    """Another worker has taken the operation: this one must stop without writing anything."""


class Cancelled(Exception):
    """A later operation overtakes this one: undo and end."""


@dataclass(slots=True)
class Lease:
    """One operation in the hands of one worker; every write goes through here and is fenced. ``good_until``: monotonic
    seconds; prolonged by the worker's heartbeat.
    """

    journal: Journal
    operation: Operation
    good_until: float = float("inf")

    @property
    def is_good(self) -> bool:
        """Whether it is certain that nobody else has taken the operation, by our own clock."""
        return self.journal.clock.monotonic() < self.good_until

    async def record(self, writes: Sequence[Write] = (), *, heed_cancel: bool, **values: Any) -> None:
        """Write progress and, in the same transaction, ``writes``. Raises LeaseLost, or Cancelled when
        heeded.
        """
        await self.journal._write_progress(self, writes, heed_cancel, values)
        self.operation = replace(self.operation, **values)

    async def finish(
        self, state: str, writes: Sequence[Write] = (), *, heed_cancel: bool = False, **values: Any
    ) -> None:
        """Close the operation as done, failed or cancelled, with its last ``writes``, and wake those behind
        it.
        """
        await self.record(
            writes,
            heed_cancel=heed_cancel,
            state=state,
            lease_owner=None,
            lease_until=None,
            finished_at=self.journal.clock.now(),
            **values,
        )

    async def park(self, writes: Sequence[Write] = (), *, wait_s: float, **values: Any) -> None:
        """Give it back to be taken again after ``wait_s`` seconds; it blocks nobody meanwhile."""
        await self.record(
            writes,
            heed_cancel=False,
            state=PARKED,
            lease_owner=None,
            lease_until=None,
            not_before=self.journal.clock.now() + timedelta(seconds=wait_s),
            **values,
        )


@dataclass(slots=True)
class Journal:
    """The operations of one service. ``lease_s``: how long a silent worker is believed to be alive."""

    db: Database
    table: Table
    bus: Bus
    clock: Clock
    lease_s: float = 30.0
    topic: str = field(default="")
    _take: Any = field(init=False, repr=False)
    _fenced: Any = field(init=False, repr=False)
    _heeding: Any = field(init=False, repr=False)
    _add: Any = field(init=False, repr=False)
    _overtaken: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.topic = self.topic or f"journal.{self.db.name}"
        t = self.table
        self._take = _takeable(t)
        # Kept statements; the columns to set are the names of the parameters, which is cheap to compile again.
        self._fenced = update(t).where(t.c.id == bindparam("_id"), t.c.fence == bindparam("_fence"))
        self._heeding = self._fenced.where(t.c.cancel.is_(False))
        self._add = insert(t)
        others = (t.c.subject == bindparam("_subject"), t.c.kind != bindparam("_kind"), _one_of(t.c.state, BLOCKING))
        self._overtaken = update(t).where(*others).values(cancel=True)

    async def write(
        self,
        tx: Transaction,
        kind: str,
        subject: str,
        *,
        payload: Mapping[str, Any] | None = None,
        asker: Context | None = None,
        deadline_s: float | None = None,
        overtakes: bool = False,
    ) -> int:
        """Note a wish in the caller's transaction and wake a worker once it is committed; the operation's id.

        ``overtakes``: operations of other kinds on ``subject`` that are not finished are asked to stop and undo.
        """
        now = self.clock.now()
        if overtakes:
            await tx.run(self._overtaken, {"_subject": subject, "_kind": kind})
        values = self._row(kind, subject, payload, asker, now)
        if deadline_s is not None:
            values["deadline"] = now + timedelta(seconds=deadline_s)
        key = await tx.insert_id(self._add, values)
        tx.after_commit(self._wake)
        return key

    async def write_many(
        self,
        tx: Transaction,
        kind: str,
        wishes: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        asker: Context | None = None,
        deadline_s: float | None = None,
    ) -> None:
        """Note one wish each for many subjects (pairs of subject and payload) in one statement."""
        now = self.clock.now()
        rows = [self._row(kind, subject, payload, asker, now) for subject, payload in wishes]
        for row in rows:
            row["deadline"] = None if deadline_s is None else now + timedelta(seconds=deadline_s)
        await tx.run(self._add, rows)
        tx.after_commit(self._wake)

    async def write_done(
        self,
        tx: Transaction,
        kind: str,
        subject: str,
        *,
        payload: Mapping[str, Any] | None = None,
        asker: Context | None = None,
        message: str | None = None,
    ) -> int:
        """Note a change that the caller's own transaction carries out: history, nothing left to do."""
        now = self.clock.now()
        values = self._row(kind, subject, payload, asker, now)
        values.update(state=DONE, started_at=now, finished_at=now, message=message)
        return await tx.insert_id(self._add, values)

    async def take(self, worker: str, kinds: Collection[str], limit: int) -> list[Lease]:
        """Take up to ``limit`` operations of ``kinds`` that are due, in nobody's hands and first of their
        subject.
        """
        now, good_until = self.clock.now(), self.clock.monotonic() + self.lease_s
        async with self.db.read() as tx:
            rows = await tx.all(self._take, {"now": now, "kinds": list(kinds), "most": limit})
        if not rows:
            return []
        leases: list[Lease] = []
        until = now + timedelta(seconds=self.lease_s)
        async with self.db.transaction() as tx:
            for row in rows:
                before = operation_of(row)
                changes: dict[str, Any] = {
                    "state": _taken(before),
                    "fence": before.fence + 1,
                    "attempts": before.attempts + 1,
                    "lease_owner": worker,
                    "lease_until": until,
                    "started_at": before.started_at or now,
                    "updated_at": now,
                }
                if await tx.run(self._fenced, {**changes, "_id": before.id, "_fence": before.fence}):
                    leases.append(Lease(self, replace(before, **changes), good_until))
        return leases

    async def renew(self, worker: str) -> int:
        """Heartbeat: prolong all leases of ``worker``; how many it holds."""
        t = self.table
        until = self.clock.now() + timedelta(seconds=self.lease_s)
        async with self.db.transaction() as tx:
            return await tx.run(
                update(t).where(t.c.state.in_(OPEN), t.c.lease_owner == worker).values(lease_until=until)
            )

    async def release(self, worker: str) -> int:
        """Give back all that ``worker`` held: called when its only process starts, or ends in good order."""
        t = self.table
        async with self.db.transaction() as tx:
            return await tx.run(
                update(t)
                .where(t.c.state.in_(OPEN), t.c.lease_owner == worker)
                .values(lease_owner=None, lease_until=None)
            )

    async def ended_before(self, tx: Transaction, before: datetime) -> int:
        """How many finished operations ended before a moment."""
        t = self.table
        wanted = select(func.count()).where(t.c.state.in_(CLOSED), t.c.finished_at < before)
        return int(await tx.scalar(wanted) or 0)

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Remove finished operations that ended before a moment, at most so many; how many were removed."""
        t = self.table
        old = select(t.c.id).where(t.c.state.in_(CLOSED), t.c.finished_at < before).order_by(t.c.id).limit(most)
        async with self.db.transaction() as tx:
            numbers = await tx.column(old)
            return await tx.run(delete(t).where(t.c.id.in_(numbers))) if numbers else 0

    async def of(self, tx: Transaction, subject: str) -> list[Operation]:
        """All operations on ``subject``, newest first."""
        rows = await tx.all(select(self.table).where(self.table.c.subject == subject).order_by(self.table.c.id.desc()))
        return [operation_of(row) for row in rows]

    async def get(self, tx: Transaction, operation_id: int) -> Operation | None:
        row = await tx.first(select(self.table).where(self.table.c.id == operation_id))
        return None if row is None else operation_of(row)

    async def open_operations(self, tx: Transaction) -> list[Operation]:
        """All that is not finished, oldest first: for status, doctor and tests."""
        rows = await tx.all(select(self.table).where(self.table.c.state.in_(OPEN)).order_by(self.table.c.id))
        return [operation_of(row) for row in rows]

    def _wake(self) -> None:
        self.bus.wake(self.topic)

    def _row(
        self,
        kind: str,
        subject: str,
        payload: Mapping[str, Any] | None,
        asker: Context | None,
        now: datetime,
    ) -> dict[str, Any]:
        who = asker or current() or Context()
        return {
            "kind": kind,
            "subject": subject,
            "state": QUEUED,
            "step": 0,
            "unwind_to": 0,
            "payload": dict(payload or {}),
            "data": {},
            "events": [],
            "attempts": 0,
            "cancel": False,
            "fence": 0,
            "request_id": who.request_id,
            "global_request_id": who.global_request_id,
            "user_id": who.user_id,
            "project_id": who.project_id,
            "created_at": now,
            "updated_at": now,
        }

    async def _write_progress(
        self, lease: Lease, writes: Sequence[Write], heed_cancel: bool, values: dict[str, Any]
    ) -> None:
        held = lease.operation
        statement = self._heeding if heed_cancel else self._fenced
        changes = {**values, "updated_at": self.clock.now(), "_id": held.id, "_fence": held.fence}
        async with self.db.transaction() as tx:
            if not await tx.run(statement, changes):
                now_there = await self.get(tx, held.id)
                if now_there is not None and now_there.fence == held.fence and now_there.cancel:
                    raise Cancelled(f"operation {held.id} ({held.kind}) was overtaken")
                raise LeaseLost(f"operation {held.id} ({held.kind}) is no longer ours")
            for write in writes:
                await write(tx)
            if "finished_at" in values:
                tx.after_commit(self._wake)


def operation_of(row: Row[Any]) -> Operation:
    """A row of the table as a value."""
    return Operation(**row._mapping)


def _taken(operation: Operation) -> str:
    """The state of an operation in a worker's hands: a parked one goes on in the direction it had."""
    if operation.state == PARKED:
        return UNDOING if operation.unwind_then else RUNNING
    return RUNNING if operation.state == QUEUED else operation.state


def _takeable(t: Table) -> Any:
    other = t.alias("other")
    ahead: ColumnElement[bool] = exists().where(
        other.c.subject == t.c.subject,
        other.c.id != t.c.id,
        _one_of(other.c.state, BLOCKING),
        or_(other.c.id < t.c.id, t.c.state == PARKED),
    )
    due = or_(t.c.not_before.is_(None), t.c.not_before <= bindparam("now", type_=UtcDateTime))
    free = or_(t.c.lease_until.is_(None), t.c.lease_until < bindparam("now", type_=UtcDateTime))
    return (
        select(t)
        .where(
            _one_of(t.c.state, OPEN),
            t.c.kind.in_(bindparam("kinds", expanding=True)),
            and_(due, free),
            ~ahead,
        )
        .order_by(t.c.id)
        .limit(bindparam("most"))
    )


def _one_of(column: Column[Any], words: Sequence[str]) -> ColumnElement[bool]:
    # Fixed words, not a list to be expanded anew whenever the kept statement runs.
    return column.in_([literal(word) for word in words])


def count_open(t: Table) -> Any:
    """A statement that counts unfinished operations by kind and state."""
    return select(t.c.kind, t.c.state, func.count()).where(t.c.state.in_(OPEN)).group_by(t.c.kind, t.c.state)
