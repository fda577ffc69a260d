"""The public API as the command line uses it: one token, endpoints from the catalog, find or create."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kilonova.clients.identity import IdentityClient, Token, password_auth
from kilonova.kernel.http import Client, Reply, Sockets, Transport


class ApiError(RuntimeError):
    """An answer that is not a success: its status and what the service said."""

    def __init__(self, method: str, url: str, reply: Reply):
        super().__init__(f"{method} {url}: {reply.status} {_sentence(reply)}")
        self.status = reply.status


def _sentence(reply: Reply) -> str:
    if "json" not in reply.headers.get("content-type", ""):
        return reply.body[:300].decode("utf-8", "replace")
    content = reply.json()
    while isinstance(content, Mapping):
        content = content.get("message") or next(iter(content.values()), "")
    return str(content)


@dataclass(slots=True)
class CloudApi:
    """Authenticated access to one cloud. Paths begin with the service's type: ``compute:/servers``."""

    token: Token
    transport: Transport

    @classmethod
    async def connect(cls, auth_url: str, *, user: str, password: str, project: str) -> CloudApi:
        """Obtain a token at ``auth_url`` (without ``/v3``). Raises Unauthorized or Unreachable."""
        transport = Sockets()
        identity = IdentityClient(Client(auth_url, transport))
        return cls(await identity.issue(password_auth(user=user, password=password, project=project)), transport)

    async def call(
        self,
        method: str,
        where: str,
        *,
        json: Any = None,
        content: AsyncIterator[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        missing_ok: bool = False,
        timeout_s: float = 120.0,
    ) -> Any:
        """The JSON of the answer (None when empty, or 404 with ``missing_ok``). Raises ApiError."""
        service, _, path = where.partition(":")
        base = self.token.catalog[service]
        out = {"X-Auth-Token": self.token.id, "OpenStack-API-Version": f"{service} latest", **(headers or {})}
        reply = await Client(base, self.transport).request(
            method, path, json=json, content=content, headers=out, params=params, timeout_s=timeout_s
        )
        if reply.status == 404 and missing_ok:
            return None
        if reply.status >= 300:
            raise ApiError(method, urlsplit(base + path).path, reply)
        return reply.json() if "json" in reply.headers.get("content-type", "") and reply.body else None

    async def find(self, where: str, collection: str, **match: Any) -> dict[str, Any] | None:
        """The first item of a list whose attributes equal ``match``."""
        items = (await self.call("GET", where))[collection]
        return next((i for i in items if all(i.get(k) == v for k, v in match.items())), None)

    async def ensure(
        self, where: str, collection: str, kind: str, body: dict[str, Any], **match: Any
    ) -> dict[str, Any]:
        """The item that equals ``match`` (its name unless given), created from ``body`` when there is none."""
        found = await self.find(where, collection, **(match or {"name": body["name"]}))
        if found is not None:
            return found
        made: dict[str, Any] = (await self.call("POST", where.split("?")[0], json={kind: body}))[kind]
        return made

    async def close(self) -> None:
        """Close the connections."""
        if isinstance(self.transport, Sockets):
            await self.transport.close()
