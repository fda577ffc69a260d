"""The search for candidates, on worlds small enough to draw."""

from __future__ import annotations

from typing import Any

from kilonova.placement.model.candidates import Ask, Candidate, Group, find
from kilonova.placement.model.world import World
from tests.placement.make import inventory, provider, world

SHARES = "MISC_SHARES_VIA_AGGREGATE"


def group(suffix: str = "", /, required: str = "", forbidden: str = "", member_of: str = "", **more: Any) -> Group:
    """Resources as keywords; ``required`` with ``|`` between alternatives."""
    known = {key: more.pop(key) for key in ("in_tree", "not_member_of") if key in more}
    return Group(
        suffix,
        more,
        tuple(frozenset(one.split("|")) for one in required.split()),
        frozenset(forbidden.split()),
        tuple(frozenset(one.split("|")) for one in member_of.split()),
        **known,
    )


def search(here: World, *groups: Group, **more: Any) -> list[Candidate]:
    return find(here, Ask(groups, **more))


def plain(found: list[Candidate]) -> set[str]:
    """``cn1 VCPU=1 | ss DISK_GB=5``, one string a candidate."""
    shown = set()
    for one in found:
        parts = (f"{u} " + " ".join(f"{rc}={n}" for rc, n in sorted(r.items())) for u, r in sorted(one.uses.items()))
        shown.add(" | ".join(parts))
    return shown


def test_only_hosts_with_room_are_found() -> None:
    here = world(
        provider("big", {"VCPU": 8, "MEMORY_MB": 4096}),
        provider("full", {"VCPU": inventory("VCPU", 8, used=8), "MEMORY_MB": 4096}),
        provider("small", {"VCPU": 8, "MEMORY_MB": 512}),
        provider("empty"),
    )
    assert plain(search(here, group(VCPU=1, MEMORY_MB=1024))) == {"big MEMORY_MB=1024 VCPU=1"}


def test_units_of_an_inventory_are_obeyed() -> None:
    here = world(provider("cn", {"VCPU": inventory("VCPU", 64, min_unit=2, max_unit=16, step_size=2)}))
    fits = [n for n in (1, 2, 3, 4, 16, 18) if search(here, group(VCPU=n))]
    assert fits == [2, 4, 16]


def test_a_ratio_makes_room_and_reserved_takes_it() -> None:
    here = world(provider("cn", {"VCPU": inventory("VCPU", 4, reserved=1, allocation_ratio=2.5)}))
    assert search(here, group(VCPU=7))
    assert not search(here, group(VCPU=8))


def test_required_and_forbidden_traits() -> None:
    here = world(
        provider("a", {"VCPU": 8}, traits="SSD AVX"),
        provider("b", {"VCPU": 8}, traits="SSD"),
        provider("c", {"VCPU": 8}),
    )
    assert plain(search(here, group(VCPU=1, required="SSD", forbidden="AVX"))) == {"b VCPU=1"}
    assert plain(search(here, group(VCPU=1, required="AVX|SSD"))) == {"a VCPU=1", "b VCPU=1"}
    assert plain(search(here, group("1", VCPU=1, required="AVX SSD"))) == {"a VCPU=1"}


def shared_storage() -> World:
    return world(
        provider("cn1", {"VCPU": 24, "MEMORY_MB": 1000}, aggregates="agg"),
        provider("cn2", {"VCPU": 24, "MEMORY_MB": 1000, "DISK_GB": 100}, aggregates="agg"),
        provider("cn3", {"VCPU": 24, "MEMORY_MB": 1000}),
        provider("ss", {"DISK_GB": 2000}, traits=SHARES, aggregates="agg"),
    )


def test_disk_comes_from_the_host_or_from_storage_that_is_shared_with_it() -> None:
    found = search(shared_storage(), group(VCPU=1, DISK_GB=50))
    assert plain(found) == {"cn1 VCPU=1 | ss DISK_GB=50", "cn2 VCPU=1 | ss DISK_GB=50", "cn2 DISK_GB=50 VCPU=1"}


def test_shared_storage_alone_is_found_once() -> None:
    assert plain(search(shared_storage(), group(DISK_GB=500))) == {"ss DISK_GB=500"}
    assert len(search(shared_storage(), group(DISK_GB=500))) == 1
    assert len(search(shared_storage(), group("1", DISK_GB=500))) == 1


def test_in_tree_keeps_a_group_within_one_tree() -> None:
    here = shared_storage()
    assert plain(search(here, group(VCPU=1, DISK_GB=50, in_tree="cn2"))) == {"cn2 DISK_GB=50 VCPU=1"}
    found = search(here, group("1", VCPU=1, in_tree="cn1"), group("2", DISK_GB=50, in_tree="ss"))
    assert plain(found) == {"cn1 VCPU=1 | ss DISK_GB=50"}
    assert search(here, group(VCPU=1, in_tree="nowhere")) == []


def test_membership_of_the_root_counts_for_the_spread_group_only() -> None:
    root = provider("cn", {}, aggregates="agg")
    here = world(root, provider("numa", {"VCPU": 4}, parent=root))
    assert plain(search(here, group(VCPU=1, member_of="agg"))) == {"numa VCPU=1"}
    assert search(here, group("1", VCPU=1, member_of="agg")) == []
    assert search(here, group(VCPU=1, not_member_of=frozenset({"agg"}))) == []
    assert search(here, group("1", VCPU=1, not_member_of=frozenset({"agg"})))


