"""Valid specs for the stories about OVN; say only what matters."""

from __future__ import annotations

import ipaddress
from typing import Any

from kilonova.network.drivers.driver import (
    FixedIp,
    FloatingIpSpec,
    NetworkSpec,
    PortSpec,
    RouterAddress,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    RuleSpec,
    SecurityGroupSpec,
    SubnetSpec,
)


def network(id: str = "net-1", **more: Any) -> NetworkSpec:
    return NetworkSpec(**{"id": id, "name": id, "mtu": 1442, **more})


def subnet(id: str = "sub-1", network_id: str = "net-1", cidr: str = "10.0.0.0/24", **more: Any) -> SubnetSpec:
    net = ipaddress.ip_network(cidr)
    values = {"gateway_ip": str(net[1]), "mtu": 1442, "ip_version": net.version}
    return SubnetSpec(**{"id": id, "network_id": network_id, "cidr": cidr, **values, **more})


def fixed(address: str, subnet_id: str = "sub-1", cidr: str | None = None) -> FixedIp:
    length = 24 if "." in address else 64
    return FixedIp(subnet_id, address, cidr or str(ipaddress.ip_network(f"{address}/{length}", strict=False)))


def port(id: str = "port-1", network_id: str = "net-1", ip: str | None = "10.0.0.5", **more: Any) -> PortSpec:
    number = int(ipaddress.ip_address(ip)) & 0xFFFF if ip else 0
    values: dict[str, Any] = {
        "mac": f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}",
        "fixed_ips": (fixed(ip),) if ip else (),
        "device_owner": "compute:nova",
        "device_id": f"server-of-{id}",
        "project_id": "project-1",
    }
    return PortSpec(**{"id": id, "network_id": network_id, **values, **more})


def group(id: str = "sg-1", *rules: RuleSpec, **more: Any) -> SecurityGroupSpec:
    return SecurityGroupSpec(id=id, name=id, rules=rules, **more)


def rule(id: str = "rule-1", direction: str = "ingress", ethertype: str = "IPv4", **more: Any) -> RuleSpec:
    return RuleSpec(id=id, direction=direction, ethertype=ethertype, **more)


def all_out(prefix: str) -> tuple[RuleSpec, RuleSpec]:
    """What every new security group has."""
    return rule(f"{prefix}-out4", "egress"), rule(f"{prefix}-out6", "egress", "IPv6")


def interface(port_id: str = "leg-1", network_id: str = "net-1", ip: str = "10.0.0.1", **more: Any) -> RouterInterface:
    length = 24 if "." in ip else 64
    cidr = str(ipaddress.ip_network(f"{ip}/{length}", strict=False))
    values = {"mac": "fa:16:3e:aa:00:01", "mtu": 1442, "addresses": (RouterAddress(ip, cidr),)}
    return RouterInterface(**{"port_id": port_id, "network_id": network_id, **values, **more})


def gateway(port_id: str = "gw-1", network_id: str = "ext-1", ip: str = "172.24.4.10", **more: Any) -> RouterGateway:
    cidr = str(ipaddress.ip_network(f"{ip}/24", strict=False))
    values = {"mac": "fa:16:3e:bb:00:01", "mtu": 1500, "addresses": (RouterAddress(ip, cidr),)}
    nexthops = (str(ipaddress.ip_network(cidr)[1]),)
    return RouterGateway(**{"port_id": port_id, "network_id": network_id, "nexthops": nexthops, **values, **more})


def router(id: str = "router-1", **more: Any) -> RouterSpec:
    return RouterSpec(**{"id": id, "name": id, **more})


def floating_ip(id: str = "fip-1", address: str = "172.24.4.50", **more: Any) -> FloatingIpSpec:
    return FloatingIpSpec(**{"id": id, "address": address, "network_id": "ext-1", "mac": "fa:16:3e:cc:00:01", **more})
