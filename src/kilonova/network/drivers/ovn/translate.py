"""Specs to the rows that OVN shall have. Pure: the same spec and settings give the same rows, always."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kilonova.network.drivers.driver import (
    FloatingIpSpec,
    NetworkSpec,
    PortSpec,
    RouterAddress,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    SecurityGroupSpec,
    Spec,
    SubnetSpec,
    kind_of,
)
from kilonova.network.drivers.ovn import dhcp, names
from kilonova.network.drivers.ovn.acls import group_rows
from kilonova.network.drivers.ovn.rows import NAMES, REVISION, FirstOf, Owner, Row, Slot

ROUTER_PORTS = ("network:router_interface", "network:router_gateway")
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator or the dataplane decides of the translation.

    `names_in_flow`: OVN itself answers for names of ports. Off where the switch works in userspace with TSO: there a
    question that OVN does not know, for whatever name server, comes back from its controller with a checksum that is
    not filled in, and is dropped. The agent's name server answers instead.
    """

    dhcp_lease_s: int = 43200
    dns_servers: tuple[str, ...] = ()
    distributed_floating_ip: bool = False
    names_in_flow: bool = True


def rows_of(spec: Spec, settings: Settings, gateway_chassis: Sequence[str] = ()) -> list[Row]:
    """All rows of one object. `gateway_chassis`: where its gateway may be, best first (routers only)."""
    match spec:
        case NetworkSpec():
            return _network(spec)
        case SubnetSpec():
            return _subnet(spec, settings)
        case PortSpec():
            return _port(spec, settings)
        case RouterSpec():
            return _router(spec, gateway_chassis)
        case FloatingIpSpec():
            return _floating_ip(spec, settings)
        case SecurityGroupSpec():
            return group_rows(spec)


def _owner(spec: Spec) -> Owner:
    return Owner(kind_of(spec), spec.id)


def _network(spec: NetworkSpec) -> list[Row]:
    owner = _owner(spec)
    name = names.switch(spec.id)
    ids = {
        "neutron:network_name": spec.name,
        "neutron:mtu": str(spec.mtu),
        "neutron:provnet-network-type": spec.provider.network_type,
        REVISION: str(spec.revision),
    }
    config = {"mcast_snoop": "false", "mcast_flood_unregistered": "false", "vlan-passthru": "false"}
    rows = [Row("Logical_Switch", name, owner, {"other_config": config, "external_ids": ids})]
    if spec.provider.network_type in ("flat", "vlan"):
        rows.append(_localnet(spec, owner))
    return rows


def _localnet(spec: NetworkSpec, owner: Owner) -> Row:
    columns: dict[str, Any] = {
        "type": "localnet",
        "addresses": {"unknown"},
        "options": {
            "network_name": spec.provider.physical_network or "",
            "mcast_flood": "false",
            "mcast_flood_reports": "true",
            "localnet_learn_fdb": "false",
        },
        "tag": spec.provider.segmentation_id if spec.provider.network_type == "vlan" else None,
        "external_ids": {"neutron:network_name": names.switch(spec.id)},
    }
    slots = (Slot("Logical_Switch", names.switch(spec.id), "ports"),)
    return Row("Logical_Switch_Port", names.localnet(spec.id), owner, columns, slots)


def _subnet(spec: SubnetSpec, settings: Settings) -> list[Row]:
    if not (dhcp.offers_v4(spec) or dhcp.offers_v6(spec)):
        return []
    columns = {
        "cidr": spec.cidr,
        "options": dhcp.options_of(spec, settings.dhcp_lease_s, settings.dns_servers),
        "external_ids": {
            "subnet_id": spec.id,
            "neutron:network_name": names.switch(spec.network_id),
            REVISION: str(spec.revision),
        },
    }
    return [Row("DHCP_Options", names.subnet_dhcp(spec.id), _owner(spec), columns)]


# --- ports ---


