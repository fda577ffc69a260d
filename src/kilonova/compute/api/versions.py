"""The documents by which clients find out what is spoken here."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.microversions import MAX, MIN
from kilonova.kernel.web import Response, answer

_UPDATED = "2013-07-23T11:33:21Z"


def _document(request: ComputeRequest) -> dict[str, Any]:
    root = request.service.settings.link_prefix or request.url_prefix
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(MAX),
        "min_version": str(MIN),
        "updated": _UPDATED,
        "links": [{"rel": "self", "href": f"{root}/v2.1/"}],
    }


async def list_versions(request: ComputeRequest) -> Response:
    """GET /"""
    return answer({"versions": [_document(request)]})


async def show_version(request: ComputeRequest) -> Response:
    """GET /v2.1"""
    described = {
        "rel": "describedby",
        "type": "text/html",
        "href": "http://docs.openstack.org/",
    }
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    document = _document(request)
    document["links"].append(described)
    return answer({"version": {**document, "media-types": [media]}})
