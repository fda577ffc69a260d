"""From specs to rows: what OVN is told of each thing. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.network.drivers.driver import (
    AddressPair,
    BadSpec,
    DhcpOption,
    DnsRecord,
    HostRoute,
    NetworkSpec,
    PortSpec,
    Provider,
    RouterAddress,
    RouterSpec,
    Spec,
    SubnetSpec,
)
from kilonova.network.drivers.ovn import names
from kilonova.network.drivers.ovn.acls import match_of
from kilonova.network.drivers.ovn.chassis import Chassis, gateways_for
from kilonova.network.drivers.ovn.rows import COLUMNS, FirstOf, Row, Slot
from kilonova.network.drivers.ovn.translate import Settings, rows_of
from kilonova.network.drivers.validate import check
from tests.network.ovn import make


def rows(spec: Spec, settings: Settings | None = None, chassis: tuple[str, ...] = ()) -> dict[tuple[str, str], Row]:
    check(spec)
    found = rows_of(spec, settings or Settings(), chassis)
    for row in found:
        assert set(row.stored()) <= set(COLUMNS[row.table]), "a column that would not be compared"
    return {(row.table, row.key): row for row in found}


def only(spec: Spec, settings: Settings | None = None) -> dict[str, Any]:
    (row,) = rows(spec, settings).values()
    return dict(row.columns)


def test_a_tenant_network_is_one_switch() -> None:
    assert list(rows(make.network())) == [("Logical_Switch", "neutron-net-1")]


def test_a_vlan_network_is_joined_to_its_wire_with_its_tag() -> None:
    found = rows(make.network(provider=Provider("vlan", "public", 100)))
    wire = found["Logical_Switch_Port", "provnet-net-1"].columns
    assert wire["type"] == "localnet"
    assert wire["tag"] == 100
    assert wire["options"]["network_name"] == "public"


def dhcp(**more: Any) -> dict[str, str]:
    options: dict[str, str] = only(make.subnet(**more))["options"]
    return options


def test_dhcp_tells_address_of_gateway_mtu_and_metadata() -> None:
    options = dhcp(metadata_ip="10.0.0.2", dns_nameservers=("9.9.9.9", "1.1.1.1"), dns_domain="kilonova.test")
    assert options["router"] == options["server_id"] == "10.0.0.1"
    assert options["mtu"] == "1442"
    assert options["dns_server"] == "{9.9.9.9, 1.1.1.1}"
    assert options["domain_name"] == '"kilonova.test"'
    assert options["classless_static_route"] == "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}"


def test_host_routes_come_with_the_default_route_because_clients_ignore_the_router_then() -> None:
    options = dhcp(host_routes=(HostRoute("192.168.0.0/16", "10.0.0.9"),))
    assert options["classless_static_route"] == "{192.168.0.0/16,10.0.0.9, 0.0.0.0/0,10.0.0.1}"


def test_without_a_gateway_there_is_no_router_and_the_metadata_port_serves() -> None:
    options = dhcp(gateway_ip=None, metadata_ip="10.0.0.2")
    assert "router" not in options
    assert options["server_id"] == "10.0.0.2"
    assert "0.0.0.0/0" not in options["classless_static_route"]


def test_the_operators_name_servers_serve_subnets_without() -> None:
    settings = Settings(dns_servers=("192.0.2.53",))
    assert only(make.subnet(), settings)["options"]["dns_server"] == "{192.0.2.53}"
    assert only(make.subnet(dns_nameservers=("9.9.9.9",)), settings)["options"]["dns_server"] == "{9.9.9.9}"


def test_no_dhcp_no_row() -> None:
    assert rows(make.subnet(enable_dhcp=False)) == {}
    assert rows(make.subnet(cidr="fd00::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")) == {}


def test_dhcpv6_is_stateless_where_only_the_rest_is_asked_for() -> None:
    six = {"cidr": "fd00::/64", "dns_nameservers": ("fd00::53",), "dns_domain": "kilonova.test"}
    stateful = only(make.subnet(**six, ipv6_address_mode="dhcpv6-stateful"))["options"]
    stateless = only(make.subnet(**six, ipv6_address_mode="dhcpv6-stateless"))["options"]
    assert stateful["domain_search"] == '"kilonova.test"'
    assert "dhcpv6_stateless" not in stateful
    assert stateless["dhcpv6_stateless"] == "true"


def lsp(spec: PortSpec) -> Row:
    return rows(spec)["Logical_Switch_Port", spec.id]


def test_a_port_may_send_from_its_addresses_and_pairs_only() -> None:
    pairs = (
        AddressPair("10.0.0.99"),
        AddressPair("10.0.1.7/24"),
        AddressPair("10.0.0.50", "fa:16:3e:dd:00:01"),
        AddressPair("10.0.0.51", "FA:16:3E:DD:00:01"),
    )
    columns = lsp(make.port(address_pairs=pairs)).columns
    assert columns["port_security"] == {
        "fa:16:3e:00:00:05 10.0.0.5 10.0.0.99 10.0.1.0/24",
        "fa:16:3e:dd:00:01 10.0.0.50 10.0.0.51",
    }


def test_a_port_without_port_security_is_in_no_group_and_may_be_anybody() -> None:
    row = lsp(make.port(port_security=False, security_groups=("sg-1",)))
    assert row.columns["port_security"] == set()
    assert "unknown" in row.columns["addresses"]
    assert [slot.table for slot in row.slots] == ["Logical_Switch"]


def test_a_filtered_port_is_in_the_drop_group_and_its_own() -> None:
    slots = lsp(make.port(security_groups=("sg-1", "sg-2"))).slots
    assert [slot.key for slot in slots] == ["neutron-net-1", "neutron_pg_drop", "pg_sg_1", "pg_sg_2"]


def test_dhcp_is_of_the_first_subnet_that_offers_it() -> None:
    port = replace(make.port(), fixed_ips=(make.fixed("10.0.0.5"), make.fixed("10.1.0.5", "sub-2")))
    wish = lsp(port).columns["dhcpv4_options"]
    assert wish == FirstOf("DHCP_Options", ("port:port-1:4", "subnet:sub-1", "subnet:sub-2"))
    assert lsp(port).columns["dhcpv6_options"] is None


def test_options_of_a_ports_own_change_its_subnets() -> None:
    boot = (DhcpOption("bootfile-name", "pxe.0"), DhcpOption("26", "1400"), DhcpOption("no-such-thing", "x"))
    port = make.port(dhcp_options=boot, dhcp_subnets=(make.subnet(),))
    options = rows(port)["DHCP_Options", "port:port-1:4"].columns["options"]
    assert options["bootfile_name"] == '"pxe.0"'
    assert options["mtu"] == "1400"
    assert options["router"] == "10.0.0.1"


@pytest.mark.parametrize(
    "option",
    [DhcpOption("mtu", "many"), DhcpOption("router", "10.0.0"), DhcpOption("tftp-server", 'a"b'),
     DhcpOption("classless-static-route", "10.0.0.0/8"), DhcpOption("bootfile-name", "a\nb")],
)  # fmt: skip
def test_an_option_that_would_silence_dhcp_is_refused(option: DhcpOption) -> None:
    with pytest.raises(BadSpec, match=option.name):
        rows(make.port(dhcp_options=(option,), dhcp_subnets=(make.subnet(),)))


def test_names_lead_to_addresses_and_back() -> None:
    records = (DnsRecord("Web", ("10.0.0.5",)), DnsRecord("web.kilonova.test", ("10.0.0.5", "fd00::5")))
    row = rows(make.port(dns_records=records))["DNS", "port:port-1"]
    assert row.columns["records"]["web"] == "10.0.0.5"
    assert row.columns["records"]["web.kilonova.test"] == "10.0.0.5 fd00::5"
    assert row.columns["records"]["5.0.0.10.in-addr.arpa"] == "web.kilonova.test"
    assert row.slots == (Slot("Logical_Switch", "neutron-net-1", "dns_records"),)


def test_where_ovn_shall_not_answer_for_names_it_is_not_told_but_the_agent_is() -> None:
    port = make.port(dns_records=(DnsRecord("Web", ("10.0.0.5",)), DnsRecord("web.kilonova.test", ("10.0.0.5",))))
    (row,) = rows(port, Settings(names_in_flow=False)).values()
    assert row.columns["external_ids"]["kilonova:names"] == "web web.kilonova.test"


def test_the_metadata_port_is_on_every_host_and_unfenced() -> None:
    row = lsp(make.port(device_owner="network:distributed", host="host-1"))
    assert row.columns["type"] == "localport"
    assert row.columns["addresses"] == {"fa:16:3e:00:00:05 10.0.0.5"}
    assert "requested-chassis" not in row.columns["options"]
    assert row.columns["dhcpv4_options"] is None


def test_a_bound_port_is_asked_for_on_its_host() -> None:
    assert lsp(make.port(host="host-1")).columns["options"]["requested-chassis"] == "host-1"


def test_the_port_of_a_floating_ip_carries_nothing() -> None:
    assert rows(make.port(device_owner="network:floatingip")) == {}


def world_router(**more: Any) -> RouterSpec:
    return make.router(interfaces=(make.interface(),), gateway=make.gateway(**more), routes=(
        HostRoute("192.168.0.0/16", "10.0.0.9"),))  # fmt: skip


def test_a_router_with_a_gateway_leads_out() -> None:
    found = rows(world_router(), chassis=("c1", "c2"))
    default = found["Logical_Router_Static_Route", "route:router-1:0.0.0.0/0:172.24.4.1"].columns
    assert default["output_port"] == "lrp-gw-1"
    assert found["NAT", "snat:router-1:10.0.0.0/24"].columns["external_ip"] == "172.24.4.10"
    priorities = {row.columns["chassis_name"]: row.columns["priority"]
                  for (table, _), row in found.items() if table == "Gateway_Chassis"}  # fmt: skip
    assert priorities == {"c1": 2, "c2": 1}
    assert ("Logical_Router_Static_Route", "route:router-1:192.168.0.0/16:10.0.0.9") in found


def test_without_snat_addresses_stay_as_they_are() -> None:
    assert not [key for key in rows(world_router(snat=False)) if key[0] == "NAT"]


def test_a_router_advertises_ipv6_as_the_subnet_says() -> None:
    own = RouterAddress("fd00::1", "fd00::/64", "slaac", "slaac", ("fd00::53",))
    leg = make.interface(ip="fd00::1", addresses=(own,))
    ra = rows(make.router(interfaces=(leg,)))["Logical_Router_Port", "lrp-leg-1"].columns["ipv6_ra_configs"]
    assert ra == {"address_mode": "slaac", "send_periodic": "true", "mtu": "1442", "rdnss": "fd00::53"}
    quiet = make.interface(ip="fd00::1", addresses=(replace(own, ipv6_ra_mode=None),))
    assert not rows(make.router(interfaces=(quiet,)))["Logical_Router_Port", "lrp-leg-1"].columns["ipv6_ra_configs"]


def test_a_floating_ip_is_distributed_only_where_the_operator_says_so() -> None:
    bound = make.floating_ip(router_id="router-1", port_id="port-1", fixed_ip="10.0.0.5")
    assert only(bound)["external_mac"] is None
    assert only(bound, Settings(distributed_floating_ip=True))["external_mac"] == "fa:16:3e:cc:00:01"
    assert rows(make.floating_ip()) == {}


SG = "pg_sg_1"


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (make.rule(), "outport == @pg_sg_1 && ip4"),
        (make.rule(direction="egress", ethertype="IPv6"), "inport == @pg_sg_1 && ip6"),
        (make.rule(protocol="tcp", port_min=22, port_max=22), "outport == @pg_sg_1 && ip4 && tcp && tcp.dst == 22"),
        (make.rule(protocol="17", port_min=1, port_max=9),
         "outport == @pg_sg_1 && ip4 && udp && udp.dst >= 1 && udp.dst <= 9"),
        (make.rule(protocol="icmp", port_min=8, port_max=0),
         "outport == @pg_sg_1 && ip4 && icmp4 && icmp4.type == 8 && icmp4.code == 0"),
        (make.rule(ethertype="IPv6", protocol="icmp"), "outport == @pg_sg_1 && ip6 && icmp6"),
        (make.rule(ethertype="IPv6", protocol="ipv6-icmp", port_min=128),
         "outport == @pg_sg_1 && ip6 && icmp6 && icmp6.type == 128"),
        (make.rule(protocol="vrrp"), "outport == @pg_sg_1 && ip4 && ip.proto == 112"),
        (make.rule(remote_ip_prefix="10.1.2.3/8"), "outport == @pg_sg_1 && ip4 && ip4.src == 10.0.0.0/8"),
        (make.rule(remote_ip_prefix="0.0.0.0/0"), "outport == @pg_sg_1 && ip4"),
        (make.rule(direction="egress", remote_group_id="sg-2"),
         "inport == @pg_sg_1 && ip4 && ip4.dst == $pg_sg_2_ip4"),
        (make.rule(remote_addresses=("10.0.0.1", "fd00::1")), "outport == @pg_sg_1 && ip4 && ip4.src == {10.0.0.1/32}"),
        (make.rule(remote_addresses=()), "outport == @pg_sg_1 && ip4 && 0"),
    ],
)  # fmt: skip
def test_rules_in_ovns_words(rule: Any, match: str) -> None:
    assert match_of(rule, SG) == match


@pytest.mark.parametrize(
    "spec",
    [
        make.network(mtu=12),
        make.network(provider=Provider("vlan", "public", 4095)),
        make.network(provider=Provider("flat")),
        make.network(provider=Provider("vxlan")),
        make.network("a b"),
        make.subnet(gateway_ip="here"),
        make.subnet(dns_domain='a"; drop'),
        SubnetSpec("s", "n", "10.0.0.0/24", 6, 1442),
        make.subnet(host_routes=(HostRoute("10.0.0.1/8", "10.0.0.1"),)),
        make.port(mac="fa:16:3e"),
        make.port(ip=None, fixed_ips=(make.fixed("10.9.0.5", cidr="10.0.0.0/24"),)),
        make.port(dns_records=(DnsRecord("a b", ("10.0.0.5",)),)),
        make.port(host="a\nb"),
        make.router(interfaces=(make.interface(addresses=()),)),
        make.router(routes=(HostRoute("10.0.0.0/8", "nowhere"),)),
        make.floating_ip(router_id="r"),
        make.floating_ip(address="fd00::1"),
        make.group("sg", make.rule(protocol="quic")),
        make.group("sg", make.rule(remote_ip_prefix="fd00::/64")),
        make.group("sg", make.rule(direction="sideways")),
        make.group("sg", make.rule(remote_group_id="x && 1")),
    ],
    ids=lambda spec: f"{type(spec).__name__}",
)
def test_what_ovn_would_drop_in_silence_is_refused(spec: Spec) -> None:
    with pytest.raises(BadSpec, match=type(spec).__name__):
        check(spec)


def chassis(name: str, *wires: str, gateway: bool = True) -> Chassis:
    return Chassis(name, name, "netdev", wires, gateway, True, 0)


def test_a_gateway_stays_where_it_is_and_gets_others_behind_it() -> None:
    there = [chassis(name, "public") for name in ("a", "b", "c")]
    first = gateways_for("router-1", "public", there, ())
    assert set(first) == {"a", "b", "c"}
    assert gateways_for("router-1", "public", [*there, chassis("d", "public")], first)[:3] == first
    assert gateways_for("router-1", "public", there[1:], ("a", "c"))[0] == "c"


def test_a_gateway_goes_only_where_the_wire_is_and_marked_hosts_first() -> None:
    there = [chassis("a"), chassis("b", "public", gateway=False), chassis("c", "public")]
    assert gateways_for("router-1", "public", there, ()) == ("c",)
    assert gateways_for("router-1", "public", there[:2], ()) == ("b",)
    assert gateways_for("router-1", "other", there, ()) == ()


def test_a_mac_made_from_a_name_is_always_the_same() -> None:
    assert names.mac_for("sub-1") == names.mac_for("sub-1") != names.mac_for("sub-2")
    check(replace(make.port(), mac=names.mac_for("sub-1")))


@given(st.text(max_size=64))
def test_no_text_in_a_name_can_leave_its_place(text: str) -> None:
    """Names are data: a network called like a command is a network with an odd name."""
    (row,) = rows(NetworkSpec("net-1", text, 1442)).values()
    assert row.columns["external_ids"]["neutron:network_name"] == text
