"""The microversions of Placement: each behaviour that is not a row of a route or schema, as a named predicate."""

from __future__ import annotations

from collections.abc import Callable

from kilonova.kernel.microversion import MicroversionRange, Version

SPOKEN = MicroversionRange("placement", Version(1, 0), Version(1, 39))

Predicate = Callable[[Version], bool]


def v(minor: int) -> Version:
    """Version 1.``minor``."""
    return Version(1, minor)


def _from(minor: int) -> Predicate:
    since = v(minor)
    return lambda version: version >= since


aggregates_are_linked = _from(1)
traits_are_linked = _from(6)
classes_are_put_by_name = _from(7)
allocations_are_linked = _from(11)
allocations_are_keyed_by_provider = _from(12)
providers_are_nested = _from(14)
answers_say_last_modified = _from(15)
summaries_have_traits = _from(17)
aggregates_have_generation = _from(19)
created_provider_is_shown = _from(20)
traits_can_be_forbidden = _from(22)
member_of_may_repeat = _from(24)
groups_are_granular = _from(25)
all_may_be_reserved = _from(26)
summaries_have_all_classes = _from(27)
consumers_have_generation = _from(28)
candidates_are_nested = _from(29)
aggregates_can_be_forbidden = _from(32)
suffixes_are_words = _from(33)
candidates_have_mappings = _from(34)
groups_may_lack_resources = _from(36)
providers_can_be_moved = _from(37)
consumers_have_type = _from(38)
any_trait_may_do = _from(39)
