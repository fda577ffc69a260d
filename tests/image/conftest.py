"""One image service a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.make import Cloud
from tests.image.make import cloud as make_cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return make_cloud(tmp_path / "data")
