"""What a host can tell of a running guest."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.asking_hosts import ask, placed_server
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.calls import DIAGNOSTICS, AskGuest, Diagnostics
from kilonova.compute.microversions import v
from kilonova.compute.model.states import PowerState
from kilonova.kernel.web import Response, answer

_STATES = {
    PowerState.NOSTATE: "pending",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}


async def show_diagnostics(request: ComputeRequest) -> Response:
    """GET /servers/{id}/diagnostics"""
    row = await placed_server(request, "diagnostics")
    seen = await ask(request, row, DIAGNOSTICS, AskGuest(server_id=row.id))
    return answer(_standard(row, seen) if request.version >= v(48) else _plain(seen))


def _plain(seen: Diagnostics) -> dict[str, Any]:
    """Before 2.48 the shape was the hypervisor's own; ours follows libvirt's: nanoseconds, KiB."""
    return {"cpu0_time": int(seen.cpu_time_s * 1e9), "memory": seen.ram_mib * 1024}


def _standard(row: Any, seen: Diagnostics) -> dict[str, Any]:
    return {
        "state": _STATES.get(PowerState(seen.power_state), "pending"),
        "driver": seen.driver,
        "hypervisor": seen.hypervisor,
        "hypervisor_os": "linux",
        "uptime": int(seen.uptime_s),
        "config_drive": bool(row.config_drive),
        "num_cpus": seen.vcpus,
        "num_nics": len(seen.macs),
        "num_disks": seen.disks,
        "cpu_details": [{"id": 0, "time": int(seen.cpu_time_s * 1e9), "utilisation": None}] if seen.vcpus else [],
        "nic_details": [{"mac_address": mac} for mac in seen.macs],
        "disk_details": [],
        "memory_details": {"maximum": seen.ram_mib, "used": None},
    }