def _port(spec: PortSpec, settings: Settings) -> list[Row]:
    if spec.device_owner == "network:floatingip":
        return []
    if spec.device_owner in ROUTER_PORTS:
        return [_router_side_of_switch(spec)]
    return [_switch_port(spec), *_own_dhcp(spec, settings), *(_dns(spec) if settings.names_in_flow else ())]


def _port_ids(spec: PortSpec) -> dict[str, str]:
    lengths = {ip.address: ip.cidr.rpartition("/")[2] for ip in spec.fixed_ips}
    return {
        "neutron:port_name": spec.name,
        "neutron:project_id": spec.project_id,
        "neutron:device_id": spec.device_id,
        "neutron:device_owner": spec.device_owner,
        "neutron:network_name": names.switch(spec.network_id),
        "neutron:cidrs": " ".join(f"{address}/{length}" for address, length in lengths.items()),
        "neutron:security_group_ids": " ".join(spec.security_groups),
        "neutron:host_id": spec.host,
        "neutron:vnic_type": spec.vnic_type,
        NAMES: " ".join(record.name.lower() for record in spec.dns_records),
        REVISION: str(spec.revision),
    }


def _router_side_of_switch(spec: PortSpec) -> Row:
    options = {"router-port": names.router_port(spec.id)}
    if spec.device_owner == "network:router_gateway":
        options |= {"nat-addresses": "router", "exclude-lb-vips-from-garp": "true"}
    columns = {
        "type": "router",
        "addresses": {"router"},
        "options": options,
        "enabled": spec.admin_state_up,
        "external_ids": _port_ids(spec),
    }
    slots = (Slot("Logical_Switch", names.switch(spec.network_id), "ports"),)
    return Row("Logical_Switch_Port", spec.id, _owner(spec), columns, slots)


def is_filtered(spec: PortSpec) -> bool:
    """Whether security groups and the fence against spoofing apply; not to the network's own ports."""
    return spec.port_security and not spec.device_owner.startswith("network:")


def _switch_port(spec: PortSpec) -> Row:
    own, others = _addresses(spec)
    is_local = spec.device_owner == "network:distributed"
    columns: dict[str, Any] = {
        "type": "localport" if is_local else "",
        "addresses": {own, *(mac for mac, _ in others)},
        "port_security": {own, *(f"{mac} {' '.join(ips)}" for mac, ips in others)} if is_filtered(spec) else set(),
        "options": {"mcast_flood_reports": "true"},
        "enabled": spec.admin_state_up,
        "dhcpv4_options": _dhcp_of(spec, 4),
        "dhcpv6_options": _dhcp_of(spec, 6),
        "external_ids": _port_ids(spec),
    }
    if not spec.port_security and not is_local:
        columns["addresses"].add("unknown")
    if spec.host and not is_local:
        columns["options"] = {**columns["options"], "requested-chassis": spec.host}
    slots = [Slot("Logical_Switch", names.switch(spec.network_id), "ports")]
    if is_filtered(spec):
        groups = [names.DROP_GROUP, *map(names.port_group, spec.security_groups)]
        slots += [Slot("Port_Group", group, "ports") for group in groups]
    return Row("Logical_Switch_Port", spec.id, _owner(spec), columns, tuple(slots))


def _addresses(spec: PortSpec) -> tuple[str, list[tuple[str, list[str]]]]:
    """ "mac ip ip" of the port itself, and (mac, ips) for each other MAC it may send from."""
    mac = spec.mac.lower()
    own_ips = list(dict.fromkeys(_plain(ip.address) for ip in spec.fixed_ips))
    others: dict[str, list[str]] = {}
    for pair in spec.address_pairs:
        pair_mac = (pair.mac or mac).lower()
        ips = own_ips if pair_mac == mac else others.setdefault(pair_mac, [])
        if _plain(pair.address) not in ips:
            ips.append(_plain(pair.address))
    return " ".join([mac, *own_ips]), sorted(others.items())


def _plain(address: str) -> str:
    """ "10.0.0.5/32" -> "10.0.0.5"; "10.0.0.5/24" -> "10.0.0.0/24" """
    net = ipaddress.ip_network(address, strict=False)
    return str(net.network_address) if net.num_addresses == 1 else str(net)


