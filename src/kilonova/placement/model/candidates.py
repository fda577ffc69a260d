"""The search for allocation candidates: a world and an ask in, candidates out, one after the other.

A candidate is anchored at one tree: it takes from the providers of that tree and from sharing providers that have an
aggregate in common with it. Candidates are made lazily, so that a caller who wants one pays for one.

The rules (those of the Placement API):

- The group without suffix may be spread over providers. Together they have every required trait, none of them has a
  forbidden one, and each is a member of the aggregates itself or through the root of its tree.
- A group with a suffix is served by one provider, which meets all its conditions itself.
- Amounts that fall on the same inventory are added up and must fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice, product

from kilonova.placement.model.provider import Provider
from kilonova.placement.model.world import Tree, World

Uses = Mapping[str, Mapping[str, int]]
"""Provider uuid -> resource class -> amount."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of the ask. Each set in ``required`` and ``member_of`` is met by any one of its elements."""

    suffix: str = ""
    resources: Mapping[str, int] = field(default_factory=dict)
    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()
    member_of: tuple[frozenset[str], ...] = ()
    not_member_of: frozenset[str] = frozenset()
    in_tree: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is searched for. ``same_subtrees``: sets of suffixes whose providers hang below one of themselves.

    ``nested``: False for clients that do not know trees; they get no candidate with two providers of one tree.
    """

    groups: tuple[Group, ...]
    limit: int | None = None
    isolate: bool = False
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtrees: tuple[frozenset[str], ...] = ()
    nested: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """What would be taken, and which providers serve which group."""

    uses: Uses
    mappings: Mapping[str, list[str]]


def find(
    world: World,
    ask: Ask,
    *,
    arrange: Callable[[list[str]], list[str]] | None = None,
    breadth_first: bool = False,
    most: int | None = None,
) -> list[Candidate]:
    """At most ``ask.limit`` candidates. ``arrange`` puts the roots in the order they are tried (default: as known).

    ``breadth_first`` takes candidates from all trees in turn instead of one tree after the other; ``most`` bounds how
    many are made whatever the limit.
    """
    search = _Search.prepare(world, ask)
    if search is None:
        return []
    roots = search.roots()
    if arrange is not None:
        roots = arrange(roots)
    per_root = (search.at(root) for root in roots)
    found = _in_turn(per_root) if breadth_first else chain.from_iterable(per_root)
    if world.sharing:
        found = _without_repeats(found)
    bounds = [bound for bound in (ask.limit, most) if bound is not None]
    return list(islice(found, min(bounds))) if bounds else list(found)


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to serve one group."""

    suffix: str
    takes: tuple[tuple[str, str, int], ...]
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _GroupFilter:
    """A group with its aggregate and tree conditions resolved against the world."""

    group: Group
    members: set[str] | None
    not_members: set[str]
    root: str | None

    @classmethod
    def prepare(cls, world: World, group: Group) -> _GroupFilter | None:
        """None when no provider can meet the group."""
        members = world.in_all(group.member_of)
        root = None
        if group.in_tree is not None:
            inside = world.providers.get(group.in_tree)
            if inside is None:
                return None
            root = inside.root
        if members is not None and not members:
            return None
        return cls(group, members, world.in_any(group.not_member_of), root)

    def alone(self, provider: Provider) -> bool:
        """Whether the provider meets the whole group by itself."""
        group, inventories = self.group, provider.inventories
        for resource_class, amount in group.resources.items():
            inventory = inventories.get(resource_class)
            if inventory is None or not inventory.gives(amount):
                return False
        if self.root is not None and provider.root != self.root:
            return False
        if self.members is not None and provider.uuid not in self.members:
            return False
        if self.not_members and provider.uuid in self.not_members:
            return False
        return has_traits(provider.traits, group)

    def options_of_one(self, providers: Iterable[Provider]) -> list[_Option]:
        group = self.group
        return [
            _Option(group.suffix, tuple((p.uuid, rc, n) for rc, n in group.resources.items()), (p.uuid,))
            for p in providers
            if self.alone(p)
        ]

    def options_spread(self, root: str, tree: Tree, shared: Iterable[Provider]) -> list[_Option]:
        """Every way to spread the group without suffix over the tree and the sharing providers."""
        if (self.root is not None and self.root != root) or root in self.not_members:
            return []
        able = [p for p in tree.values() if self._spreads_to(p, root)]
        if self.root is None:
            able += [s for s in shared if self._spreads_to(s, s.uuid)]
        choices = []
        for resource_class, amount in self.group.resources.items():
            giving = [p for p in able if (i := p.inventories.get(resource_class)) and i.gives(amount)]
            if not giving:
                return []
            choices.append(giving)
        return [self._spread(picked) for picked in product(*choices) if self._together(picked)]

    def _spreads_to(self, provider: Provider, root: str) -> bool:
        if provider.uuid in self.not_members:
            return False
        return self.members is None or provider.uuid in self.members or root in self.members

    def _together(self, picked: tuple[Provider, ...]) -> bool:
        group = self.group
        if not group.required and not group.forbidden:
            return True
        return has_traits(frozenset().union(*(p.traits for p in picked)), group)

    def _spread(self, picked: tuple[Provider, ...]) -> _Option:
        takes = tuple((p.uuid, rc, n) for p, (rc, n) in zip(picked, self.group.resources.items(), strict=True))
        return _Option(self.group.suffix, takes, tuple(dict.fromkeys(p.uuid for p in picked)))


