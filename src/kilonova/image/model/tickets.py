"""Download tickets: leave to fetch the data of one image for a while, for those who must not hold a token. Pure.

A ticket is ``IMAGE.END.SIGNATURE``: END in seconds since 1970, SIGNATURE an HMAC of both by a key that the image
service alone has. A host that is broken into has got hold of images that were sent to it anyway, and of nothing else.
"""

from __future__ import annotations

import hashlib
import hmac


def issue(key: bytes, image_id: str, end: int) -> str:
    """A ticket for one image, good until ``end`` (seconds since 1970)."""
    return f"{image_id}.{end}.{_signature(key, image_id, end)}"


def admits(key: bytes, ticket: str, image_id: str, now: float) -> bool:
    """Whether a ticket that somebody shows is one of ours, for this image, and has not ended."""
    named, _, rest = ticket.partition(".")
    end, _, signature = rest.partition(".")
    if named != image_id or not (end.isascii() and end.isdigit() and len(end) <= 12):
        return False
    genuine = hmac.compare_digest(_signature(key, image_id, int(end)).encode(), signature.encode())
    return genuine and now < int(end)


def _signature(key: bytes, image_id: str, end: int) -> str:
    return hmac.new(key, f"image-download/{image_id}/{end}".encode(), hashlib.sha256).hexdigest()