def _dhcp_of(spec: PortSpec, version: int) -> FirstOf | None:
    if spec.device_owner.startswith("network:"):
        return None
    subnets = [ip.subnet_id for ip in spec.fixed_ips if ipaddress.ip_address(ip.address).version == version]
    keys = (names.port_dhcp(spec.id, version), *map(names.subnet_dhcp, subnets))
    return FirstOf("DHCP_Options", keys) if subnets else None


def _own_dhcp(spec: PortSpec, settings: Settings) -> list[Row]:
    """A DHCP answer of the port's own where it has options of its own: its subnet's, changed."""
    if spec.device_owner.startswith("network:"):
        return []
    rows = []
    for version, offers in ((4, dhcp.offers_v4), (6, dhcp.offers_v6)):
        extra = [option for option in spec.dhcp_options if option.ip_version == version]
        subnet = next((one for one in spec.dhcp_subnets if offers(one)), None)
        if extra and subnet is not None:
            options = dhcp.options_of(subnet, settings.dhcp_lease_s, settings.dns_servers)
            ids = {"subnet_id": subnet.id, "port_id": spec.id}
            columns = {
                "cidr": subnet.cidr,
                "options": dhcp.with_extra(options, extra, version),
                "external_ids": {**ids, "neutron:network_name": names.switch(spec.network_id)},
            }
            rows.append(Row("DHCP_Options", names.port_dhcp(spec.id, version), _owner(spec), columns))
    return rows


def _dns(spec: PortSpec) -> list[Row]:
    """One row a port, so that a port that goes takes its names with it."""
    records: dict[str, str] = {}
    for record in spec.dns_records:
        if record.addresses:
            records[record.name.lower()] = " ".join(record.addresses)
            for address in record.addresses:  # the last name wins: the most qualified one
                records[ipaddress.ip_address(address).reverse_pointer] = record.name.lower()
    if not records:
        return []
    switch = names.switch(spec.network_id)
    columns = {"records": records, "external_ids": {"ls_name": switch, "neutron:network_name": switch}}
    return [Row("DNS", f"port:{spec.id}", _owner(spec), columns, (Slot("Logical_Switch", switch, "dns_records"),))]


# --- routers ---


def _router(spec: RouterSpec, gateway_chassis: Sequence[str]) -> list[Row]:
    owner, name = _owner(spec), names.router(spec.id)
    columns = {
        "enabled": spec.admin_state_up,
        "options": {
            "always_learn_from_arp_request": "false",
            "dynamic_neigh_routers": "true",
            "mac_binding_age_threshold": "300",
        },
        "external_ids": {
            "neutron:router_name": spec.name,
            "neutron:gw_port_id": spec.gateway.port_id if spec.gateway else "",
            REVISION: str(spec.revision),
        },
    }
    rows = [Row("Logical_Router", name, owner, columns)]
    rows += [_leg(spec, leg, owner, _router_advertisements(leg)) for leg in spec.interfaces]
    for route in spec.routes:
        rows.append(_route(spec, owner, route.destination, route.nexthop, {}))
    if spec.gateway is not None:
        rows += _gateway(spec, spec.gateway, owner, gateway_chassis)
    return rows


def _networks(addresses: Sequence[RouterAddress]) -> set[str]:
    return {f"{own.address}/{own.cidr.rpartition('/')[2]}" for own in addresses}


def _leg(spec: RouterSpec, leg: RouterInterface | RouterGateway, owner: Owner, ra: Mapping[str, str]) -> Row:
    columns = {
        "mac": leg.mac.lower(),
        "networks": _networks(leg.addresses),
        "ipv6_ra_configs": dict(ra),
        "enabled": True,
        "external_ids": {
            "neutron:router_name": spec.id,
            "neutron:network_name": names.switch(leg.network_id),
        },
    }
    slots = (Slot("Logical_Router", names.router(spec.id), "ports"),)
    return Row("Logical_Router_Port", names.router_port(leg.port_id), owner, columns, slots)


