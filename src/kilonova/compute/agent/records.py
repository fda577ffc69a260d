"""What an agent remembers of its guests by itself, so that it can run them with the rest of the cloud away.

One small file a guest: the order it was made from (without passwords and personal files), whether it is to
run, and the highest ticket seen. A file that cannot be read is as one that is missing: the conductor sends
the order again when the agent registers.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kilonova.compute.calls import GuestOrder, Struct, Ticket

LOG = logging.getLogger(__name__)


class Record(Struct, frozen=True):
    """One guest. ``order`` None: it was destroyed, and only its ticket is kept for a while."""

    server_id: str
    ticket: Ticket
    order: GuestOrder | None = None
    is_to_run: bool = True
    backing: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode
_MOST_TOMBSTONES = 10_000


@dataclass(slots=True)
class Records:
    """The records of one host. Read once at the start; each change is on disk before it counts."""

    directory: Path
    _known: dict[str, Record] = field(default_factory=dict)
    _gone: dict[str, Ticket] = field(default_factory=dict)

    def load(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in self.directory.glob("*.json"):
            try:
                record = _decode(path.read_bytes())
            except (msgspec.DecodeError, OSError) as error:
                LOG.warning("record %s cannot be read (%s); the conductor will send it again", path.name, error)
                continue
            self._known[record.server_id] = record

    def all(self) -> tuple[Record, ...]:
        return tuple(self._known.values())

    def get(self, server_id: str) -> Record | None:
        return self._known.get(server_id)

    def admits(self, server_id: str, ticket: Ticket) -> bool:
        """Whether ``ticket`` is not older than what this host has seen for the server."""
        record = self._known.get(server_id)
        seen = record.ticket if record is not None else self._gone.get(server_id, (0, 0))
        return tuple(ticket) >= tuple(seen)

    def put(self, record: Record) -> None:
        """Keep a guest. Secrets that only the first boot needs are left out."""
        order = record.order
        if order is not None and (order.persona.admin_password or order.persona.files):
            persona = msgspec.structs.replace(order.persona, admin_password=None, files=())
            record = msgspec.structs.replace(record, order=msgspec.structs.replace(order, persona=persona))
        if self._known.get(record.server_id) == record:
            return
        path = self._path(record.server_id)
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_encode(record))
        part.replace(path)
        self._known[record.server_id] = record

    def remove(self, server_id: str, ticket: Ticket) -> None:
        """Forget a guest, but not that it was removed: a late order for it is refused."""
        self._known.pop(server_id, None)
        self._path(server_id).unlink(missing_ok=True)
        while len(self._gone) >= _MOST_TOMBSTONES:
            self._gone.pop(next(iter(self._gone)))
        self._gone[server_id] = ticket

    def _path(self, server_id: str) -> Path:
        return self.directory / f"{server_id}.json"
