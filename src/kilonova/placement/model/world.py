"""All providers at one moment, with the indexes that the search needs. Kept current by replacing changed providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kilonova.placement.model.provider import Provider

Tree = Mapping[str, Provider]


class World:
    """Providers by uuid, trees by root, members by aggregate, and the known names.

    Not frozen: one instance a process is brought up to date in place (:meth:`replace`), which never yields to the
    event loop, so a reader that does not await sees one moment. ``notes`` keeps what a caller derived from a provider;
    it is dropped when the provider is replaced.
    """

    def __init__(self) -> None:
        self.providers: dict[str, Provider] = {}
        self.trees: dict[str, dict[str, Provider]] = {}
        self.sharing: dict[str, Provider] = {}
        self.members: dict[str, set[str]] = {}
        self.traits: Mapping[str, datetime] = {}
        self.resource_classes: Mapping[str, datetime] = {}
        self.notes: dict[str, Any] = {}

    def replace(self, providers: Iterable[Provider]) -> None:
        """Put these providers in, each instead of the one with the same uuid."""
        for provider in providers:
            self._take_out(provider.uuid)
            self.providers[provider.uuid] = provider
            self.trees.setdefault(provider.root, {})[provider.uuid] = provider
            if provider.shares:
                self.sharing[provider.uuid] = provider
            for aggregate in provider.aggregates:
                self.members.setdefault(aggregate, set()).add(provider.uuid)

    def clear(self) -> None:
        """Forget all providers; the names stay."""
        for index in (self.providers, self.trees, self.sharing, self.members, self.notes):
            index.clear()

    def in_all(self, member_of: Iterable[frozenset[str]]) -> set[str] | None:
        """Providers in at least one aggregate of each set; None when nothing is asked."""
        found: set[str] | None = None
        for any_of in member_of:
            matching = self.in_any(any_of)
            found = matching if found is None else found & matching
        return found

    def in_any(self, aggregates: Iterable[str]) -> set[str]:
        """Providers in at least one of these aggregates."""
        return {uuid for aggregate in aggregates for uuid in self.members.get(aggregate, ())}

    def _take_out(self, uuid: str) -> None:
        old = self.providers.pop(uuid, None)
        if old is None:
            return
        self.notes.pop(uuid, None)
        self.sharing.pop(uuid, None)
        tree = self.trees[old.root]
        del tree[uuid]
        if not tree:
            del self.trees[old.root]
        for aggregate in old.aggregates:
            members = self.members[aggregate]
            members.discard(uuid)
            if not members:
                del self.members[aggregate]
