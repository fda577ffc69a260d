"""The hops of one boot, numbered as the sequence that every introduction to Nova tells (29 steps).

Each process logs the hop it makes under the request id, so one boot can be read from front to end in the log.
"""

from __future__ import annotations

from typing import Final

HOPS: Final[dict[str, str]] = {
    "1-2": "the client comes with a token",
    "3": "the request to make servers is here",
    "4-5": "identity vouches for the token and its roles",
    "6-7": "quota is checked, the server and its operation are written",
    "8": "the scheduler is asked for a host",
    "9-10": "the scheduler filters and weighs its hosts",
    "11": "claim and host are recorded",
    "12": "the agent is called",
    "13-19": "the agent has all it needs to know of the server",
    "20-22": "the image is at hand",
    "23-25": "ports are made and bound",
    "26-28": "volumes are attached",
    "29": "the driver makes the guest",
    "30": "the server is ACTIVE",
}


def hop(number: str) -> str:
    """The words of a hop, for a log line: ``boot 8: the scheduler is asked for a host``. Raises KeyError."""
    return f"boot {number}: {HOPS[number]}"
