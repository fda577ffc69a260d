"""All benchmarks of the API: ``python -m benchmarks [--peer AUTH_URL --peer-password P --peer-pids CMD]``."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks import api, cloud
from benchmarks.client import CloudClient
from benchmarks.processes import command, family, resident_mib, yardstick_ms
from benchmarks.seeding import seed


async def ours(arguments: argparse.Namespace) -> api.Figures:
    """Measure a cloud of ours made for this run."""
    with cloud.running() as running:
        client = CloudClient(running.auth_url, "admin", running.admin_password, "admin")
        await client.connect()
        await seed(client)
        await client.open()
        pids = family(running.process.pid)
        figures = await api.measure(client, pids, many=arguments.many)
        print(f"memory with 100 servers: {resident_mib(pids()):.0f} MiB (aim: 150)")
        await client.close()
        return figures


def start_times(runs: int = 5) -> None:
    """From the start of the process to the first answer, with a prepared state directory."""
    with tempfile.TemporaryDirectory(prefix="kilonova-bench-") as folder:
        root = Path(folder) / "state"
        cloud.stop(cloud.start(root))
        times = []
        for _ in range(runs):
            one = cloud.start(root)
            times.append(one.first_answer_s)
            cloud.stop(one)
    print(f"start to first API answer: median {statistics.median(times):.2f} s, worst {max(times):.2f} s (aim: 2 s)")


async def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--peer", metavar="AUTH_URL", help="another cloud to measure in the same run, with /v3")
    parser.add_argument("--peer-user", default="admin")
    parser.add_argument("--peer-password", default="")
    parser.add_argument("--peer-pids", metavar="CMD", help="prints NAME PID for each process of the peer")
    parser.add_argument("--peer-many", type=int, default=30, help="servers of the peer's bulk runs")
    parser.add_argument("--many", type=int, default=300, help="servers of the bulk runs")
    arguments = parser.parse_args()
    start_times()
    print(f"yardstick: {yardstick_ms():.1f} ms of CPU (7 to 10 on a calm test machine)")
    figures = await ours(arguments)
    peer = None
    if arguments.peer:
        client = CloudClient(arguments.peer, arguments.peer_user, arguments.peer_password, "admin")
        await client.connect()
        await client.open()
        pids = command(arguments.peer_pids)
        peer = await api.measure(client, pids, n=50, boots=5, many=arguments.peer_many, listed=100)
        await client.close()
    print(api.table(figures, peer))


asyncio.run(main())
