"""The stock ``openstack`` command, over a socket, unchanged: all of networking made, listed, shown, set, deleted.

All commands run in one process of their own (starting it costs more than what it does); it prints one JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import openstack
import pytest
import uvicorn

from kilonova.network.workflows.sweeps import report_agents
from tests.network.cloud import make_cloud

_RUN = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from openstackclient.shell import OpenStackShell
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = OpenStackShell().run(json.loads(line))
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """The base URL of a network service on a loopback port."""
    cloud = make_cloud()
    await report_agents(cloud.parts)
    socket = uvicorn.Config(lambda *a: None, port=0).bind_socket()  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(cloud.service.app, log_level="warning", lifespan="off"))  # type: ignore[arg-type]
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def run(address: str, tmp_path: Path) -> AsyncIterator[Command]:
    """Runs ``openstack WORDS``: its JSON output, its text, or the error it printed."""
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _RUN,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24, cwd=tmp_path,
        env={
            "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore",
            "OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": address, "OS_TOKEN": "admin:demo",
        },
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    stdin, stdout = client.stdin, client.stdout

    async def command(words: str, *, fails: bool = False) -> Any:
        shows = any(f" {verb}" in f" {words}" for verb in ("create", "list", "show"))
        stdin.write(json.dumps([*shlex.split(words), *(("-f", "json") if shows else ())]).encode() + b"\n")
        await stdin.drain()
        code, out, err = json.loads(await stdout.readline())
        assert (code != 0) == fails, f"openstack {words}: {err or out}"
        return err if fails else (json.loads(out) if shows and out.strip() else out)

    yield command
    stdin.close()
    await client.wait()


async def test_everything_of_networking(run: Command) -> None:
    outside = await run(
        "network create outside --external --provider-network-type flat --provider-physical-network public"
    )
    assert (outside["router:external"], outside["provider:network_type"]) == (True, "flat")
    await run(
        "subnet create --network outside --subnet-range 203.0.113.0/24 --no-dhcp --gateway 203.0.113.1 "
        "--allocation-pool start=203.0.113.10,end=203.0.113.20 outside4"
    )
    inner = await run("network create inner --mtu 1400 --tag blue")
    subnet = await run("subnet create --network inner --subnet-range 10.0.0.0/24 --dns-nameserver 9.9.9.9 inner4")
    assert (subnet["gateway_ip"], subnet["dns_nameservers"]) == ("10.0.0.1", ["9.9.9.9"])
    assert {n["Name"] for n in await run("network list")} == {"outside", "inner"}
    assert [n["Name"] for n in await run("network list --tags blue")] == ["inner"]
    await run("network set --name inside --description text inner")
    assert (await run("network show inside"))["description"] == "text"
    await run("subnet set --host-route destination=10.9.0.0/24,gateway=10.0.0.9 inner4")
    assert (await run("subnet show inner4"))["host_routes"] == [{"destination": "10.9.0.0/24", "nexthop": "10.0.0.9"}]

    await run("router create r --external-gateway outside")
    await run("router add subnet r inner4")
    await run("router set --route destination=172.16.0.0/24,gateway=10.0.0.9 r")
    router = await run("router show r")
    assert router["interfaces_info"][0]["ip_address"] == "10.0.0.1"
    assert router["external_gateway_info"]["network_id"] == outside["id"]
    assert [r["Name"] for r in await run("router list")] == ["r"]

    port = await run("port create --network inside --fixed-ip subnet=inner4,ip-address=10.0.0.50 p")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.50"}]
    await run("port set --name q --allowed-address ip-address=10.0.0.60 p")
    assert (await run("port show q"))["allowed_address_pairs"][0]["ip_address"] == "10.0.0.60"
    assert [p["Name"] for p in await run("port list --network inside --fixed-ip ip-address=10.0.0.50")] == ["q"]

    floating = await run("floating ip create outside --port q")
    assert (floating["fixed_ip_address"], floating["port_id"]) == ("10.0.0.50", port["id"])
    await run(f"floating ip unset --port {floating['id']}")
    assert (await run(f"floating ip show {floating['id']}"))["port_id"] is None
    await run(f"floating ip set --port q {floating['floating_ip_address']}")
    assert (await run("floating ip list"))[0]["Fixed IP Address"] == "10.0.0.50"

    await run("security group create web --description text")
    rule = await run("security group rule create web --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/8")
    assert (rule["port_range_min"], rule["port_range_max"], rule["remote_ip_prefix"]) == (80, 81, "10.0.0.0/8")
    again = await run(
        "security group rule create web --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/8", fails=True
    )
    assert "already exists" in again
    await run("security group rule create web --remote-group web --ethertype IPv6")
    assert len(await run("security group rule list web")) == 4
    assert (await run(f"security group rule show {rule['id']}"))["id"] == rule["id"]
    await run(f"security group rule delete {rule['id']}")
    await run("security group set --name site web")
    assert {g["Name"] for g in await run("security group list")} == {"default", "site"}
    await run("port set --security-group site q")
    await run("port unset --security-group site q")
    await run("security group delete site")

    assert {a["Host"] for a in await run("network agent list")} == {"one", "two"}
    assert {z["Zone Name"] for z in await run("availability zone list --network")} == {"nova"}
    assert "router" in {e["Alias"] for e in await run("extension list --network")}
    assert (await run("extension show security-group"))["alias"] == "security-group"
    assert {n["Network Name"] for n in await run("ip availability list")} == {"outside", "inside"}
    await run("subnet pool create --pool-prefix 10.20.0.0/16 --default-prefix-length 24 pool")
    assert [p["Name"] for p in await run("subnet pool list")] == ["pool"]
    await run("subnet create --network inside --subnet-range 10.1.0.0/24 second")

    await run("router delete r", fails=True)
    await run("router unset --route destination=172.16.0.0/24,gateway=10.0.0.9 r")
    await run(f"floating ip delete {floating['id']}")
    await run("router remove subnet r inner4")
    await run("router unset --external-gateway r")
    await run("router delete r")
    await run("port delete q")
    await run("subnet delete inner4 second")
    await run("subnet pool delete pool")
    await run("network delete inside outside")
    assert await run("network list") == []
    assert inner["id"] not in str(await run("port list"))


async def test_the_sdk_pages_finds_and_shares(address: str) -> None:
    def talk() -> None:
        cloud = openstack.connection.Connection(
            auth_type="admin_token", auth={"endpoint": address, "token": "admin:demo"}, region_name=None
        )
        made = [cloud.network.create_network(name=f"n{i}") for i in range(5)]
        assert [n.name for n in cloud.network.networks(limit=2, sort_key="name")] == [f"n{i}" for i in range(5)]
        assert cloud.network.find_network("n3").id == made[3].id
        assert cloud.network.find_network("nothing") is None
        cloud.network.create_rbac_policy(
            object_type="network", object_id=made[0].id, action="access_as_shared", target_project_id="rival"
        )
        assert len(list(cloud.network.rbac_policies(object_id=made[0].id))) == 1
        cloud.network.set_tags(made[1], ["a", "b"])
        assert [n.id for n in cloud.network.networks(tags="a")] == [made[1].id]
        assert cloud.network.get_quota("demo", details=True).networks["used"] == 5
        cloud.network.update_quota("demo", networks=7)
        assert cloud.network.get_quota("demo").networks == 7
        with pytest.raises(openstack.exceptions.PreconditionFailedException):
            cloud.network.update_network(made[2], if_revision=9, name="x")
        assert cloud.network.update_network(made[2], if_revision=1, name="x").revision_number == 2
        for network in made:
            cloud.network.delete_network(network, ignore_missing=False)

    await asyncio.to_thread(talk)
