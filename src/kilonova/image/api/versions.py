"""Version discovery. The minor versions are a list that clients read, not something they ask for.

2.14 and 2.16 tell of upstream's cache of remote stores and are left out, as upstream does where it has no cache.
"""

from __future__ import annotations

from typing import Any

from kilonova.image.service import ImageService
from kilonova.kernel.web import Request, Response, answer

NEWEST = "v2.15"
OLDER = tuple(f"v2.{minor}" for minor in (13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0))


def versions(url_prefix: str) -> list[dict[str, Any]]:
    """All versions, the newest first."""
    links = [{"rel": "self", "href": f"{url_prefix}/v2/"}]
    rows = [(NEWEST, "CURRENT"), *((older, "SUPPORTED") for older in OLDER)]
    return [{"id": name, "status": status, "links": links} for name, status in rows]


async def choose_version(request: Request[ImageService]) -> Response:
    """The versions, as the choice that the root is."""
    return answer({"versions": versions(request.url_prefix)}, 300)


async def list_versions(request: Request[ImageService]) -> Response:
    """The versions."""
    return answer({"versions": versions(request.url_prefix)})
