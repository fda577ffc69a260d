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


def _old_document(request: ComputeRequest) -> dict[str, Any]:
    root = request.service.settings.link_prefix or request.url_prefix
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{root}/v2/"}],
    }


async def list_versions(request: ComputeRequest) -> Response:
    """GET /; the oldest first, as clients of the first days expect"""
    return answer({"versions": [_old_document(request), _document(request)]})


def _described(document: dict[str, Any], number: str) -> Response:
    described = {
        "rel": "describedby",
        "type": "text/html",
        "href": "http://docs.openstack.org/",
    }
    document["links"].append(described)
    media = {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}
    return answer({"version": {**document, "media-types": [media]}})


async def show_version(request: ComputeRequest) -> Response:
    """GET /v2.1"""
    return _described(_document(request), "2.1")


async def show_old_version(request: ComputeRequest) -> Response:
    """GET /v2"""
    return _described(_old_document(request), "2")
