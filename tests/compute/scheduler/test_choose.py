"""Choosing a host: filters, weights, and refusals that say why. All pure."""

from __future__ import annotations

import random
from typing import Any

import pytest

from kilonova.compute.calls import (
    AggregateFacts,
    CloudFacts,
    GroupFacts,
    HostReport,
    HostUse,
    PlacementAsk,
    ServiceFacts,
)
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.resources import need_of
from kilonova.compute.model.servers import ImageSnapshot
from kilonova.compute.scheduler.choose import choose
from kilonova.compute.scheduler.filters import FILTERS, named
from kilonova.compute.scheduler.hosts import HostView, view_hosts
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.matching import matches


def a_report(name: str, **facts: Any) -> HostReport:
    defaults: dict[str, Any] = {
        "host": name,
        "id": f"id-{name}",
        "hypervisor_hostname": f"{name}.example",
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7002000,
        "vcpus": 8,
        "ram_mib": 8192,
        "disk_gib": 100,
        "reserved_ram_mib": 0,
        "supported": (("x86_64", "kvm", "hvm"),),
    }
    return HostReport(**{**defaults, **facts})


def a_host(name: str, *, zone: str = "nova", use: HostUse | None = None, view: Any = None, **facts: Any) -> HostView:
    return HostView(report=a_report(name, **facts), zone=zone, use=use or HostUse(host=name), **(view or {}))


def an_ask(*, ram_mib: int = 512, vcpus: int = 1, specs: Any = None, image: Any = None, **facts: Any) -> PlacementAsk:
    flavor = FlavorSnapshot("1", "tiny", vcpus, ram_mib, 1, extra_specs=specs or {})
    picture = ImageSnapshot("img", properties=image or {})
    return PlacementAsk(server_id="s", project_id="p", flavor=flavor, image=picture, **facts)


def pick(ask: PlacementAsk, *hosts: HostView, full: tuple[str, ...] = (), **limits: Any) -> Any:
    claims = {h.report.id: {h.report.id: {"VCPU": 1}} for h in hosts if h.name not in full}
    return choose(ask, hosts, claims, Limits(**limits), random.Random(7))


def names(choice: Any) -> list[str]:
    return [candidate.host for candidate in choice.candidates]


def why(choice: Any) -> list[tuple[str, int]]:
    return [(row.reason, row.count) for row in choice.refusals]


def test_the_emptiest_host_comes_first_with_alternates():
    used, hardly = HostUse(host="a", ram_mib=4000), HostUse(host="c", ram_mib=9)
    choice = pick(an_ask(), a_host("a", use=used), a_host("b"), a_host("c", use=hardly))
    assert names(choice) == ["b", "c", "a"]
    assert choice.candidates[0].node == "b.example"
    assert choice.candidates[0].claim == {"id-b": {"VCPU": 1}}


def test_a_negative_multiplier_stacks():
    full, empty = a_host("a", use=HostUse(host="a", ram_mib=4000)), a_host("b")
    limits = {"ram_weight_multiplier": -1.0, "cpu_weight_multiplier": 0.0, "disk_weight_multiplier": 0.0}
    assert names(pick(an_ask(), full, empty, **limits))[0] == "a"


def test_one_of_the_best_by_chance():
    hosts = [a_host(name) for name in "abcd"]
    chosen = {
        choose(
            an_ask(),
            hosts,
            {h.report.id: {} for h in hosts},
            Limits(host_subset_size=3),
            random.Random(seed),
        )
        .candidates[0]
        .host
        for seed in range(40)
    }
    assert chosen == {"a", "b", "c"}


def test_hosts_out_of_service_are_counted_by_reason():
    choice = pick(
        an_ask(),
        a_host("a", view={"is_up": False}),
        a_host("b", view={"is_disabled": True, "why_disabled": "new disks"}),
        a_host("c", view={"is_up": False}),
    )
    assert choice.candidates == ()
    assert why(choice) == [("do not report", 2), ("are disabled by the operator", 1)]
    assert choice.refusals[1].nearest == "new disks"
    assert choice.refusals[0].hosts == ("a", "c")


