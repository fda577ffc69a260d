"""The hosts as OVN's southbound database knows them, and which of them carry a router's gateway. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_GATEWAYS = 5
GATEWAY_OPTION = "enable-chassis-as-gw"
VNET_HDR_OPTION = "kilonova-vnet-hdr"


@dataclass(frozen=True, slots=True)
class Chassis:
    """`name` is its id in OVN. `vnet_hdr`: taps may keep their offloads. `cfg`: the newest nb_cfg it has seen."""

    name: str
    host: str
    datapath_type: str
    physical_networks: tuple[str, ...]
    is_gateway: bool
    vnet_hdr: bool
    cfg: int

    @classmethod
    def read(cls, row: Mapping[str, Any], private: Mapping[str, Any] | None) -> Chassis:
        """From the rows of Chassis and Chassis_Private."""
        config = row["other_config"]
        options = [part.strip() for part in config.get("ovn-cms-options", "").split(",")]
        mappings = [part.partition(":")[0].strip() for part in config.get("ovn-bridge-mappings", "").split(",")]
        datapath = config.get("datapath-type") or "system"
        flag = next((part.partition("=")[2] for part in options if part.startswith(VNET_HDR_OPTION + "=")), None)
        return cls(
            row["name"],
            row["hostname"] or row["name"],
            datapath,
            tuple(sorted(name for name in mappings if name)),
            GATEWAY_OPTION in options,
            flag == "true" if flag is not None else datapath == "system",
            private["nb_cfg"] if private is not None else 0,
        )


def gateways_for(
    router_id: str, physical_network: str | None, there: Iterable[Chassis], now: Sequence[str]
) -> tuple[str, ...]:
    """The chassis that may carry a router's gateway, best first: those it has (`now`) as long as they can, then others.

    Chassis that are marked as gateways are preferred to all others; each must reach the physical network.
    """
    able = [one for one in there if physical_network is None or physical_network in one.physical_networks]
    marked = [one for one in able if one.is_gateway] or able
    names = {one.name for one in marked}
    kept = [name for name in now if name in names]
    rest = sorted(names - set(kept), key=lambda name: hashlib.sha256(f"{router_id} {name}".encode()).digest())
    return tuple([*kept, *rest][:MOST_GATEWAYS])
