"""Names that follow from names: host names of guests, names of the servers of one request."""

from __future__ import annotations

import re

_LONGEST = 63


def hostname_for(name: str, server_id: str) -> str:
    """What the guest is told its host name is: the server's name as far as DNS allows it."""
    text = name.encode("latin-1", "ignore").decode("latin-1")
    text = re.sub(r"[ _.]", "-", text)
    text = re.sub(r"[^\w\-]+", "", text, flags=re.ASCII).lower().strip("-.")
    text = text[:_LONGEST].rstrip("-.")
    return text or f"server-{server_id}"


def numbered(name: str, at: int, count: int) -> str:
    """The name of server number `at` (from 0) of `count` that were asked for at once."""
    return name if count == 1 else f"{name}-{at + 1}"
