"""What Placement costs: CPU time of each operation on a cloud of many hosts, in one process, no sockets.

python -m benchmarks.placement [HOSTS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import os_traits

from kilonova.kernel.clock import SystemClock
from kilonova.kernel.db import Database, upgrade
from kilonova.kernel.http import Client, Reply
from kilonova.kernel.http.loopback import Loopback
from kilonova.kernel.testing import fake_identity
from kilonova.placement.app import MIGRATIONS, build, prepare
from kilonova.placement.config import Settings

OFFERS = {
    "VCPU": {"total": 32, "allocation_ratio": 4.0},
    "MEMORY_MB": {"total": 256_000},
    "DISK_GB": {"total": 4_000},
}
SEARCH = "/allocation_candidates?resources=VCPU:1,MEMORY_MB:1024,DISK_GB:10"


async def main(hosts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/placement.sqlite"
        upgrade(url, MIGRATIONS)
        db, clock = Database(url, name="placement"), SystemClock()
        await prepare(db, clock)
        service = build(Settings(), db, clock, authenticate=fake_identity(), random=Random(1))
        client = Client("http://cloud.test", Loopback(service.app))
        headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": "placement 1.39"}

        async def send(method: str, path: str, json: Any = None) -> Reply:
            got = await client.request(method, path, json=json, headers=headers)
            if got.status >= 300:
                raise RuntimeError(f"{method} {path}: {got.status} {got.body!r}")
            return got

        async def measure(what: str, times: int, work: Callable[[int], Awaitable[Any]]) -> None:
            await work(0)
            statements, began = db.statements, time.process_time()
            for number in range(1, times + 1):
                await work(number)
            spent_ms = (time.process_time() - began) / times * 1e3
            print(f"{what:40} {spent_ms:8.3f} ms CPU {(db.statements - statements) / times:6.1f} statements")

        uuids = [str(uuid4()) for _ in range(hosts + 1)]
        consumers = [str(uuid4()) for _ in range(501)]
        traits = [name for name in os_traits.get_traits() if name.startswith("HW_CPU")][:50]

        def claim(number: int) -> Awaitable[Reply]:
            resources = {"VCPU": 1, "MEMORY_MB": 100, "DISK_GB": 1}
            body = {
                "allocations": {uuids[number % hosts]: {"resources": resources}}, "project_id": "p", "user_id": "u",
                "consumer_generation": None, "consumer_type": "INSTANCE",
            }  # fmt: skip
            return send("PUT", f"/allocations/{consumers[number]}", body)

        of = [f"/resource_providers/{uuid}" for uuid in uuids]
        print(f"{hosts} hosts with 3 inventories and {len(traits)} traits each")
        await measure(
            "create a provider", hosts,
            lambda n: send("POST", "/resource_providers", {"name": f"h{n}", "uuid": uuids[n]}),
        )  # fmt: skip
        await measure(
            "set its inventories", hosts,
            lambda n: send("PUT", f"{of[n]}/inventories", {"resource_provider_generation": 0, "inventories": OFFERS}),
        )  # fmt: skip
        await measure(
            "set its traits", hosts,
            lambda n: send("PUT", f"{of[n]}/traits", {"resource_provider_generation": 1, "traits": traits}),
        )  # fmt: skip
        await measure("show a provider", 300, lambda n: send("GET", of[n % hosts]))
        await measure("search, all candidates", 20, lambda n: send("GET", SEARCH))
        await measure("search, limit 1", 300, lambda n: send("GET", f"{SEARCH}&limit=1"))
        await measure("search, nothing fits", 50, lambda n: send("GET", SEARCH.replace("VCPU:1", "VCPU:1000")))
        await measure("claim", 500, claim)
        await measure("show allocations", 300, lambda n: send("GET", f"/allocations/{consumers[n]}"))
        await measure("release", 500, lambda n: send("DELETE", f"/allocations/{consumers[n]}"))
        await db.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
