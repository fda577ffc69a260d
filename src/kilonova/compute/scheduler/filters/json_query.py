"""The hint ``query``: a condition on the host's facts, written as JSON lists: ``[">=", "$free_ram_mb",
1024]``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.scheduler.filters.machine import capabilities
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.matching import dig
from kilonova.compute.scheduler.refusal import No

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def answers_query(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Refuse hosts whose facts do not meet the query; a query that makes no sense is met by none."""
    query = ask.hints.get("query", ())
    if not query:
        return None
    try:
        if _holds(msgspec.json.decode(query[0]), capabilities(host)):
            return None
    except (msgspec.DecodeError, TypeError, ValueError, IndexError, RecursionError):
        return No("cannot answer the hint query", "it is not a condition on known facts")
    return No("do not meet the hint query")


def _holds(query: Any, facts: Mapping[str, object]) -> bool:
    word, *rest = query
    if word == "and":
        return all(_holds(one, facts) for one in rest)
    if word == "or":
        return any(_holds(one, facts) for one in rest)
    if word == "not":
        return not _holds(rest[0], facts)
    values = [_value(one, facts) for one in rest]
    if word == "in":
        return values[0] in values[1:]
    compare = _COMPARE.get(word)
    if compare is None or not values or any(value is None for value in values):
        raise ValueError(word)
    return all(compare(values[0], other) for other in values[1:])


def _value(term: Any, facts: Mapping[str, object]) -> Any:
    if isinstance(term, str) and term.startswith("$"):
        return dig(facts, term[1:].replace(".", ":"))
    return term
