"""Security group rules: what may be said, what two rules have in common, and the rules every group begins
with.

Protocols have names and numbers; `icmpv6` and `ipv6-icmp` are one. A rule's *likeness* is what makes it a
duplicate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kilonova.network import errors

INGRESS, EGRESS = "ingress", "egress"
IPV4, IPV6 = "IPv4", "IPv6"

PROTOCOLS: Mapping[str, int] = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136,
    "vrrp": 112,
}  # fmt: skip
ONLY_IPV6 = frozenset(("icmpv6", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route"))
ONLY_IPV6_NUMBERS = frozenset(PROTOCOLS[name] for name in ONLY_IPV6) - {41}
WITH_PORTS = ("dccp", "sctp", "tcp", "udp", "udplite")
WITH_PORTS_NUMBERS = frozenset(PROTOCOLS[name] for name in WITH_PORTS)
ANY_NUMBER = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule allows. For ICMP ``port_min`` is the type and ``port_max`` the code."""

    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None

    @property
    def likeness(self) -> str:
        """Equal for two rules of one group that allow the same."""
        protocol = number_of(self.protocol)
        prefix = self.remote_ip_prefix
        if prefix is not None:
            net = ipaddress.ip_network(prefix, strict=False)
            prefix = None if net.prefixlen == 0 else str(net)
        return "|".join(
            "" if part is None else str(part)
            for part in (
                self.direction,
                self.ethertype,
                protocol,
                self.port_min,
                self.port_max,
                prefix,
                self.remote_group_id,
                self.remote_address_group_id,
            )
        )


def number_of(protocol: str | None) -> int | None:
    """The protocol's number; None means any protocol."""
    if protocol is None:
        return None
    return int(protocol) if protocol.isdecimal() else PROTOCOLS[protocol]


def check_rule(rule: Rule) -> Rule:
    """The rule with its protocol and prefix in canonical form, or the error that says what is wrong with
    it.
    """
    if sum(x is not None for x in (rule.remote_ip_prefix, rule.remote_group_id, rule.remote_address_group_id)) > 1:
        raise errors.SecurityGroupRemoteGroupAndRemoteIpPrefix()
    rule = replace(rule, protocol=_canonical_protocol(rule.protocol, rule.ethertype), remote_ip_prefix=_prefix(rule))
    _check_ethertype(rule)
    _check_ports(rule)
    return rule


def _canonical_protocol(protocol: str | None, ethertype: str) -> str | None:
    if protocol is None:
        return None
    word = protocol.strip().lower()
    if word in ("", "any"):
        return None
    if word.isdecimal() and word.isascii():
        if int(word) > 255:
            raise errors.SecurityGroupInvalidProtocolType(protocol=protocol, values=sorted(PROTOCOLS))
        return None if int(word) == ANY_NUMBER else str(int(word))
    if word not in PROTOCOLS:
        raise errors.SecurityGroupInvalidProtocolType(protocol=protocol, values=sorted(PROTOCOLS))
    if word in ("icmp", "icmpv6") and ethertype == IPV6:
        return "ipv6-icmp"  # as upstream keeps it: plain "icmp" over IPv6 means ICMPv6
    return word


def _prefix(rule: Rule) -> str | None:
    if rule.remote_ip_prefix is None:
        return None
    try:
        net = ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
    except ValueError:
        raise errors.InvalidInput(reason=f"'{rule.remote_ip_prefix}' is not a valid IP prefix") from None
    if (net.version == 4) != (rule.ethertype == IPV4):
        raise errors.SecurityGroupRuleParameterConflict(ethertype=rule.ethertype, cidr=rule.remote_ip_prefix)
    return str(rule.remote_ip_prefix) if "/" in rule.remote_ip_prefix else str(net)


def _check_ethertype(rule: Rule) -> None:
    if rule.ethertype == IPV4 and rule.protocol is not None:
        number = number_of(rule.protocol)
        if rule.protocol in ONLY_IPV6 or (rule.protocol.isdecimal() and number in ONLY_IPV6_NUMBERS):
            raise errors.SecurityGroupEthertypeConflictWithProtocol(ethertype=rule.ethertype, protocol=rule.protocol)


def _check_ports(rule: Rule) -> None:
    low, high = rule.port_min, rule.port_max
    if low is None and high is None:
        return
    if rule.protocol is None:
        raise errors.SecurityGroupProtocolRequiredWithPorts()
    number = number_of(rule.protocol)
    if number in WITH_PORTS_NUMBERS:
        for port in (low, high):
            if port is not None and not 0 <= port <= 65535:
                raise errors.SecurityGroupInvalidPortValue(port=port)
        if low is None or high is None or low > high or low == 0:
            raise errors.SecurityGroupInvalidPortRange()
    elif number in (1, 58):
        if low is None:
            raise errors.SecurityGroupMissingIcmpType(value=high)
        for field, attr, value in (("type", "port_range_min", low), ("code", "port_range_max", high)):
            if value is not None and not 0 <= value <= 255:
                raise errors.SecurityGroupInvalidIcmpValue(field=field, attr=attr, value=value)
    else:
        raise errors.SecurityGroupInvalidProtocolForPort(protocol=rule.protocol, valid_protocols=list(WITH_PORTS))


def first_rules(group_id: str, *, default: bool) -> tuple[Rule, ...]:
    """What a new group holds: all egress; in a project's default group also ingress from its own members."""
    rules: list[Rule] = []
    for ethertype in (IPV4, IPV6):
        if default:
            rules.append(Rule(INGRESS, ethertype, remote_group_id=group_id))
        rules.append(Rule(EGRESS, ethertype))
    return tuple(rules)
