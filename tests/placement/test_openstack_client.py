"""The stock ``openstack`` command with osc-placement, over a socket, unchanged.

All commands run in one process of their own (starting it costs more than what it does); it prints one JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.placement.make import cloud, uid

_RUN = """
import io, json, sys
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

Command = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def openstack(tmp_path: Path) -> AsyncIterator[Command]:
    """Runs ``openstack ARGUMENTS``: its JSON output, its text, or the error it printed."""
    here = await cloud()
    mounted = _mount(here.app, "/placement")
    server = uvicorn.Server(uvicorn.Config(mounted, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _RUN,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24, cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None

    async def run(arguments: str) -> Any:
        words = ["--os-auth-type", "admin_token", "--os-endpoint", f"http://127.0.0.1:{port}/placement"]
        words += ["--os-token", "admin", "--os-placement-api-version", "1.39", *arguments.split()]
        client.stdin.write(json.dumps(words).encode() + b"\n")
        code, out, err = json.loads(await asyncio.wait_for(client.stdout.readline(), 60))
        if code:
            return f"error: {err}"
        return json.loads(out) if "-f json" in arguments else out

    yield run
    client.stdin.close()
    await client.wait()
    server.should_exit = True
    await serving


def _mount(app: Any, prefix: str) -> Any:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": prefix}, receive, send)

    return mounted


async def test_a_day_of_an_operator(openstack: Command) -> None:
    cn, kid, server = uid("cn"), uid("kid"), uid("server")
    made = await openstack(f"resource provider create cn --uuid {cn} -f json")
    assert made == {
        "uuid": cn, "name": "cn", "generation": 0, "root_provider_uuid": cn, "parent_provider_uuid": None,
    }  # fmt: skip
    made = await openstack(f"resource provider create kid --uuid {kid} --parent-provider {cn} -f json")
    assert made["root_provider_uuid"] == cn
    listed = await openstack(f"resource provider list --in-tree {cn} -f json")
    assert {row["name"] for row in listed} == {"cn", "kid"}
    shown = await openstack(f"resource provider set {kid} --name child -f json")
    assert shown["name"] == "child"

    await openstack("resource class create CUSTOM_GOLD")
    await openstack("resource class set CUSTOM_SILVER")
    classes = await openstack("resource class list -f json")
    assert {"VCPU", "CUSTOM_GOLD", "CUSTOM_SILVER"} <= {row["name"] for row in classes}
    assert (await openstack("resource class show CUSTOM_GOLD -f json"))["name"] == "CUSTOM_GOLD"
    await openstack("resource class delete CUSTOM_SILVER")
    assert "No such resource class" in await openstack("resource class show CUSTOM_SILVER")

    rows = await openstack(
        f"resource provider inventory set {cn} --resource VCPU=8 --resource VCPU:allocation_ratio=2.0 "
        "--resource CUSTOM_GOLD=3 -f json"
    )
    assert {row["resource_class"]: row["total"] for row in rows} == {"VCPU": 8, "CUSTOM_GOLD": 3}
    row = await openstack(f"resource provider inventory class set {cn} CUSTOM_GOLD --total 5 --reserved 1 -f json")
    assert (row["total"], row["reserved"]) == (5, 1)
    assert (await openstack(f"resource provider inventory show {cn} VCPU -f json"))["allocation_ratio"] == 2.0

    await openstack("trait create CUSTOM_FAST")
    assert {"name": "CUSTOM_FAST"} in await openstack("trait list -f json")
    assert await openstack(f"resource provider trait set {cn} --trait CUSTOM_FAST -f json") == [{"name": "CUSTOM_FAST"}]
    assert "in use" in await openstack("trait delete CUSTOM_FAST")
    assert len(await openstack("resource provider list --required CUSTOM_FAST -f json")) == 1
    assert await openstack("resource provider list --forbidden CUSTOM_FAST --resource VCPU=1 -f json") == []
    set_to = await openstack(f"resource provider aggregate set {cn} --aggregate {uid('agg')} --generation 3 -f json")
    assert set_to == [{"uuid": uid("agg")}]
    assert len(await openstack(f"resource provider list --member-of {uid('agg')} -f json")) == 1

    found = await openstack("allocation candidate list --resource VCPU=2 --resource CUSTOM_GOLD=1 -f json")
    assert [row["resource provider"] for row in found] == [cn]
    project = f"--project-id {uid('project')} --user-id {uid('user')} --consumer-type INSTANCE"
    taken = await openstack(
        f"resource provider allocation set {server} --allocation rp={cn},VCPU=2,CUSTOM_GOLD=1 {project} -f json"
    )
    assert taken[0]["resources"] == {"VCPU": 2, "CUSTOM_GOLD": 1}
    too_much = await openstack(f"resource provider allocation set {uid('x')} --allocation rp={cn},VCPU=99 {project}")
    assert "exceed" in too_much
    shown = await openstack(f"resource provider allocation show {server} -f json")
    assert shown[0]["consumer_type"] == "INSTANCE"
    usage = await openstack(f"resource provider usage show {cn} -f json")
    assert {"resource_class": "VCPU", "usage": 2} in usage
    usage = await openstack(f"resource usage show {uid('project')} -f json")
    assert [row["resource_class"] for row in usage] == ["INSTANCE"]  # osc-placement takes types for classes
    shown = await openstack(f"resource provider show {cn} --allocations -f json")
    assert list(shown["allocations"]) == [server]
    assert "child resource providers" in await openstack(f"resource provider delete {cn}")
    await openstack(f"resource provider delete {kid}")
    assert "has allocations" in await openstack(f"resource provider delete {cn}")
    unset = await openstack(f"resource provider allocation unset {server} --resource-class CUSTOM_GOLD -f json")
    assert unset[0]["resources"] == {"VCPU": 2}
    assert "in use" in await openstack(f"resource provider inventory delete {cn}")
    await openstack(f"resource provider allocation delete {server}")
    await openstack(f"resource provider inventory delete {cn} --resource-class CUSTOM_GOLD")
    await openstack(f"resource provider trait delete {cn}")
    await openstack("trait delete CUSTOM_FAST")
    await openstack(f"resource provider delete {cn}")
    assert await openstack("resource provider list -f json") == []
