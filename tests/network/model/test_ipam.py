"""Address management: properties that hold for every subnet."""

from __future__ import annotations

import contextlib
import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.network import errors
from kilonova.network.model import ipam

nets = st.one_of(
    st.builds(
        lambda address, length: ipaddress.ip_network((address, length), strict=False),
        st.integers(0x01000000, 0x7EFFFFFF),
        st.integers(8, 32),
    ),
    st.builds(
        lambda address, length: ipaddress.IPv6Network((address, length), strict=False),
        st.integers(0x2001 << 112, 0x3FFF << 112),
        st.integers(16, 128),
    ),
)
chances = st.integers().map(random.Random)


@given(nets)
def test_the_default_pools_hold_every_host_but_the_gateway(net: ipam.IpNetwork) -> None:
    gateway = ipam.default_gateway(net)
    pools = ipam.default_pools(net, gateway)
    assert sum(pool.size for pool in pools) == ipam.hosts_of(net).size - 1
    ipam.check_gateway_outside_pools(gateway, pools)
    assert ipam.default_pools(net, None) == (ipam.hosts_of(net),)


@given(nets, st.data())
def test_a_gateway_anywhere_in_the_subnet_is_left_out(net: ipam.IpNetwork, data: st.DataObject) -> None:
    hosts = ipam.hosts_of(net)
    at = data.draw(st.integers(hosts.first, hosts.last))
    gateway = ipam.text_of(at, net.version)
    ipam.check_gateway(gateway, net)
    pools = ipam.default_pools(net, gateway)
    assert not any(at in pool for pool in pools)
    assert sum(pool.size for pool in pools) == hosts.size - 1
    again = ipam.parse_pools([pool.ends() for pool in pools], net)
    assert again == pools


@given(st.integers(24, 30), chances, st.integers(0, 300))
def test_addresses_drawn_one_after_the_other_are_all_different_until_none_is_left(
    length: int, chance: random.Random, limit: int
) -> None:
    net = ipam.parse_cidr(f"10.0.0.0/{length}")
    pools = ipam.default_pools(net, ipam.default_gateway(net))
    taken: set[int] = set()
    for _ in range(limit):
        found = next((a for w in ipam.windows(pools, 16) if (a := ipam.choose(w, taken, chance))), None)
        if found is None:
            assert len(taken) == sum(pool.size for pool in pools)
            return
        number = int(ipaddress.ip_address(found))
        assert number not in taken
        assert any(number in pool for pool in pools)
        taken.add(number)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), max_size=5), st.integers(1, 200))
def test_windows_cover_the_pools_exactly(pieces: list[tuple[int, int]], width: int) -> None:
    pools = [ipam.Pool(first, first + size - 1, 4) for first, size in pieces]
    for pool in pools:
        at = pool.first
        for window in ipam.windows([pool], width):
            assert window.first == at
            at = window.last + 1
        assert at == pool.last + 1


@given(st.integers(0, 2**48 - 1))
def test_a_self_made_address_tells_its_mac(number: int) -> None:
    mac = ":".join(f"{number:012x}"[i : i + 2] for i in range(0, 12, 2))
    address = ipaddress.ip_address(ipam.eui64(ipam.parse_cidr("fd00::/64"), mac))
    octets = address.packed[8:]
    assert octets[3:5] == b"\xff\xfe"
    assert bytes((octets[0] ^ 2, *octets[1:3], *octets[5:])).hex() == f"{number:012x}"


@given(st.lists(st.integers(20, 28), max_size=40))
def test_subnets_carved_from_a_pool_never_overlap(lengths: list[int]) -> None:
    taken: list[str] = []
    for length in lengths:
        found = ipam.carve(["10.0.0.0/20", "10.64.0.0/20"], taken, length)
        if found is None:
            free = 2 * 4096 - sum(ipaddress.ip_network(c).num_addresses for c in taken)
            assert free < 2 * 4096
            continue
        assert found.prefixlen == length
        assert not any(found.overlaps(ipaddress.ip_network(c)) for c in taken)
        taken.append(str(found))


@given(nets)
def test_keys_sort_as_addresses_do(net: ipam.IpNetwork) -> None:
    low, high = str(net.network_address), str(net.broadcast_address)
    assert ipam.key_of(low) <= ipam.key_of(high)
    assert len(ipam.key_of(high)) == 32


@pytest.mark.parametrize(
    "cidr", ["", "10.0.0.0/33", "224.0.0.0/4", "127.0.0.0/8", "ff02::/16", "::1/128", "0.0.0.0/0", "x"]
)
def test_networks_that_no_subnet_can_be(cidr: str) -> None:
    with pytest.raises(errors.InvalidInput):
        ipam.parse_cidr(cidr)


@given(st.text(max_size=20))
def test_no_text_is_more_than_refused(text: str) -> None:
    with contextlib.suppress(errors.InvalidInput):
        ipam.parse_cidr(text)
