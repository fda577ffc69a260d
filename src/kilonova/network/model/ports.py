"""Ports: address pairs, DHCP options, names; what a user may ask of a port. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kilonova.network import errors
from kilonova.network.model import macs

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
METADATA = "network:distributed"
SERVICE_OWNERS = (ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP)
"""Owners whose ports belong to another resource and are not deleted through the ports API."""
AUTOMATIC_OWNERS = (METADATA, "network:dhcp")
"""Owners whose ports do not keep a network or a subnet from being deleted: they go with it."""

UNBOUND, BINDING_FAILED = "unbound", "binding_failed"
VNIC_TYPES = (
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed",
)  # fmt: skip

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_DHCP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_-]{0,63}\Z")


def has_security_by_default(device_owner: str) -> bool:
    """Ports of the network itself (routers, floating IPs, metadata) get no security group."""
    return not device_owner.startswith("network:")


def canonical_pairs(pairs: Iterable[Mapping[str, Any]], limit: int, port_mac: str | None) -> list[dict[str, str]]:
    """Allowed address pairs with canonical text; refuses repeats, more than ``limit``, and what is no
    address.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for pair in pairs:
        if "ip_address" not in pair:
            raise errors.InvalidInput(reason="AllowedAddressPair must contain ip_address")
        address = _address_or_cidr(str(pair["ip_address"]))
        mac = pair.get("mac_address")
        canonical = macs.canonical(str(mac)) if mac is not None else port_mac
        if canonical is None:
            raise errors.InvalidInput(reason=f"'{mac}' is not a valid MAC address")
        if (canonical, address) in found:
            raise errors.DuplicateAddressPairInRequest(mac=canonical, ip=address)
        found[canonical, address] = {"mac_address": canonical, "ip_address": address}
    if len(found) > limit:
        raise errors.AddressPairsExhausted(limit=limit)
    return list(found.values())


def _address_or_cidr(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise errors.InvalidInput(reason=f"'{text}' is not a valid IP address or CIDR") from None


def canonical_dhcp_options(
    options: Iterable[Mapping[str, Any]], already: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Extra DHCP options after a change: a value of None takes an option away.

    Names and values that could break out of a DHCP server's configuration are refused (a line break, a name
    that is no word): a guest's option must never change what other guests get.
    """
    kept: dict[tuple[str, int], dict[str, Any]] = {(str(o["opt_name"]), int(o["ip_version"])): dict(o) for o in already}
    for option in options:
        name, value, version = option["opt_name"], option.get("opt_value"), int(option.get("ip_version") or 4)
        if not _DHCP_NAME.match(str(name)):
            raise errors.InvalidInput(reason=f"opt_name {name!r} is not the name of a DHCP option")
        if value is None:
            kept.pop((name, version), None)
            continue
        if not value or len(value) > 255 or any(ord(ch) < 0x20 or ord(ch) == 0x7F for ch in value):
            raise errors.InvalidInput(reason=f"opt_value of {name} must be 1 to 255 characters on one line")
        kept[name, version] = {"opt_name": name, "opt_value": value, "ip_version": version}
    return list(kept.values())


def check_dns_name(name: str) -> str:
    """A host name, one label or fully qualified; lower case."""
    if name == "":
        return ""
    labels = name.removesuffix(".").split(".")
    if len(name) > 255 or not all(_LABEL.match(label) for label in labels):
        raise errors.InvalidInput(reason=f"'{name}' is not a valid DNS name")
    return name.lower()


def check_dns_domain(name: str) -> str:
    """A domain, absolute or not; kept as given but for its case."""
    return check_dns_name(name)


def dns_assignment(dns_name: str, domain: str, addresses: Sequence[str]) -> list[dict[str, str]]:
    """For each address the name guests find it under: the port's own, or one made of the address."""
    found = []
    suffix = domain if domain.endswith(".") else f"{domain}."
    for address in addresses:
        host = dns_name or f"host-{address.replace('.', '-').replace(':', '-')}"
        fqdn = host if host.endswith(".") else f"{host}.{suffix}"
        found.append({"ip_address": address, "hostname": host, "fqdn": fqdn})
    return found
