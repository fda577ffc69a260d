"""The nouns of identity as rows are read: one frozen dataclass a table, members named as its columns.

Lists and options come as the JSON value stored. Moments are aware UTC. A *domain* is a :class:`Project` with
``is_domain``; it has no domain and no parent of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Extra = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    name: str
    domain_id: str | None
    parent_id: str | None
    is_domain: bool
    enabled: bool
    description: str
    options: Extra = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)
    namespace: str = ""

    @property
    def owning_domain_id(self) -> str:
        """The domain it belongs to; a domain belongs to itself."""
        return self.domain_id or self.id

    @property
    def is_immutable(self) -> bool:
        return bool(self.options.get("immutable"))


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    domain_id: str
    enabled: bool
    default_project_id: str | None
    options: Extra
    extra: Extra
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Password:
    """``expires_at`` None: never."""

    id: int
    user_id: str
    hash: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    name: str
    domain_id: str
    description: str
    extra: Extra


@dataclass(frozen=True, slots=True)
class Role:
    id: str
    name: str
    domain_id: str | None
    description: str | None
    options: Extra = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)
    namespace: str = ""

    @property
    def is_immutable(self) -> bool:
        return bool(self.options.get("immutable"))


@dataclass(frozen=True, slots=True)
class Region:
    id: str
    description: str
    parent_region_id: str | None
    extra: Extra


@dataclass(frozen=True, slots=True)
class Service:
    id: str
    type: str
    name: str | None
    description: str | None
    enabled: bool
    extra: Extra


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    service_id: str
    interface: str
    region_id: str | None
    url: str
    enabled: bool
    extra: Extra


@dataclass(frozen=True, slots=True)
class Credential:
    """``blob`` is encrypted at rest."""

    id: str
    user_id: str
    project_id: str | None
    type: str
    blob: str
    extra: Extra


@dataclass(frozen=True, slots=True)
class AccessRule:
    id: str
    user_id: str
    service: str
    path: str
    method: str


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    id: str
    user_id: str
    project_id: str
    name: str
    secret_hash: str
    description: str | None
    expires_at: datetime | None
    unrestricted: bool
    role_ids: list[str]
    access_rule_ids: list[str]


@dataclass(frozen=True, slots=True)
class Trust:
    """``remaining_uses`` None: any number."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str | None
    impersonation: bool
    expires_at: datetime | None
    remaining_uses: int | None
    redelegated_trust_id: str | None
    redelegation_count: int
    allow_redelegation: bool
    role_ids: list[str]
    extra: Extra


@dataclass(frozen=True, slots=True)
class RegisteredLimit:
    id: str
    service_id: str
    region_id: str | None
    resource_name: str
    default_limit: int
    description: str | None
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    id: str
    registered_limit_id: str
    project_id: str | None
    domain_id: str | None
    resource_limit: int
    description: str | None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role for an actor (``user`` or ``group``) on a target (``project``, ``domain`` or ``system``).

    ``inherited``: it works on the projects below the target, not on the target itself.
    """

    actor_type: str
    actor_id: str
    target_type: str
    target_id: str
    role_id: str
    inherited: bool
