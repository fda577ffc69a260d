"""A libvirt domain, read and handled: its state in our words, its devices, and what tolerates a race.

Blocking, for the driver's threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import fromstring

import libvirt

from kilonova.compute.virt.driver import GuestEvent, GuestState, Happening, PowerState

_POWER_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # on its way; its process is still there
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}

_HAPPENINGS = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: (Happening.STARTED, PowerState.RUNNING),
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: (Happening.PAUSED, PowerState.PAUSED),
    libvirt.VIR_DOMAIN_EVENT_RESUMED: (Happening.RESUMED, PowerState.RUNNING),
    libvirt.VIR_DOMAIN_EVENT_STOPPED: (Happening.STOPPED, PowerState.SHUTDOWN),
    libvirt.VIR_DOMAIN_EVENT_CRASHED: (Happening.CRASHED, PowerState.CRASHED),
}

_LIVE_AND_LATER: int = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def told(domain: Any, event: int, detail: int) -> GuestEvent | None:
    """A lifecycle event of libvirt as one of ours; None for those that mean nothing to us."""
    found = _HAPPENINGS.get(event)
    if found is None:
        return None
    happening, state = found
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED:
            happening, state = Happening.SUSPENDED, PowerState.SUSPENDED
        elif detail in (libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED):
            happening, state = Happening.CRASHED, PowerState.CRASHED
    return GuestEvent(domain.UUIDString(), happening, state)


def power_state(domain: Any) -> PowerState:
    state, reason = domain.state()
    return as_power_state(domain, state, reason)


def as_power_state(domain: Any, state: int, reason: int) -> PowerState:
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        if domain.hasManagedSaveImage(0):
            return PowerState.SUSPENDED
        if reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
            return PowerState.CRASHED
    return _POWER_STATES.get(state, PowerState.NOSTATE)


def state_of(domain: Any) -> GuestState:
    state, maximum_kib, _, vcpus, cpu_ns = domain.info()
    reason = domain.state()[1]
    return GuestState(
        uuid=domain.UUIDString(),
        name=domain.name(),
        power_state=as_power_state(domain, state, reason),
        vcpus=vcpus,
        ram_mib=maximum_kib >> 10,
        cpu_time_s=cpu_ns / 1e9,
    )


def stop(domain: Any) -> None:
    if domain.isActive():
        tolerate(domain.destroy, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN)


def tolerate(call: Callable[[], Any], *codes: int) -> None:
    """For changes that may have happened by themselves since we looked."""
    try:
        call()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def live_or_later(domain: Any) -> int:
    return _LIVE_AND_LATER if domain.isActive() else int(libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def macs(domain: Any) -> set[str]:
    return {mac.get("address", "") for mac in fromstring(domain.XMLDesc(0)).findall("devices/interface/mac")}  # noqa: S314


def disks(domain: Any) -> dict[str, str]:
    """File -> device name (`vdb`) of a domain's disks."""
    found = {}
    for disk in fromstring(domain.XMLDesc(0)).findall("devices/disk"):  # noqa: S314
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None:
            found[source.get("file", "")] = target.get("dev", "")
    return found
