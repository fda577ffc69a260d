"""How answers are dressed: cache headers from 1.15 on, paths in links, Location."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from kilonova.kernel.web import Response, answer, no_content
from kilonova.placement import microversions as mv
from kilonova.placement.parts import Asked

Headers = Iterable[tuple[str, str]]


def dated(request: Asked, content: Any, moment: datetime | None, status: int = 200, headers: Headers = ()) -> Response:
    """JSON with the time of the last change (``None``: now) in the headers, for those who know these headers."""
    return answer(content, status, [*headers, *cache_headers(request, moment)])


def dated_empty(request: Asked, moment: datetime | None, status: int = 204, headers: Headers = ()) -> Response:
    """No body, but the headers of :func:`dated`."""
    response = no_content([*headers, *cache_headers(request, moment)])
    response.status = status
    return response


def cache_headers(request: Asked, moment: datetime | None) -> list[tuple[str, str]]:
    """Last-Modified and Cache-Control, or nothing before 1.15."""
    if not mv.answers_say_last_modified(request.version):
        return []
    shown = format_datetime(moment or request.service.clock.now(), usegmt=True)
    return [("last-modified", shown), ("cache-control", "no-cache")]


def latest(moments: Iterable[datetime]) -> datetime | None:
    """The latest moment; None of none."""
    return max(moments, default=None)


def path(request: Asked, *segments: str) -> str:
    """The path of a resource, below the prefix under which the service is mounted. Links hold paths, not URLs."""
    mount = request.url_prefix.split("//", 1)[-1].partition("/")[2]
    return "/".join(("", mount, *segments)) if mount else "/".join(("", *segments))


def location(request: Asked, *segments: str) -> tuple[str, str]:
    """The Location header for a resource."""
    return "location", "/".join((request.url_prefix, *segments))
