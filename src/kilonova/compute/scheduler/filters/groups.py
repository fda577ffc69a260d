"""Server groups and the hints same_host and different_host."""

from __future__ import annotations

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.model.groups import AFFINITY, ANTI_AFFINITY
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.refusal import No


def members_on(host: HostView, ask: PlacementAsk) -> int:
    """How many members of the asking server's group are on this host."""
    if ask.group is None:
        return 0
    return max(ask.group.hosts.get(host.name, 0), host.groups.get(ask.group.id, 0))


def keeps_anti_affinity(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    if ask.group is None or ask.group.policy != ANTI_AFFINITY:
        return None
    most, there = ask.group.max_server_per_host or 1, members_on(host, ask)
    if there < most:
        return None
    return No("have a member of the anti-affinity group already", f"at most {most} a host, {there} there", there)


def keeps_affinity(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    if ask.group is None or ask.group.policy != AFFINITY or not ask.group.hosts:
        return None
    if host.name in ask.group.hosts:
        return None
    return No("are not the host of the affinity group")


def is_among_hosts_of(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    if ask.same_hosts is None or host.name in ask.same_hosts:
        return None
    return No("do not have the servers of the hint same_host")


def is_apart_from(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    if ask.different_hosts is None or host.name not in ask.different_hosts:
        return None
    return No("have a server of the hint different_host")