def numa_host() -> World:
    root = provider("cn", {"MEMORY_MB": 1000}, traits="ROOT")
    zero = provider("numa0", {"VCPU": 4}, parent=root, traits="NUMA")
    one = provider("numa1", {"VCPU": 4}, parent=root, traits="NUMA FOO")
    return world(
        root, zero, one, provider("fpga0", {"FPGA": 1}, parent=zero), provider("fpga1", {"FPGA": 1}, parent=one)
    )


def test_groups_of_one_candidate_come_from_one_tree() -> None:
    here = numa_host()
    found = search(here, group("_C", VCPU=1), group("_A", FPGA=1))
    assert len(found) == 4
    found = search(here, group("_C", VCPU=1), group("_A", FPGA=1), same_subtrees=(frozenset({"_C", "_A"}),))
    assert plain(found) == {"fpga0 FPGA=1 | numa0 VCPU=1", "fpga1 FPGA=1 | numa1 VCPU=1"}
    assert {tuple(one.mappings["_C"]) for one in found} == {("numa0",), ("numa1",)}


def test_a_group_without_resources_names_its_provider_in_the_mappings() -> None:
    found = search(
        numa_host(), group("_N", required="FOO"), group("_A", FPGA=1), same_subtrees=(frozenset({"_N", "_A"}),)
    )
    assert plain(found) == {"fpga1 FPGA=1"}
    assert found[0].mappings == {"_N": ["numa1"], "_A": ["fpga1"]}


def test_isolated_groups_take_different_providers() -> None:
    here = numa_host()
    groups = group("1", VCPU=3), group("2", VCPU=1)
    assert len(search(here, *groups)) == 4
    assert plain(search(here, *groups, isolate=True)) == {"numa0 VCPU=1 | numa1 VCPU=3", "numa0 VCPU=3 | numa1 VCPU=1"}
    lone = world(provider("cn", {"VCPU": 8}))
    assert search(lone, *groups, isolate=True) == []


def test_amounts_on_one_inventory_are_added_up() -> None:
    here = world(provider("cn", {"VCPU": 4, "VGPU": inventory("VGPU", 8, max_unit=2)}))
    assert plain(search(here, group(VCPU=2), group("1", VCPU=2))) == {"cn VCPU=4"}
    assert search(here, group(VCPU=3), group("1", VCPU=2)) == []
    assert search(here, group(VGPU=2), group("1", VGPU=1)) == []


def test_the_root_must_have_or_lack_traits() -> None:
    here = numa_host()
    assert search(here, group(VCPU=1), root_required=frozenset({"ROOT"}))
    assert not search(here, group(VCPU=1), root_required=frozenset({"NUMA"}))
    assert not search(here, group(VCPU=1), root_forbidden=frozenset({"ROOT"}))


def test_traits_of_the_spread_group_are_collected_from_the_providers_used() -> None:
    here = numa_host()
    assert plain(search(here, group(VCPU=1, MEMORY_MB=1, required="ROOT FOO"))) == {"cn MEMORY_MB=1 | numa1 VCPU=1"}
    assert plain(search(here, group(VCPU=1, forbidden="FOO"))) == {"numa0 VCPU=1"}


def test_clients_that_do_not_know_trees_get_one_provider_of_a_tree_at_most() -> None:
    here = numa_host()
    assert len(search(here, group(VCPU=1), nested=False)) == 2
    assert search(here, group(VCPU=1, MEMORY_MB=1), nested=False) == []


def test_a_limit_stops_the_search_early() -> None:
    here = world(*(provider(f"cn{n}", {"VCPU": 8}) for n in range(100)))
    assert len(search(here, group(VCPU=1), limit=3)) == 3
    assert len(find(here, Ask((group(VCPU=1),)), most=7)) == 7


def test_breadth_first_takes_from_all_trees_in_turn() -> None:
    a, b = provider("a"), provider("b")
    here = world(a, b, *(provider(f"{p.uuid}{n}", {"VCPU": 1}, parent=p) for p in (a, b) for n in range(3)))
    deep = find(here, Ask((group(VCPU=1),), limit=2))
    broad = find(here, Ask((group(VCPU=1),), limit=2), breadth_first=True)
    assert plain(deep) == {"a0 VCPU=1", "a1 VCPU=1"}
    assert plain(broad) == {"a0 VCPU=1", "b0 VCPU=1"}


def test_replacing_a_provider_keeps_the_indexes_right() -> None:
    here = shared_storage()
    here.replace([provider("ss", {"DISK_GB": 2000}, aggregates="other")])
    assert not here.sharing
    assert plain(search(here, group(VCPU=1, DISK_GB=50))) == {"cn2 DISK_GB=50 VCPU=1"}
    here.replace([provider("cn2", {"VCPU": 1}, parent=provider("cn1"))])
    assert set(here.trees["cn1"]) == {"cn1", "cn2"}
    assert "cn2" not in here.trees
