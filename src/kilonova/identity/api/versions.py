"""Version documents: what clients read to find their way."""

from __future__ import annotations

from typing import Any

from kilonova.identity.api.listing import Ask
from kilonova.kernel.web import Response, answer

VERSION = "v3.14"
UPDATED = "2020-04-07T00:00:00Z"


def _document(request: Ask) -> dict[str, Any]:
    return {
        "id": VERSION,
        "status": "stable",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{request.url_prefix}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


async def list_versions(request: Ask) -> Response:
    """300: there is more than one way on in principle, as upstream answers."""
    headers = [("Vary", "X-Auth-Token"), ("Location", f"{request.url_prefix}/v3/")]
    return answer({"versions": {"values": [_document(request)]}}, 300, headers)


async def show_version(request: Ask) -> Response:
    """The one version."""
    return answer({"version": _document(request)}, headers=[("Vary", "X-Auth-Token")])
