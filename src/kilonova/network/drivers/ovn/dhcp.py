"""DHCP answers as OVN wants them. Pure.

ovn-controller parses these texts; one that it does not understand takes the whole answer away with a line in
its log. So every value is built here from checked parts, and extra options of a port are checked by kind.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from kilonova.network.drivers.driver import BadSpec, DhcpOption, SubnetSpec
from kilonova.network.drivers.ovn import names

METADATA_CIDR = "169.254.169.254/32"

# upstream's option name (dnsmasq's) -> (OVN's name, kind of value)
V4_OPTIONS = {
    "arp-timeout": ("arp_cache_timeout", "number"),
    "bootfile-name": ("bootfile_name", "text"),
    "broadcast-address": ("broadcast_address", "address"),
    "classless-static-route": ("classless_static_route", "routes"),
    "default-ttl": ("default_ttl", "number"),
    "dns-server": ("dns_server", "addresses"),
    "domain-name": ("domain_name", "text"),
    "domain-search": ("domain_search_list", "text"),
    "ethernet-encap": ("ethernet_encap", "flag"),
    "hostname": ("hostname", "text"),
    "ip-forward-enable": ("ip_forward_enable", "flag"),
    "lease-time": ("lease_time", "number"),
    "log-server": ("log_server", "addresses"),
    "lpr-server": ("lpr_server", "addresses"),
    "mtu": ("mtu", "number"),
    "ms-classless-static-route": ("ms_classless_static_route", "routes"),
    "netbios-name-server": ("netbios_name_server", "addresses"),
    "netbios-node-type": ("netbios_node_type", "number"),
    "netmask": ("netmask", "address"),
    "nis-server": ("nis_server", "addresses"),
    "ntp-server": ("ntp_server", "addresses"),
    "path-prefix": ("path_prefix", "text"),
    "policy-filter": ("policy_filter", "addresses"),
    "router": ("router", "addresses"),
    "router-discovery": ("router_discovery", "flag"),
    "router-solicitation": ("router_solicitation", "address"),
    "server-ip-address": ("tftp_server_address", "address"),
    "swap-server": ("swap_server", "address"),
    "T1": ("T1", "number"),
    "T2": ("T2", "number"),
    "tcp-keepalive-interval": ("tcp_keepalive_interval", "number"),
    "tcp-ttl": ("tcp_ttl", "number"),
    "tftp-server": ("tftp_server", "text"),
    "tftp-server-address": ("tftp_server_address", "address"),
    "wpad": ("wpad", "text"),
}
V4_NUMBERS = {
    "1": "netmask", "3": "router", "6": "dns-server", "7": "log-server", "9": "lpr-server", "12": "hostname",
    "15": "domain-name", "16": "swap-server", "19": "ip-forward-enable", "21": "policy-filter", "23": "default-ttl",
    "26": "mtu", "28": "broadcast-address", "31": "router-discovery", "32": "router-solicitation", "35": "arp-timeout",
    "36": "ethernet-encap", "37": "tcp-ttl", "38": "tcp-keepalive-interval", "41": "nis-server", "42": "ntp-server",
    "44": "netbios-name-server", "46": "netbios-node-type", "51": "lease-time", "58": "T1", "59": "T2",
    "66": "tftp-server", "67": "bootfile-name", "119": "domain-search", "121": "classless-static-route",
    "150": "tftp-server-address", "210": "path-prefix", "249": "ms-classless-static-route", "252": "wpad",
}  # fmt: skip
V6_OPTIONS = {"dns-server": ("dns_server", "addresses"), "domain-search": ("domain_search", "text")}
V6_NUMBERS = {"23": "dns-server", "24": "domain-search"}


def offers_v4(subnet: SubnetSpec) -> bool:
    return subnet.ip_version == 4 and subnet.enable_dhcp


def offers_v6(subnet: SubnetSpec) -> bool:
    modes = ("dhcpv6-stateful", "dhcpv6-stateless")
    return subnet.ip_version == 6 and subnet.enable_dhcp and subnet.ipv6_address_mode in modes


def options_of(subnet: SubnetSpec, lease_s: int, dns_servers: Sequence[str]) -> dict[str, str]:
    """The options of a subnet for which `offers_v4` or `offers_v6` holds.

    `dns_servers` is the operator's list for subnets that name none; without any, guests are sent to an
    address of their own network, where the names of the cloud are answered on the way.
    """
    return _v4(subnet, lease_s, dns_servers) if subnet.ip_version == 4 else _v6(subnet, dns_servers)


def _v4(subnet: SubnetSpec, lease_s: int, dns_servers: Sequence[str]) -> dict[str, str]:
    server = subnet.gateway_ip or subnet.metadata_ip or _first_host(subnet.cidr)
    options = {
        "server_id": server,
        "server_mac": names.mac_for(subnet.id),
        "lease_time": str(lease_s),
        "mtu": str(subnet.mtu),
    }
    if subnet.gateway_ip is not None:
        options["router"] = subnet.gateway_ip
    servers = [one for one in subnet.dns_nameservers or dns_servers if ":" not in one]
    if not servers and not subnet.dns_nameservers:
        servers = [subnet.metadata_ip or server]
    if servers:
        options["dns_server"] = _braces(servers)
    if subnet.dns_domain:
        options["domain_name"] = _quoted(subnet.dns_domain)
    if routes := _routes(subnet):
        options["classless_static_route"] = _braces(routes)
    return options


def _routes(subnet: SubnetSpec) -> list[str]:
    """Option 121. A guest that takes it ignores the router option, so the default route is in it, too."""
    routes = []
    if subnet.metadata_ip is not None and not subnet.external:
        routes.append(f"{METADATA_CIDR},{subnet.metadata_ip}")
    routes += [f"{route.destination},{route.nexthop}" for route in subnet.host_routes]
    if routes and subnet.gateway_ip is not None:
        routes.append(f"0.0.0.0/0,{subnet.gateway_ip}")
    return routes


def _v6(subnet: SubnetSpec, dns_servers: Sequence[str]) -> dict[str, str]:
    options = {"server_id": names.mac_for(subnet.id)}
    servers = [one for one in subnet.dns_nameservers or dns_servers if ":" in one]
    if servers:
        options["dns_server"] = _braces(servers)
    if subnet.dns_domain:
        options["domain_search"] = _quoted(subnet.dns_domain)
    if subnet.ipv6_address_mode == "dhcpv6-stateless":
        options["dhcpv6_stateless"] = "true"
    return options


def with_extra(options: dict[str, str], extra: Sequence[DhcpOption], ip_version: int) -> dict[str, str]:
    """A subnet's options with those of one port on top. An option that OVN does not know is left out, as
    upstream does.

    Raises BadSpec when a value cannot be what the option is made of.
    """
    known, numbers = (V4_OPTIONS, V4_NUMBERS) if ip_version == 4 else (V6_OPTIONS, V6_NUMBERS)
    merged = dict(options)
    for one in extra:
        name = one.name.removeprefix("option:").removeprefix("option6:")
        name = numbers.get(name, name)
        if one.ip_version == ip_version and name in known:
            ovn_name, kind = known[name]
            merged[ovn_name] = _checked(one.name, kind, one.value)
    return merged


def _checked(name: str, kind: str, value: str) -> str:
    parts = [part.strip() for part in value.strip("{} ").split(",") if part.strip()]
    try:
        match kind:
            case "number":
                return str(int(value))
            case "flag":
                return {"0": "0", "1": "1", "true": "1", "false": "0"}[value.lower()]
            case "address":
                return str(ipaddress.ip_address(value))
            case "addresses":
                return _braces([str(ipaddress.ip_address(part)) for part in parts])
            case "routes":
                nets = [str(ipaddress.ip_network(part)) for part in parts[::2]]
                hops = [str(ipaddress.ip_address(part)) for part in parts[1::2]]
                return _braces([f"{net},{hop}" for net, hop in zip(nets, hops, strict=True)])
            case _:
                return _quoted(value)
    except (ValueError, KeyError) as error:
        raise BadSpec(f"DHCP option {name} cannot be {value!r}") from error


def _quoted(text: str) -> str:
    text = text.strip('"')
    if not re.match(r'[^"\\\x00-\x1f\x7f]{1,255}\Z', text):
        raise ValueError(f"{text!r} cannot be in a DHCP answer")
    return f'"{text}"'


def _braces(values: Sequence[str]) -> str:
    return "{" + ", ".join(values) + "}"


def _first_host(cidr: str) -> str:
    net = ipaddress.ip_network(cidr)
    return str(net[1] if net.num_addresses > 2 else net[0])
