"""Parsing of the query strings that have a little language of their own: resources, required, member_of, groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kilonova.kernel.errors import BadRequest
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.microversion import Version
from kilonova.placement import microversions as mv
from kilonova.placement.errors import (
    BadQuery,
    BadQueryValue,
    MissingQueryValue,
    RepeatedQueryKey,
    UnknownClass,
    UnknownTraits,
)
from kilonova.placement.model.candidates import Ask, Group
from kilonova.placement.model.world import World

Query = Mapping[str, Sequence[str]]

_NUMBERED = re.compile(r"(resources|required|member_of|in_tree)([1-9][0-9]*)?\Z")
_WORDED = re.compile(r"(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{1,64})?\Z")
_WHOLE = re.compile(r"[+-]?\d{1,40}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Traits:
    """One of each set in ``required``, none of ``forbidden``."""

    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def names(self) -> set[str]:
        """All names that occur."""
        return {*self.forbidden, *(name for any_of in self.required for name in any_of)}


def resources(text: str) -> dict[str, int]:
    """``VCPU:2,MEMORY_MB:1024`` as amounts by class. Raises BadRequest."""
    if not text.strip():
        raise BadRequest("Badly formed resources parameter: expected CLASS:AMOUNT,CLASS:AMOUNT. Got: empty string.")
    found = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or ":" in amount:
            raise BadRequest(f"Badly formed resources parameter: expected CLASS:AMOUNT. Got: {part[:300]}.")
        if not _WHOLE.match(amount.strip()):
            raise BadRequest(f"Requested resource {name[:300]} needs a positive whole amount. Got: {amount[:300]}.")
        if int(amount) < 1:
            raise BadRequest(f"Requested resource {name[:300]} requires an amount >= 1. Got: {int(amount)}.")
        found[name] = int(amount)
    return found


def traits(values: Sequence[str], version: Version, key: str = "required") -> Traits:
    """Values of ``required``. Until 1.38 the last one counts; later all do, and ``in:A,B`` asks for any one of them.

    Raises BadQuery, BadRequest when one trait is both required and forbidden.
    """
    if not mv.any_trait_may_do(version):
        values = values[-1:]
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        if mv.any_trait_may_do(version) and value.startswith("in:"):
            required.append(frozenset(_trait_names(value[3:], value, forbidding=False)))
            continue
        names = _trait_names(value, value, forbidding=mv.traits_can_be_forbidden(version))
        required += [frozenset((name,)) for name in names if not name.startswith("!")]
        forbidden |= {name[1:] for name in names if name.startswith("!")}
    clash = sorted(name for any_of in required if any_of <= forbidden for name in any_of)
    if clash:
        raise BadRequest(
            f"Conflicting required and forbidden traits found in the following traits keys: {key}: ({', '.join(clash)})"
        )
    return Traits(tuple(dict.fromkeys(required)), frozenset(forbidden))


def _trait_names(text: str, shown: str, *, forbidding: bool) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if any(not name.lstrip("!") or (name.startswith("!") and not forbidding) for name in names):
        form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if forbidding else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
        raise BadQuery(why=f"Expected 'required' parameter value of the form: {form}. Got: {shown[:300]}")
    return list(dict.fromkeys(names))


def member_of(
    values: Sequence[str], version: Version, key: str = "member_of"
) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Values of ``member_of``: sets of which each must have a member, and the aggregates to keep out of.

    Raises BadRequest.
    """
    if len(values) > 1 and not mv.member_of_may_repeat(version):
        raise BadRequest(f"Multiple {key} parameters are not supported in this microversion.")
    wanted: list[frozenset[str]] = []
    unwanted: set[str] = set()
    for value in values:
        rest, forbidden = value, False
        if value.startswith("!") and mv.aggregates_can_be_forbidden(version):
            rest, forbidden = value[1:], True
        elif value.startswith("!"):
            raise BadRequest(f"Forbidden {key} parameters are not supported in this microversion.")
        if rest.startswith("in:"):
            uuids = rest[3:].split(",")
        elif "," in rest:
            raise BadRequest(f"Multiple values for '{key}' must be prefixed with the 'in:' keyword. Got: {value[:300]}")
        else:
            uuids = [rest]
        for uuid in uuids:
            if not is_uuid(uuid):
                raise BadQuery(why=f"Expected '{key}' parameter to contain valid UUID(s). Got: {uuid[:300]}")
        if forbidden:
            unwanted.update(uuids)
        else:
            wanted.append(frozenset(uuids))
    return tuple(wanted), frozenset(unwanted)


def ask(query: Query, version: Version) -> Ask:
    """What GET /allocation_candidates asks for. Raises BadRequest and its children."""
    groups = _groups(query, version)
    # Of these keys the first value counts, of all others the last: upstream's habit.
    limit, policy = query.get("limit"), query.get("group_policy")
    subtrees = _same_subtrees(query.get("same_subtree", ()), groups)
    _refuse_orphans(groups, version, {suffix for subtree in subtrees for suffix in subtree})
    if not policy and sum(1 for suffix in groups if suffix) > 1:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    root = _root_required(query.get("root_required", ()))
    return Ask(
        groups=tuple(groups.values()),
        limit=int(limit[0]) if limit else None,
        isolate=bool(policy and policy[0] == "isolate"),
        root_required=frozenset(name for any_of in root.required for name in any_of),
        root_forbidden=root.forbidden,
        same_subtrees=subtrees,
        nested=mv.candidates_are_nested(version),
    )


