"""`python -m tests.engines [ENGINE ...] [-- PYTEST ARGUMENTS]`: starts engines, runs the stories on each, stops them.

One after the other: the bus on RabbitMQ, then the services' stories on PostgreSQL and on MariaDB. Exit status 1 if any
failed, 2 if an engine could not be started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.engines.machine import START, CannotStart

BUS = ("tests/kernel/bus", "tests/engines/test_rabbitmq.py")
STORES = (
    "tests/engines/test_migrations.py",
    "tests/kernel",
    "tests/placement",
    "tests/identity",
    "tests/image",
    "tests/network",
    "tests/compute",
)


def run(name: str, folder: Path, arguments: list[str]) -> int:
    """Pytest's exit status on one engine."""
    with START[name](folder) as engine:
        variable = "KILONOVA_TEST_BROKER" if name == "rabbitmq" else "KILONOVA_TEST_DB"
        stories = BUS if name == "rabbitmq" else STORES
        print(f"{name} is there on port {engine.port}", flush=True)
        command = [sys.executable, "-m", "pytest", "-m", "not real", "-p", "no:cacheprovider", "-rs"]
        environment = {**os.environ, variable: engine.url}
        return subprocess.run([*command, *(arguments or stories)], env=environment).returncode


def main(words: list[str]) -> int:
    # Asked to stop, we unwind, and so stop what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    split = words.index("--") if "--" in words else len(words)
    ends: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="kilonova-engines-") as base:
        Path(base).chmod(0o755)  # each engine's own user has to reach its folder
        for name in words[:split] or list(START):
            try:
                status = run(name, Path(base) / name, words[split + 1 :])
                ends[name] = "passed" if status == 0 else "failed"
            except CannotStart as why:
                ends[name] = f"could not be started: {why}"
    for name, end in ends.items():
        print(f"{name}: {end}")
    if any(end.startswith("could") for end in ends.values()):
        return 2
    return 1 if "failed" in ends.values() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
