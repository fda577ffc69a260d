"""Routes as rows, and the tree that finds the row for a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kilonova.kernel.microversion import Version

if TYPE_CHECKING:
    from kilonova.kernel.web.message import Request, Response, StreamResponse

Handler = Callable[["Request[Any]"], Awaitable["Response | StreamResponse"]]
Schema = Mapping[str, Any]
Versioned = tuple[tuple[Version | None, Version | None, Schema], ...]
Bodies = Schema | Versioned | None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a service's API.

    ``path``: relative to the service's mount, parameters in braces. ``policy``: a rule of the service's policies;
    None only with ``public``. Without ``checks_target`` the rule is decided before the handler, against the caller's
    own project and user; with it, the handler must call ``request.allow`` for the object it works on.

    ``body`` and ``query``: JSON Schema 2020-12, or rows (since, until, schema) by microversion. A query schema lists
    ``properties`` by name, each for one value (a string); repeated values are each checked.

    ``action``: for ``POST .../action`` operations the single key of the body that selects this row; the body schema
    is that of the whole body.

    ``since``/``until``: microversions (inclusive) that have the operation; others answer 404.
    ``raw_body``: the handler reads ``request.stream()``; nothing is parsed. ``content_types`` a body may have.
    """

    method: str
    path: str
    handler: Handler
    policy: str | None
    summary: str = ""
    public: bool = False
    body: Bodies = None
    query: Bodies = None
    since: Version | None = None
    until: Version | None = None
    status: int = 200
    answers: Any = None
    checks_target: bool = False
    raw_body: bool = False
    content_types: tuple[str, ...] = ("application/json",)
    action: str | None = None
    body_required: bool = True

    def speaks(self, version: Version) -> bool:
        """Whether the operation exists in ``version``."""
        return (self.since is None or version >= self.since) and (self.until is None or version <= self.until)


@dataclass(slots=True)
class Leaf:
    """All rows of one path, by method; and the names of the path's parameters."""

    names: tuple[str, ...]
    methods: dict[str, list[Route]] = field(default_factory=dict)


@dataclass(slots=True)
class _Node:
    words: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    leaf: Leaf | None = None
    rest: Leaf | None = None


class Tree:
    """Finds the rows for a path by its segments: fixed words first, then parameters. ``{name:path}`` takes the rest.

    With ``strict``, a slash at the end counts: ``/things/`` is not ``/things`` (nor a thing without a name).
    """

    def __init__(self, routes: Iterable[Route], *, strict: bool = False):
        self._root = _Node()
        self._segments = _strict_segments if strict else _segments
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        rest = False
        for segment in self._segments(route.path):
            if segment.startswith("{") and segment.endswith(":path}"):
                names.append(segment[1:-6])
                rest = True
            elif segment.startswith("{"):
                names.append(segment[1:-1])
                if node.any is None:
                    node.any = _Node()
                node = node.any
            else:
                node = node.words.setdefault(segment, _Node())
        leaf = node.rest if rest else node.leaf
        if leaf is None:
            leaf = Leaf(tuple(names))
            if rest:
                node.rest = leaf
            else:
                node.leaf = leaf
        elif leaf.names != tuple(names):
            raise ValueError(f"{route.path}: parameters {names} differ from {leaf.names} of another row")
        leaf.methods.setdefault(route.method, []).append(route)

    def find(self, path: str) -> tuple[Leaf, dict[str, str]] | None:
        """The rows of ``path`` and the values of its parameters, or None."""
        found = _walk(self._root, self._segments(path), 0, [])
        if found is None:
            return None
        leaf, values = found
        return leaf, dict(zip(leaf.names, values, strict=True))


def _segments(path: str) -> list[str]:
    path = path.strip("/")
    return path.split("/") if path else []


def _strict_segments(path: str) -> list[str]:
    path = path.removeprefix("/")
    return path.split("/") if path else []


def _walk(node: _Node, segments: list[str], at: int, values: list[str]) -> tuple[Leaf, list[str]] | None:
    if at == len(segments):
        return None if node.leaf is None else (node.leaf, values)
    word = node.words.get(segments[at])
    if word is not None:
        found = _walk(word, segments, at + 1, values)
        if found is not None:
            return found
    if node.any is not None and segments[at]:
        found = _walk(node.any, segments, at + 1, [*values, segments[at]])
        if found is not None:
            return found
    return None if node.rest is None else (node.rest, [*values, "/".join(segments[at:])])
