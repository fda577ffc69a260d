"""The documents a guest reads about itself, in OpenStack's and in EC2's form. Pure: a guest order in, a
tree out.

Config drive and metadata service show the same tree, so both are made here. Paths have no leading slash.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.compute.calls import Address, GuestOrder, Nic

OPENSTACK_VERSIONS: tuple[str, ...] = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
)
EC2_VERSIONS: tuple[str, ...] = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
)
_HAVANA, _LIBERTY = "2013-10-17", "2015-10-15"
_NEWTON_ONE, _NEWTON_TWO = "2016-06-30", "2016-10-06"

_json = msgspec.json.Encoder(order="deterministic").encode


def user_data(order: GuestOrder) -> bytes | None:
    """The user's script as bytes; it is kept as base64."""
    text = order.persona.user_data
    if not text:
        return None
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode()


def meta_data(order: GuestOrder, version: str = "latest") -> dict[str, Any]:
    """``meta_data.json``. Keys that came with a later version are not shown to an earlier one."""
    p = order.persona
    document: dict[str, Any] = {
        "uuid": order.server_id,
        "name": p.name,
        "hostname": full_hostname(order),
        "launch_index": p.launch_index,
        "availability_zone": p.zone,
    }
    if p.metadata:
        document["meta"] = dict(p.metadata)
    if p.public_key and p.key_name:
        document["public_keys"] = {p.key_name: p.public_key}
        if _since(version, _LIBERTY):
            document["keys"] = [{"type": p.key_type or "ssh", "name": p.key_name, "data": p.public_key}]
    if p.files:
        document["files"] = [
            {"content_path": f"/content/{number:04d}", "path": file.path} for number, file in enumerate(p.files)
        ]
    if _since(version, "2013-04-04") and p.admin_password:
        document["admin_pass"] = p.admin_password
    if _since(version, _LIBERTY):
        document["project_id"] = p.project_id
    if _since(version, _NEWTON_ONE):
        document["devices"] = [
            {"type": "nic", "bus": "none", "address": "none", "mac": nic.mac, "tags": [nic.tag]}
            for nic in order.nics
            if nic.tag
        ]
    if _since(version, "2020-10-14"):
        document["dedicated_cpus"] = []
    return document


def full_hostname(order: GuestOrder) -> str:
    """The hostname with the network's domain, when it has one."""
    p = order.persona
    domain = p.dns_domain.strip(".")
    return f"{p.hostname}.{domain}" if domain and "." not in p.hostname else p.hostname


def network_data(order: GuestOrder) -> dict[str, Any]:
    """``network_data.json``: links, networks on them, and services (name servers)."""
    links, networks, services = [], [], []
    for number, nic in enumerate(order.nics):
        link = f"tap{nic.port_id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": nic.port_id,
                "type": nic.vif_type,
                "mtu": nic.mtu,
                "ethernet_mac_address": nic.mac,
            }
        )
        for address in nic.addresses:
            networks.append(_network(f"network{number}", link, nic, address))
            for server in address.subnet.dns:
                row = {"type": "dns", "address": server}
                if row not in services:
                    services.append(row)
    for number, row in enumerate(networks):
        row["id"] = f"network{number}"
    return {"links": links, "networks": networks, "services": services}


def _network(name: str, link: str, nic: Nic, address: Address) -> dict[str, Any]:
    subnet = ipaddress.ip_network(address.subnet.cidr, strict=False)
    version = subnet.version
    network: dict[str, Any] = {"id": name, "link": link, "network_id": nic.network_id}
    if address.subnet.has_dhcp:
        network["type"] = "ipv4_dhcp" if version == 4 else "ipv6_dhcp"
        return network
    routes = []
    if address.subnet.gateway_ip:
        zero = "0.0.0.0" if version == 4 else "::"
        routes.append({"network": zero, "netmask": zero, "gateway": address.subnet.gateway_ip})
    for destination, nexthop in address.subnet.routes:
        target = ipaddress.ip_network(destination, strict=False)
        routes.append({"network": str(target.network_address), "netmask": str(target.netmask), "gateway": nexthop})
    network.update(
        type="ipv4" if version == 4 else "ipv6",
        ip_address=address.address,
        netmask=str(subnet.netmask),
        routes=routes,
        services=[{"type": "dns", "address": server} for server in address.subnet.dns],
    )
    return network


def openstack_tree(order: GuestOrder, vendor_data: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Everything under ``openstack/``, for every version: path to content."""
    tree: dict[str, bytes] = {}
    script, network = user_data(order), _json(network_data(order))
    vendor = _json(dict(vendor_data or {}))
    for version in OPENSTACK_VERSIONS:
        base = f"openstack/{version}"
        tree[f"{base}/meta_data.json"] = _json(meta_data(order, version))
        if script is not None:
            tree[f"{base}/user_data"] = script
        if _since(version, _HAVANA):
            tree[f"{base}/vendor_data.json"] = vendor
        if _since(version, _LIBERTY):
            tree[f"{base}/network_data.json"] = network
        if _since(version, _NEWTON_TWO):
            tree[f"{base}/vendor_data2.json"] = b'{"static":' + vendor + b"}"
    for number, file in enumerate(order.persona.files):
        tree[f"openstack/content/{number:04d}"] = _unbase64(file.contents)
    return tree


def ec2_meta_data(order: GuestOrder, floating_ip: str | None = None) -> dict[str, Any]:
    """EC2's meta-data as a tree of mappings; a list is a directory of lines."""
    p = order.persona
    fixed = [a.address for nic in order.nics for a in nic.addresses if ":" not in a.address]
    name = full_hostname(order)
    tree: dict[str, Any] = {
        "ami-id": f"ami-{order.image.image_id[:8] or '00000000'}",
        "ami-launch-index": str(p.launch_index),
        "ami-manifest-path": "",
        "block-device-mapping": {"ami": order.root_device.removeprefix("/dev/"), "root": order.root_device},
        "hostname": name,
        "instance-action": "none",
        "instance-id": f"i-{order.number:08x}",
        "instance-type": order.flavor.name,
        "local-hostname": name,
        "local-ipv4": fixed[0] if fixed else "",
        "placement": {"availability-zone": p.zone},
        "public-hostname": name,
        "public-ipv4": floating_ip or "",
        "reservation-id": p.reservation_id,
        "security-groups": "",
    }
    if p.public_key and p.key_name:
        tree["public-keys"] = {"0": {"openssh-key": p.public_key, "_name": p.key_name}}
    return tree


def ec2_json(order: GuestOrder) -> bytes:
    """EC2's documents in one file, as config drives carry them."""
    document = dict(ec2_meta_data(order))
    if "public-keys" in document:
        document["public-keys"] = {"0": {"openssh-key": order.persona.public_key}}
    return _json(document)


def config_drive_tree(order: GuestOrder) -> dict[str, bytes]:
    """All files of a config drive by path."""
    tree = openstack_tree(order)
    for version in ("2009-04-04", "latest"):
        tree[f"ec2/{version}/meta-data.json"] = ec2_json(order)
        script = user_data(order)
        if script is not None:
            tree[f"ec2/{version}/user-data"] = script
    return tree


def _since(version: str, first: str) -> bool:
    return version == "latest" or version >= first


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode()
