"""One bootstrapped identity a test, on a database in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.identity.make import Cloud, cloud


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = await cloud(tmp_path)
    yield made
    made.parts.hasher.close()
    await made.parts.db.close()
