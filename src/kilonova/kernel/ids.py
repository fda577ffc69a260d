"""Identifiers: UUIDs with and without dashes, and request ids."""

from __future__ import annotations

import re
import uuid

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")
_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def new_uuid() -> str:
    """A random UUID with dashes."""
    return str(uuid.uuid4())


def new_hex() -> str:
    """A random UUID as 32 hexadecimal digits (Keystone's form)."""
    return uuid.uuid4().hex


def new_request_id() -> str:
    """``req-<uuid>``, the form that upstream's services share."""
    return f"req-{uuid.uuid4()}"


def is_uuid(text: object) -> bool:
    """Whether ``text`` reads as a UUID, with or without dashes."""
    return isinstance(text, str) and _UUID.match(text) is not None


def is_request_id(text: str) -> bool:
    """Whether ``text`` has the form of a request id; anything else is not taken over from a caller."""
    return _REQUEST_ID.match(text) is not None
