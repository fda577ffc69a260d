"""What a token says, before it is encrypted: who, by which methods, in which scope, from when to when."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime

UNSCOPED, PROJECT, DOMAIN, SYSTEM = "unscoped", "project", "domain", "system"


@dataclass(frozen=True, slots=True)
class Scope:
    """``kind`` is unscoped, project, domain or system; ``id`` that of the project or domain, ``all`` for the system."""

    kind: str = UNSCOPED
    id: str = ""


NO_SCOPE = Scope()
ALL_OF_THE_SYSTEM = Scope(SYSTEM, "all")


@dataclass(frozen=True, slots=True)
class Token:
    """``audit_ids``: the token's own and, when it was traded for another, that of the first one of its chain."""

    user_id: str
    methods: tuple[str, ...]
    scope: Scope
    audit_ids: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    application_credential_id: str | None = None
    trust_id: str | None = None

    @property
    def audit_id(self) -> str:
        return self.audit_ids[0]

    @property
    def chain_id(self) -> str:
        """The audit id that all tokens traded from one login share."""
        return self.audit_ids[-1]


def new_audit_id() -> str:
    """22 URL-safe characters of randomness, upstream's form."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def next_audit_ids(parent: Token | None) -> tuple[str, ...]:
    """Audit ids of a new token, in the chain of ``parent`` if it is traded for that."""
    return (new_audit_id(),) if parent is None else (new_audit_id(), parent.chain_id)