def _router_advertisements(leg: RouterInterface) -> dict[str, str]:
    modes = {own.ipv6_address_mode or own.ipv6_ra_mode for own in leg.addresses if own.ipv6_ra_mode}
    if not modes:
        return {}
    mode = "dhcpv6-stateful" if "dhcpv6-stateful" in modes else sorted(m for m in modes if m)[0]
    configs = {"address_mode": mode.replace("-", "_"), "send_periodic": "true", "mtu": str(leg.mtu)}
    servers = [one for own in leg.addresses for one in own.dns_nameservers if ":" in one]
    if servers:
        configs["rdnss"] = servers[0]
    return configs


def _route(spec: RouterSpec, owner: Owner, destination: str, nexthop: str, more: Mapping[str, Any]) -> Row:
    net = str(ipaddress.ip_network(destination))
    columns = {"ip_prefix": net, "nexthop": nexthop, "policy": "dst-ip", **more}
    key = f"route:{spec.id}:{net}:{nexthop}"
    slots = (Slot("Logical_Router", names.router(spec.id), "static_routes"),)
    return Row("Logical_Router_Static_Route", key, owner, columns, slots)


def _gateway(spec: RouterSpec, gateway: RouterGateway, owner: Owner, chassis: Sequence[str]) -> list[Row]:
    port = names.router_port(gateway.port_id)
    rows = [_leg(spec, gateway, owner, {})]
    rows += gateway_rows(owner, port, chassis)
    for nexthop in gateway.nexthops:
        more = {"output_port": port, "external_ids": {"neutron:is_ext_gw": "true"}}
        anywhere = ANYWHERE[ipaddress.ip_address(nexthop).version]
        rows.append(_route(spec, owner, anywhere, nexthop, more))
    outside = next((own.address for own in gateway.addresses if ":" not in own.address), None)
    if gateway.snat and outside is not None:
        inside = {own.cidr for leg in spec.interfaces for own in leg.addresses if ":" not in own.cidr}
        rows += [_snat(spec, owner, outside, cidr) for cidr in sorted(inside)]
    return rows


def gateway_rows(owner: Owner, port: str, chassis: Sequence[str]) -> list[Row]:
    """Where the gateway port of a router may be, best first."""
    slots = (Slot("Logical_Router_Port", port, "gateway_chassis"),)
    return [
        Row("Gateway_Chassis", f"{port}_{one}", owner, {"chassis_name": one, "priority": len(chassis) - rank}, slots)
        for rank, one in enumerate(chassis)
    ]


def _snat(spec: RouterSpec, owner: Owner, outside: str, cidr: str) -> Row:
    columns = {"type": "snat", "external_ip": outside, "logical_ip": cidr}
    slots = (Slot("Logical_Router", names.router(spec.id), "nat"),)
    return Row("NAT", f"snat:{spec.id}:{cidr}", owner, columns, slots)


def _floating_ip(spec: FloatingIpSpec, settings: Settings) -> list[Row]:
    if spec.router_id is None or spec.port_id is None or spec.fixed_ip is None:
        return []
    columns: dict[str, Any] = {
        "type": "dnat_and_snat",
        "external_ip": spec.address,
        "logical_ip": spec.fixed_ip,
        "logical_port": spec.port_id,
        "external_mac": spec.mac.lower() if settings.distributed_floating_ip else None,
        "external_ids": {
            "neutron:fip_id": spec.id,
            "neutron:fip_port_id": spec.port_id,
            "neutron:fip_external_mac": spec.mac.lower(),
            "neutron:fip_network_id": spec.network_id,
            "neutron:router_name": names.router(spec.router_id),
            REVISION: str(spec.revision),
        },
    }
    slots = (Slot("Logical_Router", names.router(spec.router_id), "nat"),)
    return [Row("NAT", f"floating_ip:{spec.id}", _owner(spec), columns, slots)]
