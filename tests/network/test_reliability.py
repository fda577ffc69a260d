"""The wish is committed first: what the driver was not told of is carried out later, whatever happened in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kilonova.kernel.tasks.sweep import Sweeper
from kilonova.network.drivers.driver import BadSpec, Delete, Kind, NetworkSpec, Put, Unreachable
from kilonova.network.store import needs, wanted
from kilonova.network.workflows.sweeps import SWEEPS, report_agents
from tests.network.cloud import ADMIN, Cloud, make_cloud

NEEDS, DATAPLANE, STATUSES = SWEEPS


@pytest.fixture
def cloud() -> Cloud:
    return make_cloud()


async def sweep(cloud: Cloud, row: Any, rounds: int = 1) -> int:
    sweeper = Sweeper(SWEEPS, cloud.parts, cloud.clock)
    return [await sweeper.once(row) for _ in range(rounds)][-1]


async def left(cloud: Cloud) -> int:
    for _ in range(2):  # what is met is cleared with the next round
        await cloud.parts.realiser.catch_up()
    async with cloud.parts.db.read() as tx:
        return len(await needs.pending(tx, 1000))


async def test_a_change_while_the_driver_is_away_is_kept_and_carried_out_later(cloud: Cloud) -> None:
    cloud.driver.breaks = [Unreachable("away")] * 2
    network, subnet = await cloud.network()
    assert not cloud.driver.objects
    await cloud.clock.advance(5)
    assert await sweep(cloud, NEEDS) == 1
    assert cloud.carried(Kind.NETWORK) == {network["id"]}
    assert cloud.carried(Kind.SUBNET) == {subnet["id"]}
    assert await left(cloud) == 0
    assert await sweep(cloud, NEEDS) == 0


async def test_what_was_made_and_deleted_meanwhile_is_never_carried(cloud: Cloud) -> None:
    cloud.driver.breaks = [Unreachable("away")] * 3
    network, _ = await cloud.network()
    await cloud.ok("DELETE", f"networks/{network['id']}")
    await cloud.clock.advance(5)
    await sweep(cloud, NEEDS)
    assert not cloud.driver.objects
    assert await left(cloud) == 0


async def test_a_deletion_the_driver_did_not_hear_of_is_carried_out_later(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    cloud.driver.breaks = [Unreachable("away")]
    await cloud.ok("DELETE", f"ports/{port['id']}")
    assert (await cloud.ask("GET", f"ports/{port['id']}")).status == 404
    assert port["id"] in cloud.carried(Kind.PORT)
    await cloud.clock.advance(5)
    await sweep(cloud, NEEDS)
    assert port["id"] not in cloud.carried(Kind.PORT)


async def test_one_spec_that_is_refused_does_not_hold_up_the_others(cloud: Cloud) -> None:
    cloud.driver.breaks = [BadSpec("the batch"), BadSpec("the first of it")]
    names = [{"name": "one"}, {"name": "other"}]
    await cloud.ok("POST", "networks", {"networks": names})
    carried = [s.name for s in cloud.driver.objects.values() if isinstance(s, NetworkSpec)]
    assert len(carried) == 1, "the other one of the two"
    assert await left(cloud) == 1, "what was refused is not tried again at once"
    await cloud.clock.advance(3)
    assert await left(cloud) == 0, "it is tried again, and now goes"
    assert len(cloud.carried(Kind.NETWORK)) == 2


async def test_a_crash_between_commit_and_driver_is_mended_at_the_next_start(cloud: Cloud) -> None:
    real = cloud.driver.apply

    async def die(changes: Any) -> None:
        raise asyncio.CancelledError

    cloud.driver.apply = die  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await cloud.ask("POST", "networks", {"network": {"name": "half"}})
    cloud.driver.apply = real  # type: ignore[method-assign]
    await cloud.clock.advance(5)
    await sweep(cloud, NEEDS)
    assert len(cloud.carried(Kind.NETWORK)) == 1


async def test_what_somebody_took_from_the_dataplane_comes_back_and_strays_go(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    stray = NetworkSpec("stray", "stray", 1442)
    await cloud.driver.apply([Put(stray), Delete(Kind.NETWORK, network["id"])])
    assert await sweep(cloud, DATAPLANE) == 0, "seen once it may be just under way"
    sweeper = Sweeper(SWEEPS, cloud.parts, cloud.clock)
    for _ in range(4):
        await sweeper.once(DATAPLANE)
    assert cloud.carried(Kind.NETWORK) == {network["id"]}
    assert len(cloud.carried(Kind.SUBNET)) == 1
    assert len(cloud.carried(Kind.PORT)) == 1


async def test_a_report_that_was_lost_is_found(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", token=ADMIN, network_id=network["id"], **{"binding:host_id": "one"})
    cloud.reports.clear()
    assert (await cloud.ok("GET", f"ports/{port['id']}"))["port"]["status"] == "DOWN"
    await sweep(cloud, STATUSES, rounds=2)
    assert (await cloud.ok("GET", f"ports/{port['id']}"))["port"]["status"] == "ACTIVE"


async def test_hosts_are_shown_as_agents_and_die(cloud: Cloud) -> None:
    await report_agents(cloud.parts)
    agents = (await cloud.ok("GET", "agents", token=ADMIN))["agents"]
    assert {(a["host"], a["alive"], a["binary"]) for a in agents} == {
        ("one", True, "ovn-controller"),
        ("two", True, "ovn-controller"),
    }
    await cloud.refused(400, "BadRequest", "DELETE", f"agents/{agents[0]['id']}", token=ADMIN)
    cloud.driver.hosts = ("one",)
    await report_agents(cloud.parts)
    (dead,) = (await cloud.ok("GET", "agents?alive=false", token=ADMIN))["agents"]
    assert dead["host"] == "two"
    await cloud.ok("DELETE", f"agents/{dead['id']}", token=ADMIN)
    assert (await cloud.ok("GET", "agents"))["agents"] == [], "users see no agents"
    zones = (await cloud.ok("GET", "availability_zones"))["availability_zones"]
    assert {(z["name"], z["state"]) for z in zones} == {("nova", "available")}


async def test_many_changes_at_once_end_as_the_rows_say(cloud: Cloud) -> None:
    network, _ = await cloud.network("10.0.0.0/16")
    body = {"port": {"network_id": network["id"]}}
    made = [r.json["port"]["id"] for r in await asyncio.gather(*(cloud.ask("POST", "ports", body) for _ in range(30)))]
    changes = [cloud.ask("PUT", f"ports/{i}", {"port": {"name": "n"}}) for i in made]
    deletions = [cloud.ask("DELETE", f"ports/{i}") for i in made[::2]]
    replies = await asyncio.gather(*changes, *deletions)
    assert {reply.status for reply in replies} <= {200, 204, 404}
    async with cloud.parts.db.read() as tx:
        specs = await wanted.specs(tx, await wanted.all_keys(tx), "openstacklocal")
    assert await cloud.driver.differences(specs.values()) == []
