"""What we add to a boot on libvirt: from POST to ACTIVE, less what libvirt alone needs for the same domain.

usage: python -m benchmarks.boot --image GUEST.qcow2 [--rounds 3] [--boots 4]      (as root; the image as made by
`kilonova image build`)

Each round boots some servers through the API, then stops the cloud (guests stay) and has libvirt define and start
the last server's own domain again as often, so that both are measured in the same minutes of a machine's day.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from xml.etree.ElementTree import fromstring

import libvirt

from benchmarks import cloud
from benchmarks.client import CloudClient
from benchmarks.seeding import seed

AIM_MS = 100.0
_POLL_S = 0.005


async def boots(running: cloud.BenchCloud, many: int, image: Path | None) -> list[float]:
    """Milliseconds from POST to ACTIVE of servers booted one after another; the last one stays. ``image``: seed."""
    client = CloudClient(running.auth_url, "admin", running.admin_password, "admin")
    await client.connect()
    if image is not None:
        await seed(client, image)
    await client.open()
    await client.purge("bench-")
    took = []
    for number in range(many + 1):
        began = time.perf_counter()
        server = await client.create_server(f"bench-{number}")
        await client.wait_status(server, "ACTIVE", _POLL_S)
        took.append(1000 * (time.perf_counter() - began))
        if number < many:
            await client.request("DELETE", "compute", f"/servers/{server}")
            await client.wait_status(server, "GONE")
    await client.close()
    return took[1:]  # the first of a round fills caches: images, tokens, connections


def bare(root: Path, many: int) -> list[float]:
    """Milliseconds in which libvirt defines and starts the one domain that is there."""
    socket = next(root.rglob("libvirt-sock"))
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)  # names of sockets may have 107 characters
    connection = libvirt.open(f"qemu:///system?socket=/proc/self/fd/{folder}/{socket.name}")
    (domain,) = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    assert fromstring(xml).find("devices/interface") is not None
    took = []
    for _ in range(many + 1):
        domain.destroy()
        domain.undefine()
        began = time.perf_counter()
        domain = connection.defineXML(xml)
        domain.create()
        took.append(1000 * (time.perf_counter() - began))
    connection.close()
    os.close(folder)
    return took[1:]


def main() -> None:
    """Print both medians and what is between them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boot")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--boots", type=int, default=4)
    arguments = parser.parse_args()
    whole: list[float] = []
    alone: list[float] = []
    options = ("compute.hypervisor=libvirt", f"ovn.dataplane_netns=kn-boot-{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="kn-boot-") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "state"
        with contextlib.ExitStack() as after:
            after.callback(cloud.tear_down, root)
            for number in range(arguments.rounds):
                running = cloud.start(root, *options)
                try:
                    whole += asyncio.run(boots(running, arguments.boots, arguments.image if number == 0 else None))
                finally:
                    cloud.stop(running)
                alone += bare(root, arguments.boots)
    ours = statistics.median(whole) - statistics.median(alone)
    print(f"POST to ACTIVE: median {statistics.median(whole):.0f} ms, worst {max(whole):.0f} ms of {len(whole)} boots")
    print(f"libvirt alone:  median {statistics.median(alone):.0f} ms, worst {max(alone):.0f} ms")
    print(f"ours: {ours:.0f} ms at the median (aim: {AIM_MS:.0f} ms at most)")


if __name__ == "__main__":
    main()
