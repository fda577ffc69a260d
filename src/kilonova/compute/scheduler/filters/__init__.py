"""The filters, one tuple. Each takes a host and what is asked and returns None, or why the host will not do.

The names are those of ``[filter_scheduler] enabled_filters``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.scheduler.filters.aggregates import (
    has_the_extra_specs_of_an_aggregate,
    has_the_image_properties_of_an_aggregate,
    is_open_to_project,
)
from kilonova.compute.scheduler.filters.groups import (
    is_among_hosts_of,
    is_apart_from,
    keeps_affinity,
    keeps_anti_affinity,
)
from kilonova.compute.scheduler.filters.json_query import answers_query
from kilonova.compute.scheduler.filters.machine import has_capabilities, runs_image
from kilonova.compute.scheduler.filters.room import (
    has_cores,
    has_disk,
    has_few_servers,
    has_ram,
    is_not_busy,
)
from kilonova.compute.scheduler.filters.service import in_zone, is_in_service
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.refusal import No


@dataclass(frozen=True, slots=True)
class Filter:
    """A row: upstream's name, the function, and whether it is in the default list."""

    name: str
    passes: Callable[[HostView, PlacementAsk, Limits], No | None]
    by_default: bool = True


FILTERS: tuple[Filter, ...] = (
    Filter("ComputeFilter", is_in_service),
    Filter("AvailabilityZoneFilter", in_zone),
    Filter("ComputeCapabilitiesFilter", has_capabilities),
    Filter("ImagePropertiesFilter", runs_image),
    Filter("ServerGroupAntiAffinityFilter", keeps_anti_affinity),
    Filter("ServerGroupAffinityFilter", keeps_affinity),
    Filter("SameHostFilter", is_among_hosts_of),
    Filter("DifferentHostFilter", is_apart_from),
    Filter("AggregateInstanceExtraSpecsFilter", has_the_extra_specs_of_an_aggregate, by_default=False),
    Filter("AggregateImagePropertiesIsolation", has_the_image_properties_of_an_aggregate, by_default=False),
    Filter("AggregateMultiTenancyIsolation", is_open_to_project, by_default=False),
    Filter("NumInstancesFilter", has_few_servers, by_default=False),
    Filter("IoOpsFilter", is_not_busy, by_default=False),
    Filter("RamFilter", has_ram, by_default=False),
    Filter("CoreFilter", has_cores, by_default=False),
    Filter("DiskFilter", has_disk, by_default=False),
    Filter("JsonFilter", answers_query, by_default=False),
)

DEFAULT = tuple(row.name for row in FILTERS if row.by_default)


def named(names: tuple[str, ...]) -> tuple[Filter, ...]:
    """The rows of these names, in the order of the table. Raises ValueError for a name that is no filter."""
    known = {row.name for row in FILTERS}
    unknown = [name for name in names if name.rsplit(".", 1)[-1] not in known and name != "all_filters"]
    if unknown:
        raise ValueError(f"no such filter: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if "all_filters" in names:
        return FILTERS
    wanted = {name.rsplit(".", 1)[-1] for name in names}
    return tuple(row for row in FILTERS if row.name in wanted)
