"""A host as the scheduler sees it: its report, its service record, its aggregates, and what is used of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kilonova.compute.calls import AggregateFacts, CloudFacts, HostReport, HostUse, PlacementAsk, ServiceFacts
from kilonova.compute.model.hosts import ZONE_KEY


@dataclass(frozen=True, slots=True)
class HostView:
    """One host in one snapshot. Capacities are with the allocation ratio and without what is reserved.

    ``aggregates``: the metadata of each aggregate the host is in. ``groups``: members of server groups that
    the scheduler placed here and that the database may not show yet.
    """

    report: HostReport
    zone: str
    is_up: bool = True
    is_disabled: bool = False
    why_disabled: str = ""
    aggregates: tuple[Mapping[str, str], ...] = ()
    use: HostUse = field(default_factory=lambda: HostUse(host=""))
    groups: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.report.host

    @property
    def vcpus_free(self) -> float:
        r = self.report
        return (r.vcpus - r.reserved_vcpus) * r.cpu_allocation_ratio - self.use.vcpus

    @property
    def ram_free_mib(self) -> float:
        r = self.report
        return (r.ram_mib - r.reserved_ram_mib) * r.ram_allocation_ratio - self.use.ram_mib

    @property
    def disk_free_gib(self) -> float:
        r = self.report
        return (r.disk_gib - r.reserved_disk_gib) * r.disk_allocation_ratio - self.use.disk_gib

    def with_server(self, ask: PlacementAsk) -> HostView:
        """The host once this server is on it: so that the next choice already counts it."""
        f, use = ask.flavor, self.use
        projects = {**use.projects, ask.project_id: use.projects.get(ask.project_id, 0) + 1}
        groups = dict(self.groups)
        if ask.group is not None:
            groups[ask.group.id] = groups.get(ask.group.id, 0) + 1
        return replace(
            self,
            groups=groups,
            use=HostUse(
                host=use.host,
                servers=use.servers + 1,
                vcpus=use.vcpus + f.vcpus,
                ram_mib=use.ram_mib + f.ram_mib,
                disk_gib=use.disk_gib + f.disk_gib + f.ephemeral_gib,
                busy=use.busy + 1,
                projects=projects,
            ),
        )


def view_hosts(
    reports: Iterable[HostReport], facts: CloudFacts, *, up: Mapping[str, bool], default_zone: str
) -> dict[str, HostView]:
    """Hosts by name, from what their agents report and what the database knows."""
    services = {service.host: service for service in facts.services}
    uses = {use.host: use for use in facts.uses}
    member_of: dict[str, list[AggregateFacts]] = {}
    for aggregate in facts.aggregates:
        for host in aggregate.hosts:
            member_of.setdefault(host, []).append(aggregate)
    views = {}
    for report in reports:
        service = services.get(report.host, ServiceFacts(host=report.host))
        own = member_of.get(report.host, [])
        zones = [a.metadata[ZONE_KEY] for a in own if ZONE_KEY in a.metadata]
        views[report.host] = HostView(
            report=report,
            zone=zones[0] if zones else default_zone,
            is_up=up.get(report.host, False) and not service.forced_down,
            is_disabled=service.disabled,
            why_disabled=service.reason or "",
            aggregates=tuple(a.metadata for a in own),
            use=uses.get(report.host, HostUse(host=report.host)),
        )
    return views
