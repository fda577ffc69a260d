"""The standing tests: every step of build and delete failing, repeating, crashing, being overtaken."""

from __future__ import annotations

import pytest

from kilonova.compute.conductor.build import BUILD_SERVER
from kilonova.compute.conductor.delete import DELETE_SERVER
from kilonova.compute.model import operations as ops
from kilonova.kernel.testing.workflows import survive, troubles
from tests.compute.workflows.world import World


@pytest.mark.parametrize("trouble", troubles(BUILD_SERVER, can_be_overtaken=True), ids=str)
async def test_build_survives(trouble):
    async def make():
        return await World().up("host1", "host2")

    await survive(trouble, BUILD_SERVER, make)


@pytest.mark.parametrize("trouble", troubles(DELETE_SERVER), ids=str)
async def test_delete_survives(trouble):
    async def make():
        world = await World(ops.DELETE).up("host1", "host2")
        world.others = (BUILD_SERVER,)
        return world

    await survive(trouble, DELETE_SERVER, make)
