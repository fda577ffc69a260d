"""The names of rows in OVN, as upstream's driver gives them."""

from __future__ import annotations

import hashlib

DROP_GROUP = "neutron_pg_drop"


def switch(network_id: str) -> str:
    return f"neutron-{network_id}"


def localnet(network_id: str) -> str:
    return f"provnet-{network_id}"


def router(router_id: str) -> str:
    return f"neutron-{router_id}"


def router_port(port_id: str) -> str:
    return f"lrp-{port_id}"


def port_group(security_group_id: str) -> str:
    """Names in OVN's match language have no hyphens."""
    return "pg_" + security_group_id.replace("-", "_").replace(".", "_")


def subnet_dhcp(subnet_id: str) -> str:
    return f"subnet:{subnet_id}"


def port_dhcp(port_id: str, ip_version: int) -> str:
    return f"port:{port_id}:{ip_version}"


def mac_for(seed: str) -> str:
    """A MAC address that is always the same for the same seed, from the range that ports have."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in digest[:3])
