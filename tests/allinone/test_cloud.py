"""The whole cloud in one process, with simulated guests: it starts, works, stops, and is found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kilonova.allinone.cloud import CannotStart, Cloud
from kilonova.allinone.config import settings
from kilonova.allinone.groups import ALL_GROUPS
from kilonova.allinone.mount import Mount
from kilonova.allinone.state_dir import AlreadyRunning, StateDir
from kilonova.allinone.teardown import tear_down
from kilonova.cli.cloud_api import CloudApi
from kilonova.cli.main_job import MainJob, Outcome
from kilonova.kernel.config import load
from kilonova.kernel.http import Client, Loopback

QUICK = {"compute.hypervisor": "fake", "DEFAULT.api_port": "0", "identity.password_hash_rounds": "4"}


@asynccontextmanager
async def running(root: Path, **more: str) -> AsyncIterator[Cloud]:
    """A cloud in ``root``."""
    conf = load(groups=ALL_GROUPS, overrides={**QUICK, **more}, environment={})
    state = StateDir(root)
    state.prepare()
    cloud = Cloud(conf, settings(conf, root), state)
    with state.lock():
        await cloud.start()
        try:
            yield cloud
        finally:
            await cloud.stop()


async def main_job(cloud: Cloud, root: Path) -> Outcome:
    """What ``make up`` does in it."""
    secrets = cloud.state.secrets()
    url = f"{cloud.settings.public_url}/identity"
    admin = await CloudApi.connect(url, user="admin", password=secrets["admin_password"], project="admin")
    image = root / "empty.raw"
    image.write_bytes(bytes(1 << 20))
    try:
        job = MainJob(
            admin=admin,
            auth_url=url,
            demo_password=secrets["demo_password"],
            state_dir=root,
            image_file=image,
            image_format="raw",
            real=False,
            outside_netns=None,
            say=lambda line: None,
        )
        return await job.run()
    finally:
        await admin.close()


async def test_two_clouds_live_in_one_process(tmp_path: Path) -> None:
    async with running(tmp_path / "a") as one, running(tmp_path / "b") as two:
        first, second = await asyncio.gather(main_job(one, tmp_path / "a"), main_job(two, tmp_path / "b"))
    assert first.server_id != second.server_id
    assert first.floating_ip.startswith("172.24.4.")


async def test_a_cloud_that_starts_again_finds_its_server(tmp_path: Path) -> None:
    root = tmp_path / "state"
    async with running(root) as cloud:
        before = await main_job(cloud, root)
    async with running(root) as cloud:
        after = await main_job(cloud, root)
    assert (before.server_id, before.floating_ip) == (after.server_id, after.floating_ip)


async def test_a_taken_port_is_told_with_the_remedy(tmp_path: Path) -> None:
    async with running(tmp_path / "a") as cloud:
        port = str(cloud.settings.api_port)
        with pytest.raises(CannotStart, match="api_port"):
            async with running(tmp_path / "b", **{"DEFAULT.api_port": port}):
                pass


async def test_only_one_process_runs_a_cloud(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.prepare()
    assert state.running_pid() is None
    with state.lock():
        with pytest.raises(AlreadyRunning), StateDir(tmp_path).lock():
            pass
        assert StateDir(tmp_path).running_pid() is not None
    assert state.running_pid() is None


async def test_taking_a_simulated_cloud_down_leaves_its_data(tmp_path: Path) -> None:
    conf = load(groups=ALL_GROUPS, overrides=QUICK, environment={})
    state = StateDir(tmp_path)
    state.prepare()
    state.secrets()
    assert await tear_down(conf, settings(conf, tmp_path), state) == []
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


async def test_the_front_names_the_services() -> None:
    client = Client("http://cloud.test", Loopback(Mount({"compute": Mount({})})))
    assert (await client.request("GET", "/")).json() == {"services": ["/compute"]}
    lost = await client.request("GET", "/nova/servers")
    assert (lost.status, "/compute" in lost.json()["error"]["message"]) == (404, True)
