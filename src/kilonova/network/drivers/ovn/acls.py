"""Security group rules in OVN's match language. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any

from kilonova.network.drivers.driver import Kind, RuleSpec, SecurityGroupSpec
from kilonova.network.drivers.ovn import names
from kilonova.network.drivers.ovn.rows import REVISION, Owner, Row, Slot
from kilonova.network.drivers.validate import protocol_number

ALLOW_PRIORITY, DROP_PRIORITY = 1002, 1001
DIRECTIONS = {"egress": "from-lport", "ingress": "to-lport"}
ICMP = {4: ("icmp4", 1), 6: ("icmp6", 58)}
WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}

DROP_OWNER = Owner(Kind.SECURITY_GROUP, "default-drop")
"""Owns the group of all filtered ports; belongs to no object of the API, and is always wanted."""


ASKING_FOR_AN_ADDRESS = {
    "dhcp4": "ip4 && udp && udp.src == 68 && udp.dst == 67",
    "dhcp6": "ip6 && udp && udp.src == 546 && udp.dst == 547",
}


def drop_rows() -> list[Row]:
    """What every filtered port falls back to: no IP in either direction, but for asking for an address."""
    held = (Slot("Port_Group", names.DROP_GROUP, "acls"),)
    rows = [Row("Port_Group", names.DROP_GROUP, DROP_OWNER)]
    for way, side in (("from-lport", "inport"), ("to-lport", "outport")):
        columns = {
            "direction": way,
            "priority": DROP_PRIORITY,
            "match": f"{side} == @{names.DROP_GROUP} && ip",
            "action": "drop",
        }
        rows.append(Row("ACL", f"drop:{way}", DROP_OWNER, columns, held))
    for name, asks in ASKING_FOR_AN_ADDRESS.items():
        columns = {
            "direction": "from-lport",
            "priority": ALLOW_PRIORITY,
            "match": f"inport == @{names.DROP_GROUP} && {asks}",
            "action": "allow-related",
        }
        rows.append(Row("ACL", f"allow:{name}", DROP_OWNER, columns, held))
    return rows


def group_rows(spec: SecurityGroupSpec) -> list[Row]:
    owner = Owner(Kind.SECURITY_GROUP, spec.id)
    group = names.port_group(spec.id)
    ids = {"neutron:security_group_id": spec.id, "neutron:security_group_name": spec.name}
    rows = [Row("Port_Group", group, owner, {"external_ids": {**ids, REVISION: str(spec.revision)}})]
    held = (Slot("Port_Group", group, "acls"),)
    action = "allow-related" if spec.stateful else "allow-stateless"
    for rule in spec.rules:
        columns: dict[str, Any] = {
            "direction": DIRECTIONS[rule.direction],
            "priority": ALLOW_PRIORITY,
            "match": match_of(rule, group),
            "action": action,
            "external_ids": {"neutron:security_group_rule_id": rule.id},
        }
        rows.append(Row("ACL", f"rule:{rule.id}", owner, columns, held))
    return rows


def match_of(rule: RuleSpec, group: str) -> str:
    """ "outport == @pg_x && ip4 && ip4.src == 10.0.0.0/8 && tcp && tcp.dst == 22" """
    version = 4 if rule.ethertype == "IPv4" else 6
    side = "inport" if rule.direction == "egress" else "outport"
    terms = [f"{side} == @{group}", f"ip{version}", *_remote(rule, version), *_protocol(rule, version)]
    return " && ".join(terms)


def _remote(rule: RuleSpec, version: int) -> list[str]:
    field = f"ip{version}.{'dst' if rule.direction == 'egress' else 'src'}"
    if rule.remote_group_id is not None:
        return [f"{field} == ${names.port_group(rule.remote_group_id)}_ip{version}"]
    if rule.remote_addresses is not None:
        nets = [ipaddress.ip_network(one, strict=False) for one in rule.remote_addresses]
        listed = sorted(str(net) for net in nets if net.version == version)
        return [f"{field} == {{{', '.join(listed)}}}"] if listed else ["0"]  # an empty group matches nobody
    if rule.remote_ip_prefix is not None:
        net = ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
        return [] if net.prefixlen == 0 else [f"{field} == {net}"]
    return []


def _protocol(rule: RuleSpec, version: int) -> list[str]:
    number = protocol_number(rule.protocol)
    if number is None or (number == 0 and rule.protocol in ("ip", "0")):
        return []
    icmp, icmp_number = ICMP[version]
    if number in (1, icmp_number):  # "icmp" on an IPv6 rule means ICMPv6, as upstream has it
        terms = [icmp]
        if rule.port_min is not None:
            terms.append(f"{icmp}.type == {rule.port_min}")
            if rule.port_max is not None:
                terms.append(f"{icmp}.code == {rule.port_max}")
        return terms
    name = WITH_PORTS.get(number)
    if name is None:
        return [f"ip.proto == {number}"]
    low, high = rule.port_min, rule.port_max
    if low is None and high is None:
        return [name]
    low, high = low if low is not None else high, high if high is not None else low
    if low == high:
        return [name, f"{name}.dst == {low}"]
    return [name, f"{name}.dst >= {low}", f"{name}.dst <= {high}"]
