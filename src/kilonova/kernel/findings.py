"""What `kilonova doctor` finds: an ability of this host, whether it is there, and the exact remedy if not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One ability. ``needed``: without it the cloud does not start; otherwise it runs with less.

    ``detail`` says what was seen; ``remedy`` is a command or a sentence that an operator can follow.
    """

    ability: str
    present: bool
    detail: str = ""
    remedy: str = ""
    needed: bool = True
