"""The typed calls against the real service: same bytes, no socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.clients.placement import (
    Claim,
    Group,
    Inventory,
    NoRoom,
    PlacementClient,
    PlacementRefused,
    Provider,
)
from kilonova.kernel.http import Client
from kilonova.kernel.http.loopback import Loopback
from tests.placement.make import Cloud, cloud, uid

HOST = {"VCPU": Inventory(8, allocation_ratio=2.0), "MEMORY_MB": Inventory(4096, reserved=512)}


class Session:
    """A token that is refused once."""

    def __init__(self) -> None:
        self.tokens = ["expired", "service"]

    async def token(self) -> str:
        return self.tokens[0]

    def forget(self) -> None:
        self.tokens.pop(0)


def client_of(here: Cloud) -> PlacementClient:
    return PlacementClient(Client("http://cloud.test", Loopback(here.app)), Session())


@pytest.fixture
async def placement() -> PlacementClient:
    return client_of(await cloud())


def take(name: str, vcpus: int, *hosts: str) -> Claim:
    return Claim(uid(name), {uid(host): {"VCPU": vcpus} for host in hosts}, "p", "u")


async def test_a_host_says_what_it_is_as_often_as_it_likes(placement: PlacementClient) -> None:
    uuid = uid("cn")
    assert await placement.ensure_provider(uuid, "cn") == Provider(uuid, "cn", 0, None, uuid)
    assert (await placement.ensure_provider(uuid, "renamed")).name == "renamed"
    assert await placement.set_inventories(uuid, {**HOST, "CUSTOM_GOLD": Inventory(3)})
    assert not await placement.set_inventories(uuid, {**HOST, "CUSTOM_GOLD": Inventory(3)})
    assert await placement.set_traits(uuid, ["HW_CPU_X86_AVX2", "CUSTOM_FAST"])
    assert not await placement.set_traits(uuid, ["CUSTOM_FAST", "HW_CPU_X86_AVX2"])
    assert await placement.set_aggregates(uuid, [uid("agg")])
    assert await placement.aggregates(uuid) == {uid("agg")}
    assert (await placement.inventories(uuid))["MEMORY_MB"].reserved == 512
    kid = await placement.ensure_provider(uid("kid"), "kid", parent=uuid)
    assert kid.root == uuid
    assert {p.name for p in await placement.providers(in_tree=uuid)} == {"renamed", "kid"}
    with pytest.raises(PlacementRefused) as refused:
        await placement.ensure_provider(uid("other"), "kid")
    assert refused.value.code == "placement.duplicate_name"
    assert await placement.delete_provider(uid("kid"))
    assert not await placement.delete_provider(uid("kid"))
    assert await placement.provider(uid("kid")) is None


async def test_search_then_claim_then_release(placement: PlacementClient) -> None:
    for name in ("a", "b"):
        await placement.ensure_provider(uid(name), name)
        await placement.set_inventories(uid(name), HOST)
    await placement.set_traits(uid("b"), ["HW_CPU_X86_AVX2"])
    wanted = {"VCPU": 4, "MEMORY_MB": 1024}
    assert set(await placement.offers(wanted)) == {uid("a"), uid("b")}
    offers = await placement.offers(wanted, required=["HW_CPU_X86_AVX2"])
    assert offers == {uid("b"): {uid("b"): wanted}}
    found = await placement.search({"": Group(wanted, forbidden=["HW_CPU_X86_AVX2"], in_tree=uid("a"))})
    assert found.summaries[uid("a")].resources["VCPU"] == (16, 0)
    either = ["HW_CPU_X86_AVX2", "HW_CPU_X86_AVX512F"]
    assert len((await placement.search({"": Group({"VCPU": 1}, [either])})).candidates) == 1

    claim = Claim(uid("server"), offers[uid("b")], "p", "u")
    await placement.claim(claim)
    await placement.claim(claim)
    held = await placement.claimed(uid("server"))
    assert (held.uses, held.generation, held.consumer_type) == ({uid("b"): wanted}, 1, "INSTANCE")
    assert await placement.claimed_from(uid("b")) == {uid("server"): wanted}
    assert await placement.claimed_from(uid("nobody")) == {}
    assert (await placement.usages(uid("b")))["VCPU"] == 4
    assert await placement.release(uid("server"))
    assert not await placement.release(uid("server"))


async def test_moving_swaps_two_consumers_at_once(placement: PlacementClient) -> None:
    for name in ("a", "b"):
        await placement.ensure_provider(uid(name), name)
        await placement.set_inventories(uid(name), HOST)
    await placement.claim(take("server", 16, "a"))
    await placement.claim(take("migration", 16, "a"), take("server", 16, "b"))
    assert set((await placement.claimed(uid("migration"))).uses) == {uid("a")}
    assert set((await placement.claimed(uid("server"))).uses) == {uid("b")}
    with pytest.raises(NoRoom, match="capacity"):
        await placement.claim(take("other", 1, "a"))


async def test_a_claim_that_loses_races_is_tried_again(placement: PlacementClient) -> None:
    await placement.ensure_provider(uid("a"), "a")
    await placement.set_inventories(uid("a"), HOST)
    real, meddled = placement.claimed, []

    async def claimed(consumer: str) -> Any:
        known = await real(consumer)
        if len(meddled) < 2:  # somebody else writes between our reading and our writing
            meddled.append(consumer)
            other = PlacementClient(placement._http, Session())
            await other.claim(take("server", len(meddled), "a"))
        return known

    placement.claimed = claimed  # type: ignore[method-assign]
    await placement.claim(take("server", 7, "a"))
    assert len(meddled) == 2
    assert (await real(uid("server"))).uses == {uid("a"): {"VCPU": 7}}


async def test_many_hosts_start_at_once(placement: PlacementClient) -> None:
    async def start(name: str) -> None:
        await placement.ensure_provider(uid(name), name)
        await placement.set_inventories(uid(name), HOST)
        await placement.set_traits(uid(name), ["CUSTOM_FAST"])

    await asyncio.gather(*(start(f"cn{n}") for n in range(20)))
    assert len(await placement.offers({"VCPU": 1}, required=["CUSTOM_FAST"])) == 20
