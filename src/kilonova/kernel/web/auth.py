"""Who is the caller: tokens in X-Auth-Token, checked by the identity service, remembered for a short while.

Identity headers that a caller sends (``X-User-Id``, ``X-Roles`` ...) are never read: the context comes from the token
alone. A remembered answer is used for ``cache_s`` seconds at most and never beyond the token's end; a revocation that
reaches this process empties the memory at once (:meth:`TokenAuth.forget`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context
from kilonova.kernel.errors import Unauthorized

Validate = Callable[[str], Awaitable[Context | None]]
"""A token in, its context out; None when it is not valid. Raises ServiceUnavailable when that cannot be told."""

_MOST_REMEMBERED = 10_000
_LONGEST_TOKEN = 8192


class NotAuthenticated(Unauthorized):
    text = "The request you have made requires authentication."


class TokenAuth:
    """Authenticates requests for one service. ``auth_url`` goes into the WWW-Authenticate header."""

    def __init__(self, validate: Validate, clock: Clock, *, auth_url: str, cache_s: float = 5.0):
        self._validate, self._clock, self._auth_url, self._cache_s = validate, clock, auth_url, cache_s
        self._known: dict[str, tuple[Context, float]] = {}
        self._forgotten = 0

    async def __call__(self, headers: Mapping[str, str]) -> Context:
        token = headers.get("x-auth-token")
        if not token:
            raise self._refuse()
        context = await self._context(token)
        service_token = headers.get("x-service-token")
        if service_token:
            service = await self._context(service_token)
            context = replace(context, service_roles=service.roles)
        return context

    async def _context(self, token: str) -> Context:
        known = self._known.get(token)
        if known is not None and self._clock.monotonic() < known[1] and self._alive(known[0]):
            return known[0]
        self._known.pop(token, None)
        if len(token) > _LONGEST_TOKEN:
            raise self._refuse()
        asked_at = self._forgotten
        found = await self._validate(token)
        if found is None or not self._alive(found):
            raise self._refuse()
        if asked_at != self._forgotten:
            return found  # an answer from before a revocation is good for this once, and not remembered
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[token] = (found, self._clock.monotonic() + self._cache_s)
        return found

    def _alive(self, context: Context) -> bool:
        return context.expires_at is None or context.expires_at > self._clock.now()

    def _refuse(self) -> NotAuthenticated:
        return NotAuthenticated(headers={"WWW-Authenticate": f'Keystone uri="{self._auth_url}"'})

    def forget(self) -> None:
        """Empty the memory: some token was revoked."""
        self._forgotten += 1
        self._known.clear()