def know_names(world: World, ask: Ask) -> None:
    """Raise UnknownClass or UnknownTraits unless all names of the ask exist."""
    know_classes(world, {rc for group in ask.groups for rc in group.resources})
    names = {*ask.root_required, *ask.root_forbidden}
    for group in ask.groups:
        names |= Traits(group.required, group.forbidden).names()
    know_traits(world, names)


def know_classes(world: World, names: set[str]) -> None:
    """Raise UnknownClass unless all these classes exist."""
    unknown = names.difference(world.resource_classes)
    if unknown:
        raise UnknownClass(names=", ".join(sorted(unknown))[:1000])


def know_traits(world: World, names: set[str]) -> None:
    """Raise UnknownTraits unless all these traits exist."""
    unknown = names.difference(world.traits)
    if unknown:
        raise UnknownTraits(names=", ".join(sorted(unknown))[:1000])


def _groups(query: Query, version: Version) -> dict[str, Group]:
    pattern = _WORDED if mv.suffixes_are_words(version) else _NUMBERED
    keys: dict[str, dict[str, Sequence[str]]] = {}
    for key, values in query.items():
        found = pattern.match(key)
        if found is not None:
            keys.setdefault(found[2] or "", {})[found[1]] = values
    return {suffix: _group(suffix, parts, version) for suffix, parts in keys.items()}


def _group(suffix: str, parts: Mapping[str, Sequence[str]], version: Version) -> Group:
    wanted = traits(parts["required"], version, f"required{suffix}") if "required" in parts else Traits()
    members, others = member_of(parts.get("member_of", ()), version, f"member_of{suffix}")
    in_tree = parts["in_tree"][-1] if "in_tree" in parts else None
    if in_tree is not None and not is_uuid(in_tree):
        raise BadQuery(why=f"Expected 'in_tree{suffix}' parameter to be a format of uuid. Got: {in_tree[:300]}")
    amounts = resources(parts["resources"][-1]) if "resources" in parts else {}
    return Group(suffix, amounts, wanted.required, wanted.forbidden, members, others, in_tree)


def _refuse_orphans(groups: Mapping[str, Group], version: Version, in_subtrees: set[str]) -> None:
    lacking = [group for group in groups.values() if not group.resources]
    if not groups:
        raise BadRequest("At least one request group (`resources` or `resources{N}`) is required.")
    if mv.groups_may_lack_resources(version):
        if len(lacking) == len(groups):
            raise MissingQueryValue(why="There must be at least one resources or resources[$S] parameter.")
        stray = [group.suffix for group in lacking if group.suffix and group.suffix not in in_subtrees]
        if stray:
            raise BadQueryValue(
                why="Resourceless suffixed group request should be specified in `same_subtree` query param: bad "
                f"group(s) - {', '.join(sorted(stray))}."
            )
        lacking = [group for group in lacking if not group.suffix]
    for word, key, orphaned in (
        ("traits", "required", [group for group in lacking if group.required or group.forbidden]),
        ("member_of", "member_of", [group for group in lacking if group.member_of or group.not_member_of]),
    ):
        orphans = [f"{key}{group.suffix}" for group in orphaned]
        if orphans:
            raise BadRequest(
                f"All {word} parameters must be associated with resources. Found the following orphaned {word} "
                f"keys: {', '.join(orphans)}"
            )
    if lacking:
        raise BadRequest("All request groups must specify resources.")


def _same_subtrees(values: Sequence[str], groups: Mapping[str, Group]) -> tuple[frozenset[str], ...]:
    found = []
    for value in values:
        suffixes = [suffix.strip() for suffix in value.split(",")]
        if "" in suffixes:
            raise BadQueryValue(why="Empty string (unsuffixed group) can not be specified in `same_subtree`.")
        unreal = [suffix for suffix in suffixes if suffix not in groups]
        if unreal:
            raise BadQueryValue(
                why=f"Real suffixes should be specified in `same_subtree`: {', '.join(unreal)[:300]} not found in "
                f"{', '.join(groups)[:300]}."
            )
        found.append(frozenset(suffixes))
    return tuple(found)


def _root_required(values: Sequence[str]) -> Traits:
    if not values:
        return Traits()
    if len(values) > 1:
        raise RepeatedQueryKey(why="Query parameter 'root_required' may be specified only once.")
    names = _trait_names(values[0], values[0], forbidding=True)
    required = frozenset(name for name in names if not name.startswith("!"))
    forbidden = frozenset(name[1:] for name in names if name.startswith("!"))
    if required & forbidden:
        clash = ", ".join(sorted(required & forbidden))
        raise BadRequest(f"Conflicting required and forbidden traits found in root_required: {clash}")
    return Traits(tuple(frozenset((name,)) for name in sorted(required)), forbidden)
