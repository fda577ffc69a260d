"""Hosts that are in service, and in the zone asked for."""

from __future__ import annotations

from kilonova.compute.calls import SILENT, PlacementAsk
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.refusal import No


def is_in_service(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Refuse hosts whose agent is silent, and those an operator took out of service."""
    if host.is_disabled:
        return No("are disabled by the operator", host.why_disabled)
    if not host.is_up:
        return No(SILENT, f"not heard of for {limits.down_after_s:.0f} s")
    return None


def in_zone(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Refuse hosts outside the availability zone the user asked for."""
    if ask.zone in (None, host.zone):
        return None
    return No(f"are not in the availability zone {ask.zone}", f"the nearest is in {host.zone}")
