"""Who asks: the frozen facts of one request, and the variable that carries them through its task."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kilonova.kernel.ids import new_request_id


@dataclass(frozen=True, slots=True)
class Context:
    """The caller of one request, as its token says. Without a token all ids are None and ``roles`` is empty."""

    request_id: str = field(default_factory=new_request_id)
    global_request_id: str | None = None
    token: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_domain_id: str | None = None
    user_domain_name: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    project_domain_name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None
    system_scope: str | None = None
    roles: tuple[str, ...] = ()
    service_roles: tuple[str, ...] = ()
    expires_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether the caller holds the admin role (upstream's `context_is_admin`)."""
        return "admin" in self.roles

    @property
    def trace_id(self) -> str:
        """The id that all hops of one user's request share: the global id when a caller gave one."""
        return self.global_request_id or self.request_id

    def credentials(self) -> dict[str, Any]:
        """The facts that access rules may read, under oslo.policy's names.

        Facts that are absent have no key: otherwise a caller without a project would own what has none.
        """
        facts = {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "tenant": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": self.system_scope,
            "roles": list(self.roles),
            "service_roles": list(self.service_roles),
            "is_admin": self.is_admin,
            "is_admin_project": True,
            **self.extra,
        }
        return {name: value for name, value in facts.items() if value is not None}


_current: ContextVar[Context | None] = ContextVar("kilonova_context", default=None)


def current() -> Context | None:
    """The context of the request or operation that this task works for, if any."""
    return _current.get()


def bind(context: Context | None) -> None:
    """Make ``context`` the current one for this task and the tasks it starts."""
    _current.set(context)
