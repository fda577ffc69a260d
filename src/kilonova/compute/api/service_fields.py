"""Services on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilonova.compute.api.values import BOOLEAN, HOSTNAME, closed
from kilonova.compute.microversions import v
from kilonova.compute.model.hosts import ServiceRecord
from kilonova.kernel.clock import iso_micros
from kilonova.kernel.web import Field, FieldTable


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service record, its zone, and whether it was heard of lately."""

    record: ServiceRecord
    zone: str
    is_up: bool


def _status(view: ServiceView) -> str:
    return "disabled" if view.record.disabled else "enabled"


SERVICE = FieldTable(
    Field("id", lambda view: view.record.number, until=v(52)),
    Field("id", lambda view: view.record.id, since=v(53)),
    Field("binary", lambda view: view.record.binary),
    Field("host", lambda view: view.record.host),
    Field("zone", lambda view: view.zone),
    Field("status", _status),
    Field("state", lambda view: "up" if view.is_up else "down"),
    Field("updated_at", lambda view: iso_micros(view.record.last_seen_at)),
    Field("disabled_reason", lambda view: view.record.disabled_reason),
    Field("forced_down", lambda view: view.record.forced_down, since=v(11)),
)
DISABLED = FieldTable(
    Field("binary", lambda view: view.record.binary),
    Field("host", lambda view: view.record.host),
    Field("status", _status),
    Field("disabled_reason", lambda view: view.record.disabled_reason),
)
FORCED = FieldTable(
    Field("binary", lambda view: view.record.binary),
    Field("host", lambda view: view.record.host),
    Field("forced_down", lambda view: view.record.forced_down),
)

_REASON: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\p{C}]*$"}
UPDATE = closed(
    {
        "status": {"type": "string", "enum": ["enabled", "disabled"]},
        "disabled_reason": _REASON,
        "forced_down": BOOLEAN,
    }
)
NAMED = closed(
    {
        "host": HOSTNAME,
        "binary": {"type": "string", "minLength": 1, "maxLength": 255},
        "disabled_reason": _REASON,
        "forced_down": BOOLEAN,
    },
    "host",
    "binary",
)
_STRINGS = {"host": {"type": "string"}, "binary": {"type": "string"}}
LIST = (
    (None, v(74), {"properties": _STRINGS}),
    (v(75), None, {"properties": _STRINGS, "additionalProperties": False}),
)
