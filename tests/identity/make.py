"""Builders for identity's stories: a bootstrapped service, and callers with real tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from kilonova.identity.app import build
from kilonova.identity.bootstrap import Bootstrapped, Wanted, bootstrap, catalog_at
from kilonova.identity.config import Settings
from kilonova.identity.service import IdentityService
from kilonova.identity.store.tables import generation, metadata
from kilonova.kernel.testing import Answer, FakeClock, TestClient, memory_database

ADMIN_PASSWORD = "admin-secret"
BASE = "http://cloud.test"


@dataclass(slots=True)
class Cloud:
    """Identity with what bootstrap makes. ``api`` speaks to it; ``changes`` counts the calls of ``changed``."""

    api: TestClient
    app: Any
    parts: IdentityService
    clock: FakeClock
    first: Bootstrapped
    wanted: Wanted
    admin: str = ""
    changes: list[int] = field(default_factory=list)

    async def log_in(self, name: str, password: str, *, expect: int = 201, **scope: Any) -> Answer:
        """POST /v3/auth/tokens; ``project=``, ``domain=``, ``system=True`` or nothing for the default."""
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if "project" in scope:
            auth["scope"] = {"project": {"id": scope["project"]}}
        if "domain" in scope:
            auth["scope"] = {"domain": {"id": scope["domain"]}}
        if scope.get("system"):
            auth["scope"] = {"system": {"all": True}}
        if scope.get("unscoped"):
            auth["scope"] = "unscoped"
        answer = await self.api.post("/v3/auth/tokens", token=None, json={"auth": auth})
        assert answer.status == expect, answer.json
        return answer

    async def token(self, name: str, password: str = "secret", **scope: Any) -> str:
        """The text of a new token."""
        return (await self.log_in(name, password, **scope)).headers["x-subject-token"]

    async def trade(self, token: str, scope: Any = None, *, expect: int = 201) -> Answer:
        """A token for a token."""
        auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
        if scope is not None:
            auth["scope"] = scope
        answer = await self.api.post("/v3/auth/tokens", token=None, json={"auth": auth})
        assert answer.status == expect, answer.json
        return answer

    async def make(self, path: str, word: str, **members: Any) -> dict[str, Any]:
        """POST as the administrator; the new object."""
        answer = await self.api.post(f"/v3/{path}", token=self.admin, json={word: members})
        assert answer.status == 201, answer.json
        return dict(answer.json[word])

    async def user(self, name: str = "ann", password: str = "secret", **members: Any) -> dict[str, Any]:
        return await self.make("users", "user", name=name, password=password, **members)

    async def project(self, name: str = "web", **members: Any) -> dict[str, Any]:
        return await self.make("projects", "project", name=name, **members)

    async def role_id(self, name: str) -> str:
        answer = await self.api.get(f"/v3/roles?name={name}", token=self.admin)
        return str(answer.json["roles"][0]["id"])

    async def grant(self, path: str, role: str = "member") -> str:
        """``path`` like ``projects/ID/users/ID``; the grant's path."""
        whole = f"/v3/{path}/roles/{await self.role_id(role)}"
        answer = await self.api.put(whole, token=self.admin)
        assert answer.status == 204, answer.json
        return whole

    async def member(self, name: str = "ann", project: str = "web", role: str = "member") -> tuple[str, str, str]:
        """A user with a role on a new project: user id, project id, token."""
        user, place = await self.user(name), await self.project(project)
        await self.grant(f"projects/{place['id']}/users/{user['id']}", role)
        return user["id"], place["id"], await self.token(name, project=place["id"])

    async def holds(self, token: str) -> bool:
        """Whether the token is accepted."""
        answer = await self.api.get("/v3/auth/projects", token=token)
        assert answer.status in (200, 401)
        return answer.status == 200

    async def shown(self, token: str, query: str = "") -> Answer:
        """GET /v3/auth/tokens as the administrator."""
        headers = {"X-Subject-Token": token}
        return await self.api.get(f"/v3/auth/tokens{query}", token=self.admin, headers=headers)


async def cloud(folder: Path, *, base: str = BASE, clock: FakeClock | None = None, **options: Any) -> Cloud:
    """A new one."""
    settings = Settings(
        token_keys=folder / "fernet-keys",
        credential_keys=folder / "credential-keys",
        password_hash_rounds=4,
        **options,
    )
    clock = clock or FakeClock()
    db = memory_database(metadata, "identity")
    async with db.transaction() as tx:
        await tx.run(insert(generation), {"id": 1, "value": 1})
    wanted = Wanted(ADMIN_PASSWORD, "RegionOne", catalog_at(base), {"nova": "nova-secret"})
    first = await bootstrap(settings, db, clock, wanted)
    changes: list[int] = []
    service = build(settings, db, clock, public_url=f"{base}/identity", changed=lambda: changes.append(1))
    made = Cloud(TestClient(service.app), service.app, service.parts, clock, first, wanted, changes=changes)
    made.admin = await made.token("admin", ADMIN_PASSWORD, project=first.admin_project_id)
    return made
