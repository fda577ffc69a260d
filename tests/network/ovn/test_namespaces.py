"""Namespaces and links, really made and removed; nothing of the machine's own is touched."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from kilonova.network.agent import namespaces

pytestmark = [pytest.mark.real, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")]


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    names = (f"kn-{secrets.token_hex(3)}-a", f"kn-{secrets.token_hex(3)}-b")
    for name in names:
        namespaces.create(name)
    yield names
    for name in names:
        namespaces.remove(name)
        assert not namespaces.path_of(name).exists()


def test_making_and_removing_may_be_repeated(pair: tuple[str, str]) -> None:
    namespaces.create(pair[0])
    assert namespaces.run_in(pair[0], namespaces.links) == ["lo"]
    namespaces.remove(pair[0])
    assert not namespaces.exists(pair[0])
    namespaces.remove(pair[0])


def test_a_name_that_a_crash_left_is_no_namespace_and_is_made_one(pair: tuple[str, str]) -> None:
    namespaces.remove(pair[0])
    namespaces.path_of(pair[0]).touch()
    assert not namespaces.exists(pair[0])
    namespaces.create(pair[0])
    assert namespaces.exists(pair[0])


def test_work_inside_leaves_the_caller_where_it_was(pair: tuple[str, str]) -> None:
    def where() -> str:
        return os.readlink("/proc/thread-self/ns/net")

    before = where()
    assert namespaces.run_in(pair[0], where) != before
    assert where() == before


def test_what_fails_inside_fails_outside(pair: tuple[str, str]) -> None:
    with pytest.raises(OSError, match="no link nothing"):
        namespaces.run_in(pair[0], lambda: namespaces.set_up("nothing"))
    with pytest.raises(FileNotFoundError):
        namespaces.run_in("kn-never-made", lambda: None)


def test_a_link_has_exactly_the_addresses_it_is_given(pair: tuple[str, str]) -> None:
    one, two = pair

    def addresses() -> set[str]:
        with namespaces._netlink() as ip:
            index = namespaces._index(ip, "x0")
            found = [one for one in ip.get_addr(index=index) if one["scope"] != 253]
            return {f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}" for one in found}

    for _ in range(2):
        namespaces.run_in(one, lambda: namespaces.make_veth("x0", "x1", two))
    for wanted in (["10.0.0.2/24", "169.254.169.254/32"], ["10.0.0.3/24", "fd00::3/64"], []):
        for _ in range(2):
            namespaces.run_in(one, lambda wanted=wanted: namespaces.set_up("x0", addresses=wanted, offloads=False))
        assert namespaces.run_in(one, addresses) == set(wanted)
    namespaces.run_in(one, lambda: namespaces.delete_link("x0"))
    assert namespaces.run_in(two, namespaces.links) == ["lo"]
