"""The driver without a dataplane holds what the real one holds."""

from __future__ import annotations

import pytest

from kilonova.network.drivers.driver import (
    BadSpec,
    Delete,
    Difference,
    Kind,
    NetworkDriver,
    NotAble,
    PortEvent,
    Put,
    Unreachable,
)
from kilonova.network.drivers.fake import FakeDriver
from tests.network.ovn import make


def test_it_is_a_network_driver() -> None:
    assert isinstance(FakeDriver(), NetworkDriver)


async def test_a_port_comes_up_when_it_is_bound_and_told_once() -> None:
    driver, told = FakeDriver(), []
    driver.on_port_event(told.append)
    await driver.apply([Put(make.network()), Put(make.port())])
    assert told == []
    for _ in range(2):
        await driver.apply([Put(make.port(host="host-1", revision=1))])
    assert told == [PortEvent("port-1", True, "host-1")]
    await driver.apply([Put(make.port(revision=2))])
    assert told[1:] == [PortEvent("port-1", False)]


async def test_one_apply_is_all_or_nothing() -> None:
    driver = FakeDriver()
    with pytest.raises(BadSpec, match="net-1"):
        await driver.apply([Put(make.network("net-2")), Put(make.port())])
    assert driver.objects == {}


async def test_an_older_revision_is_skipped() -> None:
    driver = FakeDriver()
    await driver.apply([Put(make.network(name="new", revision=2))])
    await driver.apply([Put(make.network(name="old", revision=1))])
    assert driver.objects[Kind.NETWORK, "net-1"].name == "new"  # type: ignore[union-attr]


async def test_it_finds_what_differs() -> None:
    driver = FakeDriver()
    await driver.apply([Put(make.network()), Put(make.network("net-2")), Put(make.port())])
    wanted = [make.network(), make.network("net-3"), make.port(name="renamed")]
    assert await driver.differences(wanted) == [
        Difference(Kind.NETWORK, "net-3", "missing"),
        Difference(Kind.PORT, "port-1", "changed"),
        Difference(Kind.NETWORK, "net-2", "stray"),
    ]


async def test_a_network_takes_its_ports_with_it() -> None:
    driver = FakeDriver()
    await driver.apply([Put(make.network()), Put(make.subnet()), Put(make.port()), Delete(Kind.NETWORK, "net-1")])
    assert driver.objects == {}


async def test_it_refuses_hosts_it_does_not_have_and_breaks_when_told() -> None:
    driver = FakeDriver(hosts=("host-1",), breaks=[Unreachable("gone")])
    with pytest.raises(NotAble, match="host-2"):
        await driver.bind_port(make.port(), "host-2")
    assert (await driver.bind_port(make.port(), "host-1")).vif_type == "ovs"
    with pytest.raises(Unreachable):
        await driver.apply([Put(make.network())])
    await driver.apply([Put(make.network())])