def test_the_zone_asked_for():
    choice = pick(an_ask(zone="east"), a_host("a", zone="west"), a_host("b", zone="east"))
    assert names(choice) == ["b"]
    assert why(choice) == [("are not in the availability zone east", 1)]


def test_the_nearest_miss_is_told():
    choice = pick(
        an_ask(ram_mib=4096),
        a_host("a", use=HostUse(host="a", ram_mib=8000)),
        a_host("b", use=HostUse(host="b", ram_mib=4196)),
        full=("a", "b"),
    )
    [row] = choice.refusals
    assert (row.reason, row.count) == ("have too little memory", 2)
    assert row.nearest == "4096 MiB are asked for, at most 3996 MiB are free"


def test_processors_disk_and_traits_are_told_too():
    assert why(pick(an_ask(vcpus=64), a_host("a"), full=("a",))) == [("have too few processors", 1)]
    ask = an_ask(specs={"trait:HW_CPU_X86_AVX2": "required"})
    assert "trait" in pick(ask, a_host("a"), full=("a",)).refusals[0].reason


def test_a_forced_host_is_taken_without_filters():
    choice = pick(an_ask(forced_host="a"), a_host("a", view={"is_disabled": True}), a_host("b"))
    assert names(choice) == ["a"]
    asked = pick(an_ask(asked_host="a"), a_host("a", view={"is_disabled": True}), a_host("b"))
    assert names(asked) == []


def test_a_host_that_failed_before_is_not_tried_again():
    assert names(pick(an_ask(excluded={"a": "broken"}), a_host("a"), a_host("b"))) == ["b"]


@pytest.mark.parametrize(
    ("policy", "hosts", "expected"),
    [
        ("anti-affinity", {"a": 1}, ["b"]),
        ("affinity", {"a": 1}, ["a"]),
        ("affinity", {}, ["a", "b"]),
        ("soft-anti-affinity", {"a": 1}, ["b", "a"]),
        ("soft-affinity", {"b": 1}, ["b", "a"]),
    ],
)
def test_server_groups(policy: str, hosts: dict[str, int], expected: list[str]):
    ask = an_ask(group=GroupFacts(id="g", policy=policy, hosts=hosts))
    assert names(pick(ask, a_host("a"), a_host("b"))) == expected


def test_anti_affinity_with_several_a_host():
    ask = an_ask(group=GroupFacts(id="g", policy="anti-affinity", max_server_per_host=2, hosts={"a": 1}))
    assert names(pick(ask, a_host("a"))) == ["a"]


def test_a_choice_is_counted_before_the_database_shows_it():
    ask = an_ask(group=GroupFacts(id="g", policy="anti-affinity"))
    a = a_host("a").with_server(ask)
    assert names(pick(ask, a, a_host("b"))) == ["b"]
    assert a.ram_free_mib == 8192 - 512


def test_same_host_and_different_host():
    hosts = (a_host("a"), a_host("b"))
    assert names(pick(an_ask(same_hosts=("a",)), *hosts)) == ["a"]
    assert names(pick(an_ask(different_hosts=("a",)), *hosts)) == ["b"]


def test_an_image_for_another_processor():
    assert names(pick(an_ask(image={"hw_architecture": "aarch64"}), a_host("a"))) == []
    assert names(pick(an_ask(image={"architecture": "amd64", "img_hv_type": "qemu"}), a_host("a"))) == ["a"]


def test_capabilities():
    host = a_host("a", cpu_info={"model": "Skylake", "topology": {"sockets": 2}})
    good = an_ask(specs={"capabilities:cpu_info:topology:sockets": ">= 2"})
    bad = an_ask(specs={"capabilities:cpu_info:model": "s== Haswell"})
    assert names(pick(good, host)) == ["a"]
    assert why(pick(bad, host)) == [("lack the capability cpu_info:model s== Haswell", 1)]


