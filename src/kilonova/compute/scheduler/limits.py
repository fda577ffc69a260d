"""The scheduler's options, plain: names and defaults are upstream's ``[filter_scheduler]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``host_subset_size``: a random one among this many best. Multipliers: above 0 spreads, below 0
    stacks.
    """

    host_subset_size: int = 1
    enabled_filters: tuple[str, ...] = ()
    max_instances_per_host: int = 50
    max_io_ops_per_host: int = 8
    ram_weight_multiplier: float = 1.0
    cpu_weight_multiplier: float = 1.0
    disk_weight_multiplier: float = 1.0
    io_ops_weight_multiplier: float = -1.0
    soft_affinity_weight_multiplier: float = 1.0
    soft_anti_affinity_weight_multiplier: float = 1.0
    isolation_namespace: str | None = None
    isolation_separator: str = "."
    max_placement_results: int = 1000
    default_zone: str = "nova"
    down_after_s: float = 60.0
    facts_every_s: float = 30.0
