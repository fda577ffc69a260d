"""Any OpenStack-shaped cloud through its catalog, with a light client."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_MICROVERSION = "2.90"


@dataclass(slots=True)
class CloudClient:
    """``auth_url`` with /v3. Call :meth:`connect`, then :meth:`open`."""

    auth_url: str
    user: str
    password: str
    project: str
    token: str = ""
    endpoints: dict[str, str] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def connect(self) -> None:
        """Before anything else."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=300),
        )

    async def open(self) -> None:
        """Take a token, and pick flavor, image and network for servers."""
        await self.take_token()
        flavors = (await self.get("compute", "/flavors/detail"))["flavors"]
        images = (await self.get("image", "/v2/images"))["images"]
        networks = (await self.get("network", "/v2.0/networks"))["networks"]
        network = next(n for n in networks if n["subnets"] and not n["router:external"])
        flavor = min(flavors, key=lambda f: f["ram"])
        self.spec = {"flavorRef": flavor["id"], "imageRef": images[0]["id"], "networks": [{"uuid": network["id"]}]}

    async def take_token(self) -> None:
        """POST /v3/auth/tokens."""
        scope = {"project": {"name": self.project, "domain": {"name": "Default"}}}
        user = {"name": self.user, "domain": {"name": "Default"}, "password": self.password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        async with self.session.post(f"{self.auth_url}/auth/tokens", json=body) as reply:
            text = await reply.text()
            if reply.status != 201:
                raise SystemExit(f"no token from {self.auth_url}: {reply.status} {text}")
            self.token = reply.headers["X-Subject-Token"]
        for service in json.loads(text)["token"]["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public":
                    self.endpoints[service["type"]] = endpoint["url"].rstrip("/")

    async def check_token(self) -> None:
        """GET /v3/auth/tokens."""
        headers = {"X-Auth-Token": self.token, "X-Subject-Token": self.token}
        async with self.session.get(f"{self.auth_url}/auth/tokens", headers=headers) as reply:
            assert reply.status == 200, reply.status
            await reply.read()

    async def request(self, method: str, service: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON."""
        base = self.endpoints[service]
        for suffix in ("/v2", "/v2.0"):
            if path.startswith(suffix + "/") and base.endswith(suffix):
                base = base.removesuffix(suffix)
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": f"{service} {_MICROVERSION}"}
        if service != "compute":
            del headers["OpenStack-API-Version"]
        async with self.session.request(method, base + path, json=body, headers=headers) as reply:
            raw = await reply.read()
            is_json = raw and "json" in reply.headers.get("Content-Type", "")
            return reply.status, json.loads(raw) if is_json else None

    async def get(self, service: str, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        status, content = await self.request("GET", service, path)
        if status != 200:
            raise SystemExit(f"GET {service} {path}: {status} {content}")
        return content

    async def create_server(self, name: str, **more: Any) -> str:
        """The id of a new server."""
        body = {"server": {"name": name, **self.spec, **more}}
        status, content = await self.request("POST", "compute", "/servers", body)
        if status != 202:
            raise SystemExit(f"POST /servers: {status} {content}")
        return str(content["server"].get("id", ""))

    async def wait_status(self, server: str, wanted: str, poll_s: float = 0.02) -> None:
        """Poll one server until its status is ``wanted``; ``GONE`` waits for 404."""
        while True:
            status, content = await self.request("GET", "compute", f"/servers/{server}")
            found = "GONE" if status == 404 else content["server"]["status"]
            if found == wanted:
                return
            if found == "ERROR":
                raise SystemExit(f"server {server} is in ERROR: {content['server'].get('fault')}")
            await asyncio.sleep(poll_s)

    async def names(self, prefix: str, **filters: str) -> list[str]:
        """Ids of the servers whose names begin with ``prefix``."""
        more = "".join(f"&{k}={v}" for k, v in filters.items())
        found = await self.get("compute", f"/servers?limit=1000&name=^{prefix}{more}")
        return [server["id"] for server in found["servers"]]

    async def wait_built(self, prefix: str) -> int:
        """Wait until none is building; how many are ACTIVE."""
        while await self.names(prefix, status="BUILD"):
            await asyncio.sleep(0.1)
        return len(await self.names(prefix, status="ACTIVE"))

    async def purge(self, prefix: str, at_once: int = 16) -> None:
        """Delete all servers whose names begin with ``prefix`` and wait until they are gone."""
        left = iter(await self.names(prefix))

        async def work() -> None:
            for server in left:
                await self.request("DELETE", "compute", f"/servers/{server}")

        await asyncio.gather(*[work() for _ in range(at_once)])
        while await self.names(prefix):
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()
