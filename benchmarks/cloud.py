"""A cloud made for a benchmark: fake hypervisor, its own directory and port, gone afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class BenchCloud:
    """``first_answer_s``: from the start of the process to the first answer of the API."""

    root: Path
    process: subprocess.Popen[bytes]
    port: int
    first_answer_s: float

    @property
    def auth_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/identity/v3"

    @property
    def admin_password(self) -> str:
        return str(json.loads((self.root / "secrets.json").read_text())["admin_password"])


def start(root: Path, *options: str) -> BenchCloud:
    """Start ``kilonova up`` in ``root`` on a free port and wait for its first answer."""
    log = root.parent / "bench-cloud.log"
    command = [sys.executable, "-m", "kilonova.cli", "--state-dir", str(root)]
    settings = ("compute.hypervisor=fake", "DEFAULT.api_port=0", *options)
    for setting in settings:
        command += ["--set", setting]
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "up", "--no-clouds-yaml"], stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
    port = 0
    while True:
        found = re.search(r"API answers at http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
        if found:
            port = int(found[1])
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/identity/healthcheck", timeout=5).read()
                break
            except OSError:
                pass
        if process.poll() is not None:
            raise SystemExit(f"the cloud did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.005)
    return BenchCloud(root, process, port, time.perf_counter() - began)


def stop(cloud: BenchCloud) -> None:
    """End it in good order."""
    cloud.process.terminate()
    cloud.process.wait(30)


def tear_down(root: Path) -> None:
    """Remove what a cloud left on the machine beside its data: guests, daemons, namespaces."""
    subprocess.run([sys.executable, "-m", "kilonova.cli", "--state-dir", str(root), "down"], check=False)


@contextmanager
def running(*options: str) -> Iterator[BenchCloud]:
    """A cloud for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="kilonova-bench-") as folder:
        cloud = start(Path(folder) / "state", *options)
        try:
            yield cloud
        finally:
            stop(cloud)
