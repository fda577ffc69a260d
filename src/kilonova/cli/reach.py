"""Reaching a floating IP from this machine.

On one machine the outside world of the cloud is a network namespace of its own, so that nothing of the machine's own
network changes: SSH is started inside it. With the provider network joined to the machine (``outside_netns`` None)
SSH goes straight.
"""

from __future__ import annotations

from pathlib import Path


def ssh_command(address: str, key: Path, outside_netns: str | None, command: list[str]) -> list[str]:
    """The command line that runs ``command`` (a shell, when empty) in the guest at ``address``."""
    inside = ["nsenter", f"--net=/run/netns/{outside_netns}"] if outside_netns else []
    return [
        *inside,
        "ssh",
        "-i",
        str(key),
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "ConnectTimeout=3",
        "-o",
        "BatchMode=yes",
        f"kilo@{address}",
        *command,
    ]
