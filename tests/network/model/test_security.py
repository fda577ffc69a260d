"""Rules: what two have in common, and that none is more than refused."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from kilonova.kernel.errors import Error
from kilonova.network.drivers.driver import RuleSpec, SecurityGroupSpec
from kilonova.network.drivers.validate import check
from kilonova.network.model.security import PROTOCOLS, Rule, check_rule, first_rules

texts = st.one_of(st.none(), st.sampled_from([*PROTOCOLS, "any", "6", "58", "0", "255", "TCP"]), st.text(max_size=5))
numbers = st.one_of(st.none(), st.integers(-5, 70000))
prefixes = st.one_of(st.none(), st.sampled_from(["10.0.0.0/8", "fd00::/8", "10.1.2.3", "::/0", "x"]))


@given(st.sampled_from(["ingress", "egress"]), st.sampled_from(["IPv4", "IPv6"]), texts, numbers, numbers, prefixes)
def test_what_passes_here_the_driver_can_carry(
    direction: str, ethertype: str, protocol: str | None, low: int | None, high: int | None, prefix: str | None
) -> None:
    with contextlib.suppress(Error):
        rule = check_rule(Rule(direction, ethertype, protocol, low, high, prefix))
        spec = RuleSpec("r", direction, ethertype, rule.protocol, rule.port_min, rule.port_max, rule.remote_ip_prefix)
        check(SecurityGroupSpec("g", "g", (spec,)))
        assert rule.likeness == check_rule(rule).likeness, "a rule in canonical form stays as it is"


def test_a_protocols_name_and_number_are_alike() -> None:
    for name, number in PROTOCOLS.items():
        if name == "ip":
            continue
        rules = [check_rule(Rule("egress", "IPv6", text)) for text in (name, str(number))]
        if name != "icmp":
            assert rules[0].likeness == rules[1].likeness or number == 0, name


def test_the_first_rules_of_a_group() -> None:
    assert {(r.direction, r.remote_group_id) for r in first_rules("g", default=False)} == {("egress", None)}
    assert len(first_rules("g", default=True)) == 4
