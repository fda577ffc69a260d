"""CPU of one change of the network as the OVN driver writes it, in a small cloud and a large one.

usage: python benchmarks/ovn_driver.py unix:/path/to/a/server     (of empty northbound and southbound databases)
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from kilonova.network.drivers.driver import Change, Delete, Kind, Put, Spec
from kilonova.network.drivers.ovn.driver import Connections, OvnDriver
from tests.network.ovn import make

SIZES = (10, 1000, 5000)
REPEAT = 50


def port(number: int) -> Spec:
    ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    fixed = (make.fixed(ip, cidr="10.0.0.0/8"),)
    mac = f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return make.port(f"port-{number}", ip=None, mac=mac, fixed_ips=fixed, security_groups=("sg-1",), host="host-1")


async def cost(driver: OvnDriver, change: Callable[[int], Sequence[Change]]) -> float:
    """CPU milliseconds of one apply."""
    before = time.process_time()
    for number in range(REPEAT):
        await driver.apply(change(number))
    return (time.process_time() - before) / REPEAT * 1000


async def main(remote: str) -> None:
    driver = OvnDriver(Connections(remote, remote))
    await driver.start()
    base = [make.network(), make.subnet(cidr="10.0.0.0/8"), make.group("sg-1", *make.all_out("sg-1"))]
    await driver.apply([Put(spec) for spec in base])
    specs = list(base)
    for size in SIZES:
        more = [port(number) for number in range(len(specs) - len(base), size)]
        for at in range(0, len(more), 250):
            await driver.apply([Put(spec) for spec in more[at : at + 250]])
        specs += more
        created = await cost(driver, lambda number: [Put(port(900_000 + number))])
        changed = await cost(driver, lambda number: [Put(replace(port(900_000 + number), name="x"))])
        deleted = await cost(driver, lambda number: [Delete(Kind.PORT, f"port-{900_000 + number}")])
        before = time.process_time()
        assert await driver.differences(specs) == []
        swept = time.process_time() - before
        print(f"{size:5} ports: create {created:.2f} ms, change {changed:.2f} ms, delete {deleted:.2f} ms CPU; "
              f"sweep of all {swept * 1000:.0f} ms")  # fmt: skip
    await driver.apply([Delete(Kind.NETWORK, "net-1"), Delete(Kind.SECURITY_GROUP, "sg-1")])
    await driver.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
