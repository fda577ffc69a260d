"""Regular expressions that users give, matched in time linear in the text, whatever the pattern.

SQLite calls back into Python for REGEXP; Python's own engine can be made to run for ever by a hostile pattern, and
would stop the whole loop. The engine of jsonschema-rs cannot.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs

from kilonova.kernel.errors import BadRequest

LONGEST = 255


class BadPattern(BadRequest):
    text = "The value of {field} is not a regular expression that can be used here: {pattern}"


@lru_cache(maxsize=500)
def _compiled(pattern: str) -> Any:
    return jsonschema_rs.Draft202012Validator(
        {"type": "string", "pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
    )


def check_pattern(pattern: str, field: str) -> None:
    """Raise BadPattern where `matches` would not know what to do with it."""
    if len(pattern) > LONGEST:
        raise BadPattern(field=field, pattern=pattern[:40] + "...")
    try:
        _compiled(pattern)
    except ValueError:
        raise BadPattern(field=field, pattern=pattern) from None


def matches(pattern: str, text: str | None) -> bool:
    """Whether the pattern is found anywhere in the text. Patterns must have passed `check_pattern`."""
    return text is not None and bool(_compiled(pattern).is_valid(text))
