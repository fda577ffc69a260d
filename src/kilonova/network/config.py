"""Options of networking, under upstream's group and option names, read once into :class:`Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import ConfigError, Group

QUOTAS: Mapping[str, int] = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
}
"""The resources that have a quota, with upstream's defaults; -1 is no limit."""

GROUPS: tuple[Group, ...] = (
    (
        "network_database",
        [cfg.StrOpt("connection", help="URL of networking's database; empty: a file in the state directory.")],
    ),
    (
        "network",
        [
            cfg.StrOpt("base_mac", default="fa:16:3e:00:00:00", help="First octets of new MAC addresses."),
            cfg.StrOpt("dns_domain", default="openstacklocal", help="Domain of ports' names."),
            cfg.IntOpt("pagination_max_limit", default=-1, help="Most items of one page; -1: no limit."),
            cfg.IntOpt("max_dns_nameservers", default=5, min=0, help="Name servers a subnet may have."),
            cfg.IntOpt("max_subnet_host_routes", default=20, min=0, help="Host routes a subnet may have."),
            cfg.IntOpt("max_routes", default=30, min=0, help="Extra routes a router may have."),
            cfg.IntOpt("max_allowed_address_pair", default=10, min=0, help="Address pairs a port may have."),
            cfg.IntOpt("global_physnet_mtu", default=1500, min=68, help="MTU of the physical networks."),
            cfg.StrOpt("default_availability_zone", default="nova", help="Zone that hosts are shown in."),
            cfg.BoolOpt("notify_nova_on_port_status_changes", default=True, help="Tell compute when a port comes up."),
            cfg.IntOpt("send_events_interval", default=0, min=0, help="Seconds in which events are gathered."),
        ],
    ),
    (
        "ml2",
        [
            cfg.ListOpt("tenant_network_types", default=["geneve"], help="What users' networks are made of."),
            cfg.IntOpt("path_mtu", default=0, min=0, help="Largest MTU of overlay networks; 0: the driver's."),
        ],
    ),
    ("ml2_type_geneve", [cfg.ListOpt("vni_ranges", default=["1:65535"], help="Tunnel ids, first:last.")]),
    (
        "ml2_type_vlan",
        [cfg.ListOpt("network_vlan_ranges", default=[], help="physical_network[:first:last] for users' networks.")],
    ),
    (
        "quotas",
        [
            *(
                cfg.IntOpt(f"quota_{name}", default=limit, min=-1, help=f"{name}s a project may have; -1: no limit.")
                for name, limit in QUOTAS.items()
            ),
        ],
    ),
)


@dataclass(frozen=True, slots=True)
class VlanRange:
    """Segment ids that users' VLAN networks may get on one physical network; none when first is above
    last.
    """

    physical_network: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Networking's options, plain."""

    base_mac: str = "fa:16:3e:00:00:00"
    dns_domain: str = "openstacklocal"
    page_limit: int | None = None
    max_dns_nameservers: int = 5
    max_host_routes: int = 20
    max_routes: int = 30
    max_address_pairs: int = 10
    physical_mtu: int = 1500
    overlay_mtu: int | None = None
    availability_zone: str = "nova"
    tenant_network_types: tuple[str, ...] = ("geneve",)
    tunnel_ids: tuple[tuple[int, int], ...] = ((1, 65535),)
    vlan_ranges: tuple[VlanRange, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=lambda: dict(QUOTAS))
    notify_compute: bool = True
    notify_interval_s: int = 0


def settings(conf: Any) -> Settings:
    """Read ``conf`` (an oslo.config instance with :data:`GROUPS`) once."""
    limit = conf.network.pagination_max_limit
    return Settings(
        base_mac=conf.network.base_mac.lower(),
        dns_domain=conf.network.dns_domain,
        page_limit=limit if limit > 0 else None,
        max_dns_nameservers=conf.network.max_dns_nameservers,
        max_host_routes=conf.network.max_subnet_host_routes,
        max_routes=conf.network.max_routes,
        max_address_pairs=conf.network.max_allowed_address_pair,
        physical_mtu=conf.network.global_physnet_mtu,
        overlay_mtu=conf.ml2.path_mtu or None,
        availability_zone=conf.network.default_availability_zone,
        tenant_network_types=tuple(conf.ml2.tenant_network_types),
        tunnel_ids=tuple(_range(text) for text in conf.ml2_type_geneve.vni_ranges),
        vlan_ranges=tuple(_vlan_range(text) for text in conf.ml2_type_vlan.network_vlan_ranges),
        quotas={name: getattr(conf.quotas, f"quota_{name}") for name in QUOTAS},
        notify_compute=conf.network.notify_nova_on_port_status_changes,
        notify_interval_s=conf.network.send_events_interval,
    )


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) < 2**24):
        raise ConfigError(f"ml2_type_geneve.vni_ranges: {text!r} is not first:last within 1 and 16777215")
    return int(first), int(last)


def _vlan_range(text: str) -> VlanRange:
    name, _, rest = text.partition(":")
    if not rest:
        return VlanRange(name, 1, 0)
    first, _, last = rest.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 4094):
        raise ConfigError(f"ml2_type_vlan.network_vlan_ranges: {text!r} is not physical_network:first:last")
    return VlanRange(name, int(first), int(last))
