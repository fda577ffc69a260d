"""Options of a host's part of networking, under upstream's group and option names where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import ConfigError, Group
from kilonova.network.drivers.ovn.translate import Settings as Translation

GROUPS: tuple[Group, ...] = (
    (
        "ovn",
        [
            cfg.StrOpt("ovn_nb_connection", default="", help="Northbound database; empty: our own, on this host."),
            cfg.StrOpt("ovn_sb_connection", default="", help="Southbound database; empty: our own, on this host."),
            cfg.StrOpt("ovs_connection", default="", help="Open vSwitch's database; empty: our own, on this host."),
            cfg.StrOpt(
                "dataplane_netns",
                default="kilonova",
                help="Network namespace that carries the traffic; empty: the machine's own.",
            ),
            cfg.StrOpt(
                "datapath", default="auto", choices=["auto", "system", "netdev"], help="In the kernel, or in userspace."
            ),
            cfg.StrOpt("encap_ip", default="", help="Address of this host for tunnels; empty: it has no others."),
            cfg.StrOpt("encap_type", default="geneve", help="Kind of the tunnels between hosts."),
            cfg.DictOpt(
                "bridge_mappings", default={"public": "br-ex"}, help="physical_network:bridge for provider networks."
            ),
            cfg.StrOpt(
                "outside_address",
                default="172.24.4.1/24",
                help="What the outside namespace has on the first provider bridge; empty: no such namespace.",
            ),
            cfg.StrOpt("provider_interface", default="", help="Network card that joins the first provider bridge."),
            cfg.BoolOpt("enable_distributed_floating_ip", default=False, help="Floating IPs leave at their own host."),
            cfg.ListOpt("dns_servers", default=[], help="Name servers for subnets that name none."),
            cfg.IntOpt("dhcp_default_lease_time", default=43200, min=60, help="Seconds a DHCP lease is good for."),
            cfg.BoolOpt("ovn_metadata_enabled", default=True, help="Answer 169.254.169.254 on this host."),
        ],
    ),
    (
        "metadata_agent",
        [
            cfg.StrOpt("nova_metadata_url", default="", help="Compute's metadata service, http://host:8775."),
            cfg.StrOpt("metadata_proxy_shared_secret", default="", secret=True, help="Signs what we say of a server."),
        ],
    ),
)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine of one host needs. `state_dir` holds everything it keeps; `host` names the chassis.

    `connections` empty means our own databases. `encap_ip` None: a single machine, which has no tunnels.
    `datapath`: "auto", "system" or "netdev".
    """

    state_dir: Path
    host: str
    netns: str = "kilonova"
    northbound: str = ""
    southbound: str = ""
    ovs: str = ""
    datapath: str = "auto"
    encap_type: str = "geneve"
    encap_ip: str | None = None
    bridge_mappings: Mapping[str, str] = field(default_factory=lambda: {"public": "br-ex"})
    outside_address: str | None = "172.24.4.1/24"
    provider_interface: str | None = None

    @property
    def is_central(self) -> bool:
        return not self.northbound and not self.southbound

    @property
    def outside_netns(self) -> str:
        return f"{self.netns or 'kilonova'}-outside"

    def metadata_netns(self, network_id: str) -> str:
        return f"{self.netns or 'kilonova'}-meta-{network_id}"


def engine_settings(conf: Any, state_dir: Path, host: str) -> EngineSettings:
    """Read `conf` (an oslo.config instance with GROUPS) once."""
    ovn = conf.ovn
    if bool(ovn.ovn_nb_connection) != bool(ovn.ovn_sb_connection):
        raise ConfigError("ovn.ovn_nb_connection and ovn.ovn_sb_connection are set together or not at all")
    return EngineSettings(
        state_dir=state_dir,
        host=host,
        netns=ovn.dataplane_netns,
        northbound=ovn.ovn_nb_connection,
        southbound=ovn.ovn_sb_connection,
        ovs=ovn.ovs_connection,
        datapath=ovn.datapath,
        encap_type=ovn.encap_type,
        encap_ip=ovn.encap_ip or None,
        bridge_mappings=dict(ovn.bridge_mappings),
        outside_address=ovn.outside_address or None,
        provider_interface=ovn.provider_interface or None,
    )


def driver_settings(conf: Any, *, tso: bool = False) -> Translation:
    """How the OVN driver shall translate. `tso`: the engine's datapath has it (see names_in_flow)."""
    return Translation(
        dhcp_lease_s=conf.ovn.dhcp_default_lease_time,
        dns_servers=tuple(conf.ovn.dns_servers),
        distributed_floating_ip=conf.ovn.enable_distributed_floating_ip,
        names_in_flow=not tso,
    )
