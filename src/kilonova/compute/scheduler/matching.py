"""The small language of extra specs and aggregate metadata: ``>= 4``, ``s== x``, ``<or> a <or> b``, ``<in>
aes``.

Operators and their meaning are upstream's, so flavors made for it choose the same hosts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda has, wants: has >= wants,
    "==": lambda has, wants: has == wants,
    "!=": lambda has, wants: has != wants,
    ">=": lambda has, wants: has >= wants,
    "<=": lambda has, wants: has <= wants,
}
_WORDS: Mapping[str, Callable[[str, str], bool]] = {
    "s==": lambda has, wants: has == wants,
    "s!=": lambda has, wants: has != wants,
    "s<": lambda has, wants: has < wants,
    "s<=": lambda has, wants: has <= wants,
    "s>": lambda has, wants: has > wants,
    "s>=": lambda has, wants: has >= wants,
}


def matches(has: str, wants: str) -> bool:
    """Whether the value ``has`` meets the requirement ``wants``. Odd: a single ``=`` means "at least"."""
    words = wants.split()
    if not words:
        return has == wants
    operator, rest = words[0], words[1:]
    if operator == "<or>":
        return has in [word for word in rest if word != "<or>"]
    if operator == "<in>":
        return bool(rest) and rest[0] in has
    if operator == "<all-in>":
        return all(word in has for word in rest)
    if operator in _WORDS:
        return bool(rest) and _WORDS[operator](has, " ".join(rest))
    if operator in _NUMBERS and rest:
        try:
            return _NUMBERS[operator](float(has), float(rest[0]))
        except ValueError:
            return False
    return has == wants


def dig(facts: Any, path: str) -> Any:
    """The value at ``a:b:c`` in nested mappings; None when there is none."""
    for key in path.split(":"):
        if not isinstance(facts, Mapping) or key not in facts:
            return None
        facts = facts[key]
    return facts
