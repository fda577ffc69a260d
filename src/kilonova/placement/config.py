"""Options of placement, under upstream's group and option names, read once into :class:`Settings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import Group

_NO_OWNER = "00000000-0000-0000-0000-000000000000"

GROUPS: tuple[Group, ...] = (
    (
        "placement",
        [
            cfg.BoolOpt(
                "randomize_allocation_candidates",
                default=False,
                help="Try the trees of providers in random order, so that a limited answer spreads over all.",
            ),
            cfg.StrOpt(
                "incomplete_consumer_project_id",
                default=_NO_OWNER,
                help="Project of consumers that clients older than microversion 1.8 write.",
            ),
            cfg.StrOpt(
                "incomplete_consumer_user_id",
                default=_NO_OWNER,
                help="User of consumers that clients older than microversion 1.8 write.",
            ),
            cfg.IntOpt(
                "allocation_conflict_retry_count",
                default=10,
                min=1,
                help="How often a write of allocations that lost a race is tried before the client is told.",
            ),
            cfg.IntOpt(
                "max_allocation_candidates",
                default=-1,
                help="Most candidates made for one request, whatever its limit; -1: no bound.",
            ),
            cfg.StrOpt(
                "allocation_candidates_generation_strategy",
                default="depth-first",
                choices=["depth-first", "breadth-first"],
                help="Take candidates from one tree after the other, or from all trees in turn.",
            ),
        ],
    ),
    (
        "placement_database",
        [cfg.StrOpt("connection", help="URL of placement's database; empty: a file in the state directory.")],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Placement's options, plain. ``most_candidates`` None: no bound."""

    randomize: bool = False
    breadth_first: bool = False
    most_candidates: int | None = None
    tries_on_conflict: int = 10
    no_project: str = _NO_OWNER
    no_user: str = _NO_OWNER


def settings(conf: Any) -> Settings:
    """Read ``conf`` (an oslo.config instance with :data:`GROUPS`) once."""
    group = conf.placement
    most = group.max_allocation_candidates
    return Settings(
        randomize=group.randomize_allocation_candidates,
        breadth_first=group.allocation_candidates_generation_strategy == "breadth-first",
        most_candidates=most if most > 0 else None,
        tries_on_conflict=group.allocation_conflict_retry_count,
        no_project=group.incomplete_consumer_project_id,
        no_user=group.incomplete_consumer_user_id,
    )
