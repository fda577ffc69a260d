"""Keeping console logs short: a guest that prints without end must not fill the host's disk.

QEMU appends to the file (and always at its end, wherever that is), so it can be cut under its hands: the last part is
kept, the file emptied, and the part written back. A line that comes in between is in the wrong place, none is lost.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

LOG = logging.getLogger(__name__)

NAME = "console.log"
MOST_BYTES = 4 << 20
KEPT_BYTES = 1 << 20


def shorten_all(directory: Path) -> int:
    """Look at the log of each guest in `directory`; how many were cut. Blocking."""
    return sum(shorten(path) for path in directory.glob(f"*/{NAME}"))


def shorten(path: Path) -> bool:
    """Cut one log to its last part when it has become too long."""
    try:
        if path.stat().st_size <= MOST_BYTES:
            return False
        with path.open("r+b") as reader, path.open("ab", buffering=0) as writer:
            reader.seek(-KEPT_BYTES, os.SEEK_END)
            kept = reader.read(KEPT_BYTES)
            os.truncate(path, 0)
            writer.write(kept[kept.find(b"\n") + 1 :])
    except FileNotFoundError:
        return False
    except OSError as error:
        LOG.error("the console log %s cannot be cut: %s", path, error)
        return False
    LOG.info("the console log %s was cut to its last part", path)
    return True
