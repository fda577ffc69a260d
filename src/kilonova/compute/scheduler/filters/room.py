"""Room: memory, processors, disk, and how much a host has to do. Placement decides; these explain, and serve
operators who name them in their list of filters.
"""

from __future__ import annotations

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.model.resources import disk_gib_of
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.refusal import No


def has_ram(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    wants, free = ask.flavor.ram_mib, host.ram_free_mib
    if free >= wants:
        return None
    detail = f"{wants} MiB are asked for, at most {max(free, 0):.0f} MiB are free"
    return No("have too little memory", detail, wants - free)


def has_cores(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Also refuses a server with more processors than the host has, whatever the ratio."""
    wants, free = ask.flavor.vcpus, host.vcpus_free
    if wants > host.report.vcpus:
        return No(
            "have too few processors",
            f"{wants} VCPUs are asked for, the host has {host.report.vcpus}",
            wants - host.report.vcpus,
        )
    if free >= wants:
        return None
    detail = f"{wants} VCPUs are asked for, at most {max(free, 0):.0f} are free"
    return No("have too few processors", detail, wants - free)


def has_disk(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    wants, free = disk_gib_of(ask.flavor, from_image=bool(ask.image.image_id)), host.disk_free_gib
    if free >= wants:
        return None
    detail = f"{wants} GiB are asked for, at most {max(free, 0):.0f} GiB are free"
    return No("have too little disk", detail, wants - free)


def has_few_servers(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    most = int(_of_aggregates(host, "max_instances_per_host", limits.max_instances_per_host))
    if host.use.servers < most:
        return None
    return No("have as many servers as they may", f"{most} at most", host.use.servers - most)


def is_not_busy(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    most = int(_of_aggregates(host, "max_io_ops_per_host", limits.max_io_ops_per_host))
    if host.use.busy < most:
        return None
    return No("are busy with other builds and moves", f"{most} at a time", host.use.busy - most)


def _of_aggregates(host: HostView, key: str, otherwise: float) -> float:
    """The strictest value that an aggregate of the host sets for ``key``."""
    found = []
    for metadata in host.aggregates:
        try:
            found.append(float(metadata[key]))
        except (KeyError, ValueError):
            continue
    return min(found, default=otherwise)
