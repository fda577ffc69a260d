"""Which content may stand behind which declared disk format.

A consumer will open the data as what the image declares, so content of another kind is an attack or a mistake
(CVE-2024-40767, CVE-2024-32498). What wraps a disk (ova, compressed ...) is no disk and is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable

# Read as raw bytes by every consumer: a partition table, a file system or ciphertext may be in them.
_RAW = frozenset({"raw", "gpt", "luks"})

ALLOWED: dict[str, frozenset[str]] = {
    "raw": _RAW,
    "ami": _RAW,
    "ari": _RAW,
    "aki": _RAW,
    "iso": frozenset({"iso", "gpt"}),  # an ISO that boots from USB sticks has a partition table too
    "qcow2": frozenset({"qcow2"}),
    "vhd": frozenset({"vhd"}),
    "vhdx": frozenset({"vhdx"}),
    "vmdk": frozenset({"vmdk"}),
    "vdi": frozenset({"vdi"}),
    "ploop": _RAW,  # nobody can recognise it; all that is known must not be in it
}

DISKS_ARE_IN = frozenset({"bare", "ami", "ari", "aki"})


def is_inspected(container_format: str) -> bool:
    """Whether the data is a disk, so that its format can be told."""
    return container_format in DISKS_ARE_IN


def mismatch(declared: str, found: Iterable[str]) -> str | None:
    """Why content in which the formats ``found`` were recognised may not be a ``declared`` disk, or None.

    ``found`` is empty for content that nothing recognised.
    """
    formats = set(found) or {"raw"}
    allowed = ALLOWED.get(declared, frozenset({declared}))
    if strange := formats - allowed:
        return f"the content is {' and '.join(sorted(strange))}, declared is {declared}"
    if declared == "iso" and "iso" not in formats:
        return "the content is not an ISO 9660 file system"
    return None
