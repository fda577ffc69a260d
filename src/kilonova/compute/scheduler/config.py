"""Options of the scheduler, under upstream's group and option names; those of old releases are aliases."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from kilonova.compute.scheduler.filters import DEFAULT, named
from kilonova.compute.scheduler.limits import Limits
from kilonova.kernel.config import ConfigError, Group


def _weight(name: str, default: float, what: str) -> cfg.Opt:
    return cfg.FloatOpt(
        name, default=default, deprecated_group="DEFAULT", help=f"{what}: above 0 spreads, below stacks."
    )


GROUPS: tuple[Group, ...] = (
    (
        "filter_scheduler",
        [
            cfg.MultiStrOpt(
                "available_filters",
                default=["nova.scheduler.filters.all_filters"],
                deprecated_opts=[cfg.DeprecatedOpt("scheduler_available_filters", group="DEFAULT")],
                help="Accepted so that upstream's files can be read: all filters are available.",
            ),
            cfg.ListOpt(
                "enabled_filters",
                default=list(DEFAULT),
                deprecated_opts=[cfg.DeprecatedOpt("scheduler_default_filters", group="DEFAULT")],
                help="Filters that a host must pass, by name.",
            ),
            cfg.IntOpt(
                "host_subset_size",
                default=1,
                min=1,
                deprecated_opts=[cfg.DeprecatedOpt("scheduler_host_subset_size", group="DEFAULT")],
                help="A host is taken at random from this many best.",
            ),
            cfg.IntOpt("max_instances_per_host", default=50, min=1, help="For NumInstancesFilter."),
            cfg.IntOpt("max_io_ops_per_host", default=8, min=1, help="For IoOpsFilter."),
            _weight("ram_weight_multiplier", 1.0, "Free memory"),
            _weight("cpu_weight_multiplier", 1.0, "Free processors"),
            _weight("disk_weight_multiplier", 1.0, "Free disk"),
            _weight("io_ops_weight_multiplier", -1.0, "Servers being built or moved"),
            _weight("soft_affinity_weight_multiplier", 1.0, "Members of the group on the host"),
            _weight("soft_anti_affinity_weight_multiplier", 1.0, "Members of the group elsewhere"),
            cfg.StrOpt("aggregate_image_properties_isolation_namespace", help="Only properties of this namespace."),
            cfg.StrOpt("aggregate_image_properties_isolation_separator", default=".", help="Ends the namespace."),
        ],
    ),
    (
        "scheduler",
        [
            cfg.IntOpt("max_attempts", default=3, min=1, help="Hosts tried for one build."),
            cfg.IntOpt("max_placement_results", default=1000, min=1, help="Candidates asked of Placement."),
        ],
    ),
)


def limits(conf: Any, *, default_zone: str, down_after_s: float) -> Limits:
    """Read ``conf`` once. Raises ConfigError for a filter that does not exist."""
    group = conf.filter_scheduler
    names = tuple(group.enabled_filters)
    try:
        named(names)
    except ValueError as error:
        raise ConfigError(f"filter_scheduler.enabled_filters: {error}") from error
    return Limits(
        host_subset_size=group.host_subset_size,
        enabled_filters=names,
        max_instances_per_host=group.max_instances_per_host,
        max_io_ops_per_host=group.max_io_ops_per_host,
        ram_weight_multiplier=group.ram_weight_multiplier,
        cpu_weight_multiplier=group.cpu_weight_multiplier,
        disk_weight_multiplier=group.disk_weight_multiplier,
        io_ops_weight_multiplier=group.io_ops_weight_multiplier,
        soft_affinity_weight_multiplier=group.soft_affinity_weight_multiplier,
        soft_anti_affinity_weight_multiplier=group.soft_anti_affinity_weight_multiplier,
        isolation_namespace=group.aggregate_image_properties_isolation_namespace,
        isolation_separator=group.aggregate_image_properties_isolation_separator,
        max_placement_results=conf.scheduler.max_placement_results,
        default_zone=default_zone,
        down_after_s=down_after_s,
    )
