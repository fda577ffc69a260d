"""CPU seconds and memory of a cloud's processes, read from /proc."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")

Pids = Callable[[], list[int]]


def family(root: int) -> Pids:
    """The process ``root`` and all that descend from it."""

    def find() -> list[int]:
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
        found, todo = [], [root]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += parents.get(pid, [])
        return found

    return find


def command(line: str) -> Pids:
    """The processes that a shell command prints, one ``NAME PID`` a line."""

    def find() -> list[int]:
        out = subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
        return [int(row.split()[-1]) for row in out.splitlines() if row.strip()]

    return find


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far, ended children included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(x) for x in fields[11:15])
    return total / _TICK


def yardstick_ms() -> float:
    """CPU of a fixed piece of work, at the median of ten: 7 to 10 ms on a calm test machine, more where others work."""

    def once() -> float:
        began, found = time.process_time(), {}
        for number in range(60_000):
            found[number & 1023] = str(number).encode()
        return 1000 * (time.process_time() - began)

    return statistics.median(once() for _ in range(10))


def resident_mib(pids: Iterable[int]) -> float:
    """Proportional set size of all, in MiB."""
    total = 0
    for pid in pids:
        try:
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total / 1024
