"""Objects as targets of access rules: flat names like ``target.user.domain_id``.

Members that are None are left out: a rule that compares an absent member fails, whereas None would equal the absent
scope of a caller. The one exception is ``target.role.domain_id``, whose rules ask for None by name.
"""

from __future__ import annotations

from typing import Any

from kilonova.identity.api.listing import Ask
from kilonova.identity.errors import NoSuch, RestrictedCredential
from kilonova.identity.subjects import Held, validate

_MEMBERS = ("id", "name", "domain_id", "user_id", "project_id", "trustor_user_id", "trustee_user_id")


def target(**objects: Any) -> dict[str, Any]:
    """``target(user=user)`` -> ``{"target.user.id": ..., "target.user.domain_id": ...}``."""
    found: dict[str, Any] = {}
    for word, one in objects.items():
        for member in _MEMBERS:
            value = getattr(one, member, None)
            if value is not None:
                found[f"target.{word}.{member}"] = value
        if word == "role" and one is not None:
            found["target.role.domain_id"] = one.domain_id
    return found


def allow_or_missing(request: Ask, what: str, identifier: str, one: Any, word: str | None = None) -> None:
    """Check the route's rule on ``one``; then say that it is not there, if so (only to those who may know)."""
    request.allow(target(**{word or what: one}) if one is not None else {})
    if one is None:
        raise NoSuch(what=what, id=identifier)


async def caller(request: Ask) -> Held:
    """The caller's own token, fully read."""
    return await validate(request.service, request.context.token or "")


async def refuse_restricted(request: Ask) -> None:
    """Raise RestrictedCredential when the caller's token comes from a restricted application credential.

    Such a token must not make what would outlive or widen it (OSSA-2026-005).
    """
    if (await caller(request)).subject.is_restricted:
        raise RestrictedCredential()
