"""Lists as identity answers them: filters with ``name__contains`` and the like, pages, links, ``truncated``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from kilonova.identity.service import IdentityService
from kilonova.identity.store.records import Filter
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Request, Response, answer

_HOW = {
    "": ("equals", False),
    "contains": ("contains", False),
    "icontains": ("contains", True),
    "startswith": ("startswith", False),
    "istartswith": ("startswith", True),
    "endswith": ("endswith", False),
    "iendswith": ("endswith", True),
}
_BOOLEANS = ("enabled", "is_domain")
Ask = Request[IdentityService]


def truth(text: str | None) -> bool:
    """A flag in a query: present without a value is true, ``0`` and ``false`` are not."""
    return text is not None and text.lower() not in ("0", "false", "no", "off")


def filters(request: Ask, *columns: str) -> list[Filter]:
    """The filters on ``columns`` that the query asks for. Unknown members are ignored, as upstream does."""
    found = []
    for key, values in request.query.items():
        column, _, suffix = key.partition("__")
        if column not in columns or suffix not in _HOW:
            continue
        how, any_case = _HOW[suffix]
        value: Any = values[-1]
        if column in _BOOLEANS:
            value = truth(value)
        found.append(Filter(column, value, how, any_case))
    return found


def window(request: Ask) -> tuple[int | None, str | None]:
    """How many rows to read and after which id: the caller's limit, cut to the configured one."""
    ceiling = request.service.settings.list_limit
    asked = request.q("limit")
    if asked is None:
        return ceiling, request.q("marker")
    if not asked.isdigit() or int(asked) < 1:
        raise BadRequest("limit must be a whole number above zero.")
    limit = min(int(asked), 100_000)
    return (limit if ceiling is None else min(limit, ceiling)), request.q("marker")


def url(request: Ask, path: str | None = None) -> str:
    """The public address of ``path`` (this request's own unless given)."""
    if path is not None:
        return f"{request.url_prefix}/v3{path}"
    query = f"?{request.query_string}" if request.query_string else ""
    return f"{request.url_prefix}{request.path}{query}"


def collection(
    request: Ask, word: str, items: Iterable[Mapping[str, Any]], *, more: bool = False, last: str | None = None
) -> Response:
    """``{word: [...], "links": {...}}``; with ``more`` the way to the next page, and ``truncated``."""
    listed = list(items)
    following = None
    if more and (last or listed):
        query = {name: values[-1] for name, values in request.query.items() if name != "marker"}
        query["marker"] = last or listed[-1]["id"]
        following = f"{request.url_prefix}{request.path}?{urlencode(query)}"
    body: dict[str, Any] = {word: listed, "links": {"next": following, "self": url(request), "previous": None}}
    if more and request.q("limit") is None:
        body["truncated"] = True
    return answer(body)


def split(body: Mapping[str, Any], *known: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members that have a place of their own, and the others (``extra``). ``id`` and ``links`` are neither."""
    own = {name: body[name] for name in known if name in body}
    extra = {n: v for n, v in body.items() if n not in known and n not in ("id", "links")}
    return own, extra


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with ``new`` over it; a None takes the member away (options, extra)."""
    return {n: v for n, v in {**old, **new}.items() if v is not None}
