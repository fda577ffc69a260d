from __future__ import annotations

import pytest

from tests.compute.make import Cloud
from tests.compute.make import cloud as make_cloud


@pytest.fixture
async def cloud() -> Cloud:
    """Compute's API with one flavor, one image, one network, one host."""
    made = make_cloud()
    await made.flavor()
    await made.host()
    return made
