"""The weighers, one tuple. Each gives a host a number; numbers are spread to 0..1 over all hosts,
multiplied by the row's option (or by what an aggregate of the host says under the same name), and summed.
The heaviest host wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.model.groups import SOFT_AFFINITY, SOFT_ANTI_AFFINITY
from kilonova.compute.scheduler.filters.groups import members_on
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits


@dataclass(frozen=True, slots=True)
class Weigher:
    """A row: upstream's name, the number, and the option that multiplies it."""

    name: str
    weigh: Callable[[HostView, PlacementAsk], float]
    option: str


def _soft(host: HostView, ask: PlacementAsk, policy: str) -> float:
    return float(members_on(host, ask)) if ask.group is not None and ask.group.policy == policy else 0.0


WEIGHERS: tuple[Weigher, ...] = (
    Weigher("RAMWeigher", lambda host, ask: host.ram_free_mib, "ram_weight_multiplier"),
    Weigher("CPUWeigher", lambda host, ask: host.vcpus_free, "cpu_weight_multiplier"),
    Weigher("DiskWeigher", lambda host, ask: host.disk_free_gib, "disk_weight_multiplier"),
    Weigher("IoOpsWeigher", lambda host, ask: float(host.use.busy), "io_ops_weight_multiplier"),
    Weigher(
        "ServerGroupSoftAffinityWeigher",
        lambda host, ask: _soft(host, ask, SOFT_AFFINITY),
        "soft_affinity_weight_multiplier",
    ),
    Weigher(
        "ServerGroupSoftAntiAffinityWeigher",
        lambda host, ask: -_soft(host, ask, SOFT_ANTI_AFFINITY),
        "soft_anti_affinity_weight_multiplier",
    ),
)


def weigh(hosts: Sequence[HostView], ask: PlacementAsk, limits: Limits) -> dict[str, float]:
    """The weight of each host by name."""
    total = dict.fromkeys((host.name for host in hosts), 0.0)
    if len(hosts) < 2:
        return total
    for row in WEIGHERS:
        numbers = [row.weigh(host, ask) for host in hosts]
        low, high = min(numbers), max(numbers)
        if low == high:
            continue
        for host, number in zip(hosts, numbers, strict=True):
            total[host.name] += _multiplier(host, row.option, limits) * (number - low) / (high - low)
    return total


def _multiplier(host: HostView, option: str, limits: Limits) -> float:
    for metadata in host.aggregates:
        if option in metadata:
            try:
                return float(metadata[option])
            except ValueError:
                continue
    return float(getattr(limits, option))
