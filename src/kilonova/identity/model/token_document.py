"""The JSON of a token, as POST and GET /v3/auth/tokens give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kilonova.identity.model.nouns import AccessRule, ApplicationCredential, Project, Role, Trust, User
from kilonova.identity.model.token import Token
from kilonova.kernel.clock import iso_micros_z
from kilonova.kernel.context import Context


@dataclass(frozen=True, slots=True)
class Subject:
    """A token that holds, with all it stands for. ``domains``: those of user and project, by id."""

    token: Token
    user: User
    domains: Mapping[str, Project]
    roles: tuple[Role, ...] = ()
    project: Project | None = None
    domain: Project | None = None
    password_expires_at: datetime | None = None
    application_credential: ApplicationCredential | None = None
    access_rules: tuple[AccessRule, ...] = ()
    trust: Trust | None = None
    group_ids: tuple[str, ...] = field(default=())

    @property
    def is_restricted(self) -> bool:
        """Whether it may not manage what would outlive or widen it."""
        return self.application_credential is not None and not self.application_credential.unrestricted


def document(subject: Subject, catalog: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """``{"token": {...}}``; without a catalog when it is None."""
    token = subject.token
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {
            "domain": _named(subject.domains[subject.user.domain_id]),
            "id": subject.user.id,
            "name": subject.user.name,
            "password_expires_at": iso_micros_z(subject.password_expires_at),
        },
        "audit_ids": list(token.audit_ids),
        "expires_at": iso_micros_z(token.expires_at),
        "issued_at": iso_micros_z(token.issued_at),
    }
    if subject.project is not None:
        body["project"] = {
            "domain": _named(subject.domains[subject.project.owning_domain_id]),
            "id": subject.project.id,
            "name": subject.project.name,
        }
        body["is_domain"] = subject.project.is_domain
    if subject.domain is not None:
        body["domain"] = _named(subject.domain)
    if token.scope.kind == "system":
        body["system"] = {"all": True}
    if subject.roles:
        body["roles"] = [_named(role) for role in subject.roles]
    if catalog is not None and token.scope.kind != "unscoped":
        body["catalog"] = catalog
    credential = subject.application_credential
    if credential is not None:
        body["application_credential"] = {
            "id": credential.id,
            "name": credential.name,
            "restricted": not credential.unrestricted,
        }
        if subject.access_rules:
            body["application_credential"]["access_rules"] = [
                {"id": r.id, "service": r.service, "path": r.path, "method": r.method} for r in subject.access_rules
            ]
    if subject.trust is not None:
        body["OS-TRUST:trust"] = {
            "id": subject.trust.id,
            "impersonation": subject.trust.impersonation,
            "trustor_user": {"id": subject.trust.trustor_user_id},
            "trustee_user": {"id": subject.trust.trustee_user_id},
        }
    return {"token": body}


def context(subject: Subject, text: str) -> Context:
    """The caller that the token makes."""
    user_domain = subject.domains[subject.user.domain_id]
    project, domain = subject.project, subject.domain
    project_domain = subject.domains[project.owning_domain_id] if project is not None else None
    # Upstream's rules also know the scope by these paths.
    paths: dict[str, Any] = {"user": {"id": subject.user.id, "domain": {"id": subject.user.domain_id}}}
    if project_domain is not None and project is not None:
        paths["project"] = {"id": project.id, "domain": {"id": project_domain.id}}
    if domain is not None:
        paths["domain"] = {"id": domain.id}
    return Context(
        token=text,
        user_id=subject.user.id,
        user_name=subject.user.name,
        user_domain_id=user_domain.id,
        user_domain_name=user_domain.name,
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project_domain.id if project_domain else None,
        project_domain_name=project_domain.name if project_domain else None,
        domain_id=domain.id if domain else None,
        domain_name=domain.name if domain else None,
        system_scope="all" if subject.token.scope.kind == "system" else None,
        roles=tuple(role.name for role in subject.roles),
        expires_at=subject.token.expires_at,
        extra={"token": paths},
    )


def _named(thing: Project | Role) -> dict[str, str]:
    return {"id": thing.id, "name": thing.name}
