"""Identifiers: UUIDs with and without dashes, and request ids.

Each request makes some, so their text is put together here at once, not through the class of UUIDs.
"""

from __future__ import annotations

import re
from os import urandom

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")
_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The digit that says by which rule a UUID was made keeps two random bits."""


def new_uuid() -> str:
    """A random UUID with dashes."""
    digits = new_hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_hex() -> str:
    """A random UUID as 32 hexadecimal digits (Keystone's form)."""
    digits = urandom(16).hex()
    return f"{digits[:12]}4{digits[13:16]}{_VARIANT[digits[16]]}{digits[17:]}"


def new_request_id() -> str:
    """``req-<uuid>``, the form that upstream's services share."""
    return f"req-{new_uuid()}"


def is_uuid(text: object) -> bool:
    """Whether ``text`` reads as a UUID, with or without dashes."""
    return isinstance(text, str) and _UUID.match(text) is not None


def is_request_id(text: str) -> bool:
    """Whether ``text`` has the form of a request id; anything else is not taken over from a caller."""
    return _REQUEST_ID.match(text) is not None
