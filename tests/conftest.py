"""On a network engine (KILONOVA_TEST_DB, see tests/engines) each test gives its databases back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

if os.environ.get("KILONOVA_TEST_DB"):

    @pytest.fixture(autouse=True)
    async def _databases_are_given_back() -> AsyncIterator[None]:
        from kilonova.kernel.testing.engines import engines

        yield
        await engines().release()
