"""The image, built once a session for the tests that boot it."""

import shutil
from pathlib import Path

import pytest

from kilonova.guest_image import BuiltImage, build
from kilonova.guest_image.command import DEFAULT_CACHE
from kilonova.guest_image.host_tools import missing_packages


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed (Debian: qemu-system-x86)")
    if missing := missing_packages():
        pytest.skip(f"the builder's tools are not installed (Debian: {' '.join(missing)})")
    out: Path = tmp_path_factory.mktemp("guest") / "guest.qcow2"
    return build(out, DEFAULT_CACHE.expanduser(), lambda line: None)
