"""The choice itself, pure: a snapshot in; candidates in order, or the reasons for refusing every host,
out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from kilonova.compute.calls import Candidate, Choice, PlacementAsk
from kilonova.compute.scheduler.filters import DEFAULT, Filter, named
from kilonova.compute.scheduler.filters.room import has_cores, has_disk, has_ram
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.refusal import No, count
from kilonova.compute.scheduler.weighers import weigh

Claims = Mapping[str, Mapping[str, Mapping[str, int]]]
"""By provider id of the host: what to claim there, amounts by resource class by provider."""


def choose(ask: PlacementAsk, hosts: Sequence[HostView], claims: Claims, limits: Limits, rng: random.Random) -> Choice:
    """Best hosts first: the chosen one and ``ask.alternates`` more. ``claims`` is what Placement offers."""
    filters = named(limits.enabled_filters or DEFAULT)
    refused: list[tuple[str, No]] = []
    good: list[HostView] = []
    for host in hosts:
        no = why_not(host, ask, claims, filters, limits)
        if no is None:
            good.append(host)
        else:
            refused.append((host.name, no))
    if not good:
        return Choice(refusals=count(refused), hosts_seen=len(hosts))
    weights = weigh(good, ask, limits)
    order = sorted(good, key=lambda host: (-weights[host.name], host.name))
    subset = order[: max(1, limits.host_subset_size)]
    first = rng.choice(subset)
    order.remove(first)
    picked = [first, *order[: ask.alternates]]
    return Choice(
        candidates=tuple(
            Candidate(
                host=host.name,
                node=host.report.hypervisor_hostname,
                provider_id=host.report.id,
                zone=host.zone,
                claim={p: dict(amounts) for p, amounts in claims[host.report.id].items()},
                weight=weights[host.name],
            )
            for host in picked
        ),
        refusals=count(refused),
        hosts_seen=len(hosts),
    )


def why_not(host: HostView, ask: PlacementAsk, claims: Claims, filters: Sequence[Filter], limits: Limits) -> No | None:
    """The first reason against a host, or None. A forced host is only asked whether it has room."""
    forced = ask.forced_host or ask.forced_node
    for named_host, named_node in ((ask.forced_host, ask.forced_node), (ask.asked_host, ask.asked_node)):
        if named_host and named_host != host.name:
            return No(f"are not the host {named_host} that was asked for")
        if named_node and named_node != host.report.hypervisor_hostname:
            return No(f"are not the node {named_node} that was asked for")
    if host.name in ask.excluded:
        return No("failed to build it")  # what it said is for operators only, and they have it
    if not forced:
        for row in filters:
            no = row.passes(host, ask, limits)
            if no is not None:
                return no
    if host.report.id not in claims:
        return explain_placement(host, ask, limits)
    return None


def explain_placement(host: HostView, ask: PlacementAsk, limits: Limits) -> No:
    """Placement does not offer the host: say which amount is short, as far as our own count tells."""
    for room in (has_ram, has_cores, has_disk):
        no = room(host, ask, limits)
        if no is not None:
            return no
    wanted = [
        f"{key.partition(':')[2]} is {value}"
        for key, value in ask.flavor.extra_specs.items()
        if key.startswith("trait:")
    ]
    if wanted:
        return No("lack a trait that the flavor asks for, or room", ", ".join(wanted))
    return No("are not offered by Placement for these resources")
