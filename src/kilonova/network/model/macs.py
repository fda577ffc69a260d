"""MAC addresses: their canonical text, and new ones."""

from __future__ import annotations

import random
import re

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}\Z")


def canonical(mac: str) -> str | None:
    """``fa:16:3e:00:00:01`` for any common spelling; None when it is no MAC address or nobody's."""
    if not _MAC.match(mac):
        return None
    digits = re.sub(r"[:-]", "", mac).lower()
    if digits == "000000000000":
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def make(base: str, chance: random.Random) -> str:
    """A new address: the first half of ``base`` (six octets; a fourth is kept unless zero), the rest by
    chance.
    """
    octets = base.split(":")
    kept = 4 if octets[3] != "00" else 3
    return ":".join(octets[:kept] + [f"{chance.randrange(256):02x}" for _ in range(6 - kept)])
