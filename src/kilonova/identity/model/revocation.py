"""Revocation: events that say which tokens, issued up to a moment, are no longer good.

An event matches a token when every member it names agrees. ``issued_before`` is inclusive: a token issued in the very
microsecond of the event is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kilonova.identity.model.token import Token


@dataclass(frozen=True, slots=True)
class Event:
    """Members that are None match any token. ``domain_id`` is of the user, the scoped project or the scoped domain."""

    issued_before: datetime
    revoked_at: datetime
    user_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    trust_id: str | None = None
    audit_id: str | None = None
    audit_chain_id: str | None = None


def matches(event: Event, token: Token, domains: frozenset[str], users: frozenset[str]) -> bool:
    """Whether ``event`` ends ``token``.

    ``domains``: domains that the token lives from (user's, project's, scope's). ``users``: its user and, for a trust,
    both sides.
    """
    return (
        token.issued_at <= event.issued_before
        and (event.user_id is None or event.user_id in users)
        and (event.project_id is None or (token.scope.kind == "project" and event.project_id == token.scope.id))
        and (event.domain_id is None or event.domain_id in domains)
        and (event.trust_id is None or event.trust_id == token.trust_id)
        and (event.audit_id is None or event.audit_id == token.audit_id)
        and (event.audit_chain_id is None or event.audit_chain_id == token.chain_id)
    )