def has_traits(traits: frozenset[str], group: Group) -> bool:
    """Whether these traits contain one of each required set and no forbidden one."""
    if group.forbidden and not group.forbidden.isdisjoint(traits):
        return False
    return not group.required or not any(any_of.isdisjoint(traits) for any_of in group.required)


@dataclass(frozen=True, slots=True)
class _Search:
    world: World
    ask: Ask
    filters: tuple[_GroupFilter, ...]
    shared: Mapping[str, dict[str, Provider]]

    @classmethod
    def prepare(cls, world: World, ask: Ask) -> _Search | None:
        filters = []
        for group in ask.groups:
            prepared = _GroupFilter.prepare(world, group)
            if prepared is None:
                return None
            filters.append(prepared)
        return cls(world, ask, tuple(filters), _shared_by_root(world))

    def roots(self) -> list[str]:
        """The roots of the trees that may anchor a candidate."""
        for narrow in self.filters:
            if narrow.root is not None and (not narrow.group.suffix or not self.world.sharing):
                return [narrow.root]
        return list(self.world.trees)

    def at(self, root: str) -> Iterator[Candidate]:
        """The candidates anchored at one tree."""
        ask, tree = self.ask, self.world.trees[root]
        if ask.root_required or ask.root_forbidden:
            traits = self.world.providers[root].traits
            if not ask.root_required <= traits or not ask.root_forbidden.isdisjoint(traits):
                return
        shared = self.shared.get(root)
        if len(tree) == 1 and not shared:
            yield from self._at_lone(self.world.providers[root])
            return
        nearby = [s for uuid, s in shared.items() if uuid not in tree] if shared else []
        options = []
        for narrow in self.filters:
            if narrow.group.suffix:
                found = narrow.options_of_one(chain(tree.values(), nearby))
            else:
                found = narrow.options_spread(root, tree, nearby)
            if not found:
                return
            options.append(found)
        for picked in self._combine(options, (), frozenset()):
            candidate = self._join(picked)
            if candidate is not None:
                yield candidate

    def _at_lone(self, provider: Provider) -> Iterator[Candidate]:
        # The common case, kept short: a tree of one provider and nobody who shares with it.
        ask = self.ask
        for narrow in self.filters:
            if not narrow.alone(provider):
                return
        if len(self.filters) == 1:
            group = self.filters[0].group
            yield Candidate({provider.uuid: group.resources}, {group.suffix: [provider.uuid]})
            return
        if ask.isolate and sum(1 for narrow in self.filters if narrow.group.suffix) > 1:
            return
        takes = [(provider.uuid, rc, n) for narrow in self.filters for rc, n in narrow.group.resources.items()]
        uses = self._add_up(takes)
        if uses is not None:
            yield Candidate(uses, {narrow.group.suffix: [provider.uuid] for narrow in self.filters})

    def _combine(
        self, options: list[list[_Option]], picked: tuple[_Option, ...], taken: frozenset[str]
    ) -> Iterator[tuple[_Option, ...]]:
        if len(picked) == len(options):
            yield picked
            return
        for option in options[len(picked)]:
            if self.ask.isolate and option.suffix:
                if option.providers[0] in taken:
                    continue
                yield from self._combine(options, (*picked, option), taken | {option.providers[0]})
            else:
                yield from self._combine(options, (*picked, option), taken)

    def _join(self, picked: tuple[_Option, ...]) -> Candidate | None:
        mappings = {option.suffix: list(option.providers) for option in picked}
        for suffixes in self.ask.same_subtrees:
            if not self._in_one_subtree({uuid for suffix in suffixes for uuid in mappings.get(suffix, ())}):
                return None
        uses = self._add_up(take for option in picked for take in option.takes)
        if uses is None:
            return None
        if not self.ask.nested and len({self.world.providers[uuid].root for uuid in uses}) < len(uses):
            return None
        return Candidate(uses, mappings)

    def _add_up(self, takes: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, int]] | None:
        """The amounts by provider and class; None when together they do not fit."""
        uses: dict[str, dict[str, int]] = {}
        for uuid, resource_class, amount in takes:
            of_provider = uses.setdefault(uuid, {})
            of_provider[resource_class] = of_provider.get(resource_class, 0) + amount
        for uuid, amounts in uses.items():
            inventories = self.world.providers[uuid].inventories
            for resource_class, amount in amounts.items():
                inventory = inventories[resource_class]
                if amount > inventory.free or amount > inventory.max_unit:
                    return None
        return uses

    def _in_one_subtree(self, uuids: set[str]) -> bool:
        """Whether one of the providers is the ancestor of (or is) all the others."""
        if len(uuids) < 2:
            return True
        common = set.intersection(*(set(self._line(uuid)) for uuid in uuids))
        return not common.isdisjoint(uuids)

    def _line(self, uuid: str | None) -> Iterator[str]:
        while uuid is not None:
            yield uuid
            uuid = self.world.providers[uuid].parent


def _shared_by_root(world: World) -> dict[str, dict[str, Provider]]:
    """For each root, the sharing providers that its tree can use."""
    found: dict[str, dict[str, Provider]] = {}
    for uuid, sharing in world.sharing.items():
        for aggregate in sharing.aggregates:
            for member in world.members.get(aggregate, ()):
                found.setdefault(world.providers[member].root, {})[uuid] = sharing
    return found


def _in_turn(sources: Iterable[Iterator[Candidate]]) -> Iterator[Candidate]:
    waiting = list(sources)
    while waiting:
        still = []
        for source in waiting:
            candidate = next(source, None)
            if candidate is not None:
                yield candidate
                still.append(source)
        waiting = still


def _without_repeats(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    # A candidate that takes from sharing providers alone is found once for each tree they share with.
    seen: set[tuple[object, object]] = set()
    for candidate in candidates:
        uses = frozenset((u, rc, n) for u, amounts in candidate.uses.items() for rc, n in amounts.items())
        mappings = frozenset((suffix, frozenset(uuids)) for suffix, uuids in candidate.mappings.items())
        if (uses, mappings) not in seen:
            seen.add((uses, mappings))
            yield candidate
