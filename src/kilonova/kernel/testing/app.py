"""Requests to an application in process, and callers told by readable tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.kernel.context import Context
from kilonova.kernel.http.client import Client, Reply
from kilonova.kernel.http.loopback import App, Loopback
from kilonova.kernel.web.auth import NotAuthenticated


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with its JSON at hand."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


class TestClient:
    """``await client.get("/v3/users", token="admin")``; keyword ``version`` sets OpenStack-API-Version."""

    __test__ = False

    def __init__(self, app: App, *, service_type: str = "compute", prefix: str = ""):
        self._client = Client(f"http://cloud.test{prefix}", Loopback(app))
        self._service_type = service_type

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "admin",
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        version: str | None = None,
    ) -> Answer:
        """Send; ``token=None`` sends none."""
        out = dict(headers or {})
        if token is not None:
            out["X-Auth-Token"] = token
        if version is not None:
            out["OpenStack-API-Version"] = f"{self._service_type} {version}"
        reply: Reply = await self._client.request(method, path, json=json, content=content, headers=out, params=params)
        is_json = "json" in reply.headers.get("content-type", "")
        return Answer(reply.status, reply.headers, reply.body, reply.json() if is_json and reply.body else None)

    async def get(self, path: str, **kw: Any) -> Answer:
        return await self.request("GET", path, **kw)

    async def post(self, path: str, **kw: Any) -> Answer:
        return await self.request("POST", path, **kw)

    async def put(self, path: str, **kw: Any) -> Answer:
        return await self.request("PUT", path, **kw)

    async def patch(self, path: str, **kw: Any) -> Answer:
        return await self.request("PATCH", path, **kw)

    async def delete(self, path: str, **kw: Any) -> Answer:
        return await self.request("DELETE", path, **kw)


_IMPLIED = {
    "admin": ("admin", "manager", "member", "reader"),
    "manager": ("manager", "member", "reader"),
    "member": ("member", "reader"),
    "reader": ("reader",),
    "service": ("service",),
    "nobody": (),
}


def fake_identity() -> Callable[[Mapping[str, str]], Awaitable[Context]]:
    """An ``authenticate`` for tokens ``ROLE``, ``ROLE:PROJECT`` or ``ROLE:PROJECT:USER`` (role: admin, manager,
    member, reader, service, nobody; project: ``demo`` unless given; user: ``ROLE-user`` unless given).
    """

    async def authenticate(headers: Mapping[str, str]) -> Context:
        token = headers.get("x-auth-token", "")
        role, _, rest = token.partition(":")
        if role not in _IMPLIED:
            raise NotAuthenticated(headers={"WWW-Authenticate": 'Keystone uri="http://cloud.test/identity"'})
        project, _, user = rest.partition(":")
        project = project or "demo"
        user = user or f"{role}-user"
        return Context(
            token=token,
            user_id=user,
            user_name=user,
            user_domain_id="default",
            user_domain_name="Default",
            project_id=project,
            project_name=project,
            project_domain_id="default",
            project_domain_name="Default",
            roles=_IMPLIED[role],
        )

    return authenticate
