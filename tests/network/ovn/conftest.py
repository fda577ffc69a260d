"""A real database server for the stories that write to one: two empty OVN databases, no root, nothing else runs."""

from __future__ import annotations

import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCHEMAS = Path("/usr/share/ovn")
NEEDED = ("ovsdb-server", "ovsdb-tool")


@pytest.fixture
def ovsdb(tmp_path: Path) -> Iterator[str]:
    """The address of a server with empty northbound and southbound databases."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or not (SCHEMAS / "ovn-nb.ovsschema").exists():
        pytest.skip(f"needs OVN's databases ({', '.join(missing) or 'schemas'}): apt-get install ovn-central")
    for name in ("nb", "sb"):
        subprocess.run(
            ["ovsdb-tool", "create", str(tmp_path / f"{name}.db"), str(SCHEMAS / f"ovn-{name}.ovsschema")], check=True
        )
    socket, ready = tmp_path / "s", tmp_path / "log"
    with ready.open("wb") as log:
        server = subprocess.Popen(
            ["ovsdb-server", f"--remote=punix:{socket}", f"--unixctl={tmp_path / 'c'}", "nb.db", "sb.db"],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    while not socket.exists() and server.poll() is None:
        select.select([], [], [], 0.005)
    try:
        yield f"unix:{socket}"
    finally:
        server.kill()
        server.wait()
