"""Calls to the identity service: validate a token, obtain one for a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kilonova.kernel.clock import Clock, parse_iso
from kilonova.kernel.context import Context
from kilonova.kernel.errors import ServiceUnavailable, Unauthorized
from kilonova.kernel.http import Client


class IdentityUnavailable(ServiceUnavailable):
    text = "The identity service cannot check tokens now ({why}); try again later."


@dataclass(frozen=True, slots=True)
class Token:
    """A token as issued: its id (the header's value), when it ends, and the catalog by service type."""

    id: str
    expires_at: datetime
    catalog: dict[str, str]


class IdentityClient:
    """``http``: a client whose base URL is the identity endpoint without ``/v3``."""

    def __init__(self, http: Client):
        self._http = http

    async def validate(self, token: str, *, as_token: str) -> Context | None:
        """Whose token this is, or None when it is not valid. ``as_token``: the token that asks."""
        reply = await self._http.request(
            "GET",
            "/v3/auth/tokens",
            params={"nocatalog": "1"},
            headers={"X-Auth-Token": as_token, "X-Subject-Token": token},
        )
        if reply.status == 200:
            return _context(token, reply.json()["token"])
        if reply.status in (404, 401):
            return None
        raise IdentityUnavailable(why=f"status {reply.status}")

    async def issue(self, auth: dict[str, Any]) -> Token:
        """A token for the ``auth`` body of POST /v3/auth/tokens. Raises Unauthorized."""
        reply = await self._http.request("POST", "/v3/auth/tokens", json={"auth": auth})
        if reply.status == 401:
            raise Unauthorized("The identity service refused the credentials.")
        if reply.status != 201:
            raise IdentityUnavailable(why=f"status {reply.status}")
        body = reply.json()["token"]
        catalog = {
            entry["type"]: endpoint["url"]
            for entry in body.get("catalog", ())
            for endpoint in entry["endpoints"]
            if endpoint["interface"] == "internal"
        }
        return Token(reply.headers["x-subject-token"], parse_iso(body["expires_at"]), catalog)


def _context(token: str, body: dict[str, Any]) -> Context:
    user, project, domain = body["user"], body.get("project"), body.get("domain")
    system = body.get("system")
    return Context(
        token=token,
        user_id=user["id"],
        user_name=user.get("name"),
        user_domain_id=user.get("domain", {}).get("id"),
        user_domain_name=user.get("domain", {}).get("name"),
        project_id=project and project["id"],
        project_name=project and project.get("name"),
        project_domain_id=project and project.get("domain", {}).get("id"),
        project_domain_name=project and project.get("domain", {}).get("name"),
        domain_id=domain and domain["id"],
        domain_name=domain and domain.get("name"),
        system_scope="all" if system and system.get("all") else None,
        roles=tuple(role["name"] for role in body.get("roles", ())),
        expires_at=parse_iso(body["expires_at"]),
    )


class ServiceSession:
    """A service user's own token, obtained when first needed and renewed before it ends.

    ``auth``: the body of the token request (password or application credential, with its scope).
    """

    _RENEW_BEFORE_S = 120.0

    def __init__(self, identity: IdentityClient, auth: dict[str, Any], clock: Clock):
        self._identity, self._auth, self._clock = identity, auth, clock
        self._token: Token | None = None

    async def token(self) -> str:
        """A token that is good for at least two minutes. Raises Unauthorized or IdentityUnavailable."""
        known = self._token
        if known is None or (known.expires_at - self._clock.now()).total_seconds() < self._RENEW_BEFORE_S:
            known = self._token = await self._identity.issue(self._auth)
        return known.id

    def forget(self) -> None:
        """Obtain a new token at the next call: the known one was refused."""
        self._token = None


def password_auth(
    *, user: str, password: str, project: str, user_domain: str = "Default", project_domain: str = "Default"
) -> dict[str, Any]:
    """The ``auth`` body for a user's name and password, scoped to a project."""
    return {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"name": user_domain}, "password": password}},
        },
        "scope": {"project": {"name": project, "domain": {"name": project_domain}}},
    }
