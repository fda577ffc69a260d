"""Looks at data while it passes: hashes, format, virtual size, and whether it could harm who opens it.

The only door to oslo.utils' format inspectors. Blocking (hashes cost time): fed in a thread, a piece at a time.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from oslo_utils.imageutils import format_inspector

from kilonova.image.model.formats import ALLOWED, is_inspected, mismatch

LOG = logging.getLogger(__name__)
# The inspectors log each image that is not their format; who uploads is told, the operator need not be.
logging.getLogger(format_inspector.__name__).setLevel(logging.CRITICAL)


class Unfit(Exception):
    """The data may not become the data of this image; the message says why."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in all of the data. ``virtual_size_bytes`` None: it is no disk, or cannot be told."""

    size_bytes: int
    checksum: str
    hash_value: str
    virtual_size_bytes: int | None


class Inspector:
    """Inspects one image's data: ``feed`` all pieces, then ``finish``."""

    def __init__(self, disk_format: str, container_format: str):
        self._declared = disk_format
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._size = 0
        self._looking: list[format_inspector.FileInspector] = []
        if is_inspected(container_format):
            kinds = format_inspector.ALL_FORMATS
            self._looking = [kind() for name, kind in kinds.items() if name != "raw"]
            self._is_disk = True
        else:
            self._is_disk = False

    def feed(self, piece: bytes) -> None:
        """Look at the next piece. Raises Unfit as soon as the data cannot be what it should."""
        self._md5.update(piece)
        self._sha512.update(piece)
        self._size += len(piece)
        for inspector in tuple(self._looking):
            name = inspector.NAME
            try:
                inspector.eat_chunk(piece)
            except Exception as error:  # noqa: BLE001 - parsers of hostile bytes may raise anything
                if name == self._declared:
                    raise Unfit(f"the content is not a valid {self._declared} image ({error})") from None
                self._looking.remove(inspector)
                continue
            if not inspector.complete:
                continue
            if _matches(inspector):
                if name not in ALLOWED.get(self._declared, (self._declared,)):
                    raise Unfit(f"the content is {name}, declared is {self._declared}")
            elif name == self._declared:
                raise Unfit(f"the content is not {self._declared}")

    def finish(self) -> Findings:
        """The verdict on the whole data. Raises Unfit."""
        return Findings(self._size, self._md5.hexdigest(), self._sha512.hexdigest(), self._virtual_size())

    def _virtual_size(self) -> int | None:
        if not self._is_disk:
            return None
        for inspector in self._looking:
            inspector.finish()
        found = {i.NAME: i for i in self._looking if _matches(i)}
        if why := mismatch(self._declared, found):
            raise Unfit(why)
        for inspector in found.values():
            if inspector.NAME in ("gpt", "luks"):
                continue  # opaque content of a raw disk: nobody follows what it says
            try:
                inspector.safety_check()
            except format_inspector.SafetyCheckFailed as failed:
                reasons = "; ".join(f"{name}: {why}" for name, why in sorted(failed.failures.items()))
                raise Unfit(f"the {inspector.NAME} image is unsafe ({reasons})") from None
            except format_inspector.ImageFormatError as error:
                raise Unfit(f"the {inspector.NAME} image is incomplete ({error})") from None
        inner = found.get(self._declared)
        if inner is None:
            return self._size
        try:
            return int(inner.virtual_size) or self._size
        except Exception as error:  # noqa: BLE001 - as above
            raise Unfit(f"the size of the {self._declared} image cannot be read ({error})") from None


def _matches(inspector: format_inspector.FileInspector) -> bool:
    try:
        return bool(inspector.format_match)
    except Exception:  # noqa: BLE001 - as above
        return False
