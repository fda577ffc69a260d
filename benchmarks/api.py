"""CPU and latency of each API operation, beside upstream's.

The peer, when one is given, is measured in the same run by the same client; otherwise its column shows what was
recorded of upstream on a machine like the test machine (marked ``rec``).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.client import CloudClient
from benchmarks.processes import Pids, cpu_seconds

RECORDED_UPSTREAM_MS = {
    "boot and delete a server": 1800.0,
    "GET /servers/detail, 100 servers": 410.0,
    "GET /servers/{id}": 50.0,
    "GET /v2.0/networks": 15.0,
    "GET /flavors/detail": 7.7,
    "GET /v2/images": 3.9,
    "GET /v3/auth/tokens": 4.0,
}
AIM_MS = {
    "boot and delete a server": 18.0,
    "GET /servers/detail, 100 servers": 4.0,
    "GET /servers/{id}": 0.5,
    "GET /v2.0/networks": 0.4,
    "GET /flavors/detail": 0.4,
    "GET /v2/images": 0.4,
    "GET /v3/auth/tokens": 0.4,
}


@dataclass(slots=True)
class Figures:
    """CPU of the cloud in ms an operation, and the median latency in ms, by operation."""

    cpu_ms: dict[str, float] = field(default_factory=dict)
    p50_ms: dict[str, float] = field(default_factory=dict)
    rates: dict[str, str] = field(default_factory=dict)


async def measure(
    client: CloudClient, pids: Pids, *, n: int = 300, boots: int = 20, many: int = 300, listed: int = 100
) -> Figures:
    """Run every operation against one cloud."""
    figures = Figures()

    async def one(name: str, call: Callable[[], Awaitable[object]], count: int) -> None:
        for _ in range(5):
            await call()
        latencies, before = [], cpu_seconds(pids())
        for _ in range(count):
            began = time.perf_counter()
            await call()
            latencies.append(time.perf_counter() - began)
        figures.cpu_ms[name] = 1000 * (cpu_seconds(pids()) - before) / count
        figures.p50_ms[name] = 1000 * statistics.median(latencies)
        _tell(f"{name}: {figures.cpu_ms[name]:.2f} ms CPU, {figures.p50_ms[name]:.2f} ms at the median")

    async def boot_and_delete() -> None:
        server = await client.create_server("bench-one")
        await client.wait_status(server, "ACTIVE")
        await client.request("DELETE", "compute", f"/servers/{server}")
        await client.wait_status(server, "GONE")

    await client.purge("bench-")
    await one("GET /v3/auth/tokens", client.check_token, n)
    await one("POST /v3/auth/tokens", client.take_token, max(5, n // 20))
    await one("GET /flavors/detail", lambda: client.get("compute", "/flavors/detail"), n)
    await one("GET /v2/images", lambda: client.get("image", "/v2/images"), n)
    await one("GET /v2.0/networks", lambda: client.get("network", "/v2.0/networks"), n)
    await one("boot and delete a server", boot_and_delete, boots)
    server = await client.create_server("bench-show")
    await client.wait_status(server, "ACTIVE")
    await one("GET /servers/{id}", lambda: client.get("compute", f"/servers/{server}"), n)
    await client.purge("bench-")
    await _bulk(client, pids, figures, many)
    await client.create_server("bench-list", min_count=listed, max_count=listed)
    await client.wait_built("bench-list")
    listing = "/servers/detail?limit=1000"
    await one("GET /servers/detail, 100 servers", lambda: client.get("compute", listing), max(10, n // 5))
    return figures


def _tell(line: str) -> None:
    """Each figure as it comes, for a run that does not reach its end."""
    print(line, file=sys.stderr, flush=True)


async def _bulk(client: CloudClient, pids: Pids, figures: Figures, many: int) -> None:
    async def timed(name: str, work: Awaitable[object], prefix: str) -> None:
        before, began = cpu_seconds(pids()), time.perf_counter()
        await work
        active = await client.wait_built(prefix)
        took = time.perf_counter() - began
        cpu = 1000 * (cpu_seconds(pids()) - before) / many
        figures.rates[name] = f"{active} of {many} active, {many / took:.0f} servers/s, {cpu:.1f} ms CPU each"
        _tell(f"{name}: {figures.rates[name]}")
        await client.purge(prefix)

    async def sixteen() -> None:
        left = iter(range(many))

        async def work() -> None:
            for number in left:
                await client.create_server(f"bench-each-{number}")

        await asyncio.gather(*[work() for _ in range(16)])

    multi = client.create_server("bench-multi", min_count=many, max_count=many)
    await timed(f"{many} servers from one multi-create", multi, "bench-multi")
    await timed(f"{many} servers from 16 clients", sixteen(), "bench-each")


def table(ours: Figures, peer: Figures | None) -> str:
    """The figures as text, with the ratio to upstream and the aim."""
    rows = [f"{'operation':36}{'CPU ms':>9}{'p50 ms':>9}{'upstream':>12}{'ratio':>8}{'aim ms':>9}"]
    for name, cpu in ours.cpu_ms.items():
        theirs = peer.cpu_ms.get(name) if peer else None
        recorded = RECORDED_UPSTREAM_MS.get(name)
        shown = f"{theirs:.1f}" if theirs is not None else f"rec {recorded:.1f}" if recorded else "-"
        base = theirs if theirs is not None else recorded
        ratio = f"{base / cpu:.0f}x" if base and cpu else "-"
        aim = f"{AIM_MS[name]:.1f}" if name in AIM_MS else "-"
        rows.append(f"{name:36}{cpu:9.2f}{ours.p50_ms[name]:9.2f}{shown:>12}{ratio:>8}{aim:>9}")
    rows += [f"{name:36} {text}" for name, text in ours.rates.items()]
    return "\n".join(rows)
