"""Calls to the compute service: what the network service tells it of servers' ports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kilonova.kernel.errors import ServiceUnavailable
from kilonova.kernel.http import Client


class ComputeUnavailable(ServiceUnavailable):
    text = "The compute service did not take the events (status {status}); they are sent again."


class TokenSource(Protocol):
    async def token(self) -> str: ...

    def forget(self) -> None: ...


class Event(Protocol):
    """Something that happened outside of compute to a server; ``tag`` is the port or volume."""

    @property
    def name(self) -> str: ...
    @property
    def server_id(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def status(self) -> str: ...


class ComputeClient:
    """``http``: a client whose base URL is the compute endpoint without ``/v2.1``."""

    def __init__(self, http: Client, session: TokenSource):
        self._http, self._session = http, session

    async def tell(self, events: Iterable[Event]) -> None:
        """Hand over events. Servers that compute does not know (any more) are its own to skip.

        Raises ComputeUnavailable, Unreachable.
        """
        rows = [{"name": e.name, "server_uuid": e.server_id, "tag": e.tag, "status": e.status} for e in events]
        for _ in range(2):
            token = await self._session.token()
            reply = await self._http.request(
                "POST", "/v2.1/os-server-external-events", json={"events": rows}, headers={"X-Auth-Token": token}
            )
            if reply.status != 401:
                break
            self._session.forget()
        if reply.status not in (200, 207, 404):
            raise ComputeUnavailable(status=reply.status)
