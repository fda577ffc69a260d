"""Kill the whole cloud with SIGKILL at random moments of boots and deletes, start it again, and look.

    python -m tests.chaos.kills --rounds 50 --seed 1            simulated guests
    python -m tests.chaos.kills --rounds 10 --real              QEMU and OVN, as root

Each round asks for something, kills within the time it takes, starts the cloud and waits for rest: every server must
be ACTIVE, gone, or in ERROR with a fault; no port, claim, guest or disk may be without an owner. A round is told by
its seed. Ends with status 1 when anything was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks import cloud
from benchmarks.client import CloudClient
from benchmarks.seeding import seed
from tests.chaos.invariants import breaches, look

SETTLE_S = 90.0
MOST_SERVERS = 4  # when a round begins: a small host has room for few real guests


@dataclass(slots=True)
class Outcome:
    """What came of all rounds. ``settle_s``: from the start after a kill until all is at rest."""

    rounds: int = 0
    wrong: list[str] = field(default_factory=list)
    settle_s: list[float] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Kills:
    """``span_s``: within which time after the request the kill comes."""

    root: Path
    options: tuple[str, ...]
    chance: random.Random
    span_s: float
    image: Path | None = None
    running: cloud.BenchCloud | None = None

    async def run(self, rounds: int) -> Outcome:
        """Do ``rounds`` rounds, then delete all and look once more."""
        outcome = Outcome()
        self.running = cloud.start(self.root, *self.options)
        client = await self._client()
        await seed(client, self.image)
        await client.close()
        for number in range(rounds):
            await self._round(number, outcome)
        client = await self._client()
        await client.purge("kill-")
        left = await look(client, self.root)
        outcome.wrong += [f"after the end: {one}" for one in breaches(left)]
        if left.servers or left.ports or left.claims or left.guests:
            outcome.wrong.append(f"after the end something is left: {left}")
        await client.close()
        cloud.stop(self.running)
        return outcome

    async def _client(self) -> CloudClient:
        assert self.running is not None
        client = CloudClient(self.running.auth_url, "admin", self.running.admin_password, "admin")
        await client.connect()
        await client.take_token()
        return client

    async def _round(self, number: int, outcome: Outcome) -> None:
        assert self.running is not None
        client = await self._client()
        await client.open()
        if len(await client.names("kill-")) > MOST_SERVERS:
            await client.purge("kill-")
        await client.wait_status(await client.create_server(f"kill-{number}-before"), "ACTIVE")
        there = await client.names("kill-")
        wishes = [self._wish(client, number, n, there) for n in range(self.chance.randint(1, 3))]
        delay = self.chance.uniform(0, self.span_s)
        asked = asyncio.gather(*wishes, return_exceptions=True)
        await asyncio.sleep(delay)
        os.kill(self.running.process.pid, signal.SIGKILL)
        self.running.process.wait()
        await asked
        await client.close()
        began = time.monotonic()
        self.running = cloud.start(self.root, *self.options)
        client = await self._client()
        seen = await look(client, self.root)
        while (not seen.at_rest or breaches(seen)) and time.monotonic() - began < SETTLE_S:
            await asyncio.sleep(0.2)
            seen = await look(client, self.root)
        outcome.rounds += 1
        outcome.settle_s.append(time.monotonic() - began)
        wrong = breaches(seen)
        outcome.wrong += [f"round {number} (killed after {delay * 1000:.0f} ms): {one}" for one in wrong]
        for server in seen.servers.values():
            outcome.ended[server["status"]] = outcome.ended.get(server["status"], 0) + 1
        print(f"round {number}: killed after {delay * 1000:.0f} ms; {len(seen.servers)} servers, "
              f"at rest after {outcome.settle_s[-1]:.1f} s{'; ' + '; '.join(wrong) if wrong else ''}")  # fmt: skip
        await client.close()

    async def _wish(self, client: CloudClient, number: int, wish: int, there: list[str]) -> None:
        with contextlib.suppress(aiohttp.ClientError):  # the answer went down with the cloud
            if there and self.chance.random() < 0.45:
                await client.request("DELETE", "compute", f"/servers/{self.chance.choice(there)}")
            else:
                await client.create_server(f"kill-{number}-{wish}")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def main() -> int:
    """Run, print, and tell by the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kills")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--real", action="store_true", help="QEMU and OVN instead of simulated guests")
    parser.add_argument("--image", type=Path, help="with --real: the guest image, as `kilonova image build` makes it")
    arguments = parser.parse_args()
    number = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {number}")
    netns = f"kn-kills-{os.getpid()}"
    kind = ("compute.hypervisor=libvirt", f"ovn.dataplane_netns={netns}") if arguments.real else ()
    with tempfile.TemporaryDirectory(prefix="kilonova-kills-") as folder:
        root = Path(folder) / "state"
        Path(folder).chmod(0o755)
        options = (f"DEFAULT.api_port={free_port()}", *kind)
        kills = Kills(root, options, random.Random(number), 1.5 if arguments.real else 0.25, arguments.image)
        try:
            outcome = await kills.run(arguments.rounds)
        finally:
            cloud.tear_down(root)
    settled = sorted(outcome.settle_s)
    print(f"{outcome.rounds} rounds, servers seen {outcome.ended}, at rest after {settled[len(settled) // 2]:.1f} s "
          f"in the middle, {settled[-1]:.1f} s at worst; {len(outcome.wrong)} breaches")  # fmt: skip
    for one in outcome.wrong:
        print(f"BREACH {one}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