def test_filters_of_aggregates():
    ssd = {"view": {"aggregates": ({"ssd": "true", "filter_tenant_id": "p,q"},)}}
    other = {"view": {"aggregates": ({"filter_tenant_id": "x"},)}}
    hosts = (a_host("a", **ssd), a_host("b", **other), a_host("c"))
    specs = an_ask(specs={"aggregate_instance_extra_specs:ssd": "true"})
    assert names(pick(specs, *hosts, enabled_filters=("AggregateInstanceExtraSpecsFilter",))) == ["a"]
    tenants = pick(an_ask(), *hosts, enabled_filters=("AggregateMultiTenancyIsolation",))
    assert names(tenants) == ["a", "c"]


def test_filters_of_load():
    busy = a_host("a", use=HostUse(host="a", servers=60, busy=9))
    limits = {"enabled_filters": ("NumInstancesFilter", "IoOpsFilter")}
    assert why(pick(an_ask(), busy, **limits)) == [("have as many servers as they may", 1)]
    lenient = a_host("a", use=HostUse(host="a", busy=9), view={"aggregates": ({"max_io_ops_per_host": "20"},)})
    assert names(pick(an_ask(), lenient, **limits)) == ["a"]


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ('[">=", "$free_ram_mb", 1024]', True),
        ('["and", [">=", "$free_ram_mb", 1024], ["=", "$host", "b"]]', False),
        ('["not", ["=", "$host", "b"]]', True),
        ('["in", "$host", "a", "b"]', True),
        ("nonsense", False),
        ('["<", "$free_ram_mb"]', True),
        ("[" * 2000, False),
    ],
)
def test_json_queries(query: str, passes: bool):
    ask = an_ask(hints={"query": (query,)})
    assert bool(names(pick(ask, a_host("a"), enabled_filters=("JsonFilter",)))) is passes


@pytest.mark.parametrize(
    ("has", "wants", "expected"),
    [
        ("4", ">= 2", True),
        ("4", "= 5", False),
        ("x", "s== x", True),
        ("x", "<or> a <or> x", True),
        ("aes sse", "<in> aes", True),
        ("aes sse", "<all-in> aes avx", False),
        ("x", "x", True),
        ("word", ">= 2", False),
        ("", "", True),
    ],
)
def test_the_language_of_extra_specs(has: str, wants: str, expected: bool):
    assert matches(has, wants) is expected


def test_a_filter_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no such filter: Nothing"):
        named(("Nothing",))
    assert named(("all_filters",)) == FILTERS
    assert named(("nova.scheduler.filters.RamFilter",))[0].name == "RamFilter"


def test_what_a_server_needs():
    flavor = FlavorSnapshot(
        "1",
        "f",
        vcpus=2,
        ram_mib=512,
        disk_gib=10,
        ephemeral_gib=5,
        swap_mib=1500,
        extra_specs={"resources:VCPU": "0", "resources:CUSTOM_GPU": "1", "trait:COMPUTE_X": "forbidden"},
    )
    need = need_of(flavor, ImageSnapshot("i", properties={"trait:HW_Y": "required"}))
    assert need.resources == {"MEMORY_MB": 512, "DISK_GB": 17, "CUSTOM_GPU": 1}
    assert (need.required, need.forbidden) == (("HW_Y",), ("COMPUTE_X",))
    assert need_of(flavor, ImageSnapshot("")).resources["DISK_GB"] == 7


def test_views_join_reports_with_what_the_database_knows():
    facts = CloudFacts(
        services=(ServiceFacts(host="b", disabled=True, reason="why"), ServiceFacts(host="c", forced_down=True)),
        aggregates=(
            AggregateFacts(number=1, id="u", name="east", metadata={"availability_zone": "east"}, hosts=("a",)),
        ),
        uses=(HostUse(host="a", vcpus=3),),
    )
    reports = [a_report(name) for name in "abc"]
    views = view_hosts(reports, facts, up={"a": True, "b": True, "c": True}, default_zone="nova")
    assert (views["a"].zone, views["b"].zone) == ("east", "nova")
    assert (views["a"].use.vcpus, views["b"].is_disabled, views["c"].is_up) == (3, True, False)
