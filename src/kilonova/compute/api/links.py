"""Links in answers, and the pages of lists: limit, marker, next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import BadValue


def bases(request: ComputeRequest) -> tuple[str, str]:
    """What `self` and `bookmark` links begin with. The project is in them when it was in the request's URL."""
    root = request.service.settings.link_prefix or request.url_prefix
    project = request.params.get("project_id")
    tail = f"/{project}" if project else ""
    return f"{root}/v2.1{tail}", f"{root}{tail}"


def links(base: tuple[str, str], collection: str, key: object) -> list[dict[str, str]]:
    """The two links of an object."""
    return [
        {"rel": "self", "href": f"{base[0]}/{collection}/{key}"},
        {"rel": "bookmark", "href": f"{base[1]}/{collection}/{key}"},
    ]


def limit_of(request: ComputeRequest) -> int:
    """The longest page that may be answered: the caller's `limit`, cut to ours. Raises BadValue."""
    most = request.service.settings.max_limit
    asked = request.q("limit")
    if asked is None or asked == "":
        return most
    if not asked.isdecimal():
        raise BadValue(field="limit", value=asked, why="It must be a whole number, zero or more.")
    return min(int(asked), most)


def next_link(
    request: ComputeRequest, collection: str, page: Sequence[Any], limit: int, marker: Any
) -> list[dict[str, str]]:
    """The link to the next page when this one is full; else empty. `marker` names the last object."""
    if not page or len(page) < limit:
        return []
    query = [(k, v) for k, values in request.query.items() if k != "marker" for v in values]
    return [{"rel": "next", "href": f"{bases(request)[0]}/{collection}?{urlencode([*query, ('marker', marker)])}"}]
