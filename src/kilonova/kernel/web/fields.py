"""Keys of answers as rows: name on the wire, how to read it, which microversions have it, who may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kilonova.kernel.microversion import NO_VERSION, Version

_ALL = Version(9999, 0)


@dataclass(frozen=True, slots=True)
class Field:
    """One key. ``read`` takes the source object; ``policy`` names a rule that decides whether the key is shown.

    ``schema`` is the key's JSON Schema for the generated API description.
    """

    name: str
    read: Callable[[Any], Any]
    since: Version | None = None
    until: Version | None = None
    policy: str | None = None
    schema: Any = None


class FieldTable:
    """The keys of one kind of object; compiled once a microversion and set of hidden policies."""

    def __init__(self, *fields: Field):
        self.fields = fields
        self._compiled: dict[tuple[Version, frozenset[str]], tuple[tuple[str, Callable[[Any], Any]], ...]] = {}
        self.policies = frozenset(f.policy for f in fields if f.policy)

    def readers(
        self, version: Version = NO_VERSION, hidden: frozenset[str] = frozenset()
    ) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
        """Pairs of name and reader for ``version``, without the keys whose policy is in ``hidden``."""
        key = (version, hidden)
        found = self._compiled.get(key)
        if found is None:
            at = _ALL if version == NO_VERSION else version
            found = self._compiled[key] = tuple(
                (f.name, f.read)
                for f in self.fields
                if (f.since is None or at >= f.since)
                and (f.until is None or version == NO_VERSION or at <= f.until)
                and f.policy not in hidden
            )
        return found

    def render(
        self, source: Any, version: Version = NO_VERSION, hidden: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The object as the dict that goes on the wire."""
        return {name: read(source) for name, read in self.readers(version, hidden)}

    def render_all(
        self, sources: Iterable[Any], version: Version = NO_VERSION, hidden: frozenset[str] = frozenset()
    ) -> list[dict[str, Any]]:
        """All objects of a list."""
        readers = self.readers(version, hidden)
        return [{name: read(source) for name, read in readers} for source in sources]

    def hidden_from(self, may: Callable[[str], bool]) -> frozenset[str]:
        """The policies of this table that the caller does not pass."""
        return frozenset(p for p in self.policies if not may(p))
