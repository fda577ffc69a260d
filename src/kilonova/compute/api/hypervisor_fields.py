"""Hypervisors on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kilonova.compute.microversions import v
from kilonova.compute.model.hosts import Host, ServiceRecord
from kilonova.compute.model.servers import guest_name
from kilonova.kernel.web import Field, FieldTable


@dataclass(frozen=True, slots=True)
class HypervisorView:
    """A host, the service record of its agent, and (when asked for) rows of its servers: id, number, name."""

    host: Host
    service: ServiceRecord
    is_up: bool
    servers: Sequence[Any] | None = None


def _servers(view: HypervisorView) -> list[dict[str, str]]:
    return [{"uuid": row.id, "name": guest_name(row.number)} for row in view.servers or ()]


_NAMED = (
    Field("id", lambda view: view.host.number, until=v(52)),
    Field("id", lambda view: view.host.id, since=v(53)),
    Field("hypervisor_hostname", lambda view: view.host.hypervisor_hostname),
    Field("state", lambda view: "up" if view.is_up else "down"),
    Field("status", lambda view: "disabled" if view.service.disabled else "enabled"),
    Field("servers", _servers),
)

BRIEF = FieldTable(*_NAMED)

_UPTIME = Field("uptime", lambda view: view.host.uptime if view.is_up else None)

DETAIL = FieldTable(
    *_NAMED,
    Field("hypervisor_type", lambda view: view.host.hypervisor_type),
    Field("hypervisor_version", lambda view: view.host.hypervisor_version),
    Field("host_ip", lambda view: view.host.host_ip),
    Field("vcpus", lambda view: view.host.vcpus, until=v(87)),
    Field("vcpus_used", lambda view: view.host.vcpus_used, until=v(87)),
    Field("memory_mb", lambda view: view.host.ram_mib, until=v(87)),
    Field("memory_mb_used", lambda view: view.host.ram_used_mib, until=v(87)),
    Field("free_ram_mb", lambda view: view.host.ram_mib - view.host.ram_used_mib, until=v(87)),
    Field("local_gb", lambda view: view.host.disk_gib, until=v(87)),
    Field("local_gb_used", lambda view: view.host.disk_used_gib, until=v(87)),
    Field("free_disk_gb", lambda view: view.host.disk_gib - view.host.disk_used_gib, until=v(87)),
    Field("disk_available_least", lambda view: view.host.disk_available_least_gib, until=v(87)),
    Field("running_vms", lambda view: view.host.running_servers, until=v(87)),
    Field("current_workload", lambda view: view.host.workload, until=v(87)),
    Field("cpu_info", lambda view: msgspec.json.encode(view.host.cpu_info).decode(), until=v(27)),
    Field("cpu_info", lambda view: view.host.cpu_info, since=v(28), until=v(87)),
    Field("uptime", _UPTIME.read, since=v(88)),
    Field(
        "service",
        lambda view: {
            "host": view.service.host,
            "id": view.service.number,
            "disabled_reason": view.service.disabled_reason,
        },
        until=v(52),
    ),
    Field(
        "service",
        lambda view: {
            "host": view.service.host,
            "id": view.service.id,
            "disabled_reason": view.service.disabled_reason,
        },
        since=v(53),
    ),
)
UPTIME = FieldTable(*_NAMED[:-1], _UPTIME)

_PAGE = {"limit": {"type": "string", "pattern": "^[0-9]*$"}, "marker": {"type": "string"}}
_MORE = {"hypervisor_hostname_pattern": {"type": "string", "minLength": 1}, "with_servers": {"type": "string"}}
LIST: tuple[Any, ...] = (
    (None, v(32), {"properties": {}}),
    (v(33), v(52), {"properties": _PAGE}),
    (v(53), v(74), {"properties": {**_PAGE, **_MORE}}),
    (v(75), None, {"properties": {**_PAGE, **_MORE}, "additionalProperties": False}),
)
