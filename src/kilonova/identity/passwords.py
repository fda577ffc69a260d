"""Proving who one is by a password: one way for logins and for changing the password oneself.

Every refusal is the same :class:`NotAuthenticated` after the same work, whether there is no such user, the password
is wrong, the user or domain is disabled, or the account is locked (OSSA-2021-003).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from kilonova.identity.errors import NotAuthenticated
from kilonova.identity.model.nouns import Password, User
from kilonova.identity.service import IdentityService
from kilonova.identity.store import people, projects


async def prove(service: IdentityService, user: User | None, password: str) -> tuple[User, Password]:
    """The user and the stored password, which may have expired. Raises NotAuthenticated."""
    stored = domain = None
    locked = False
    if user is not None:
        async with service.db.read() as tx:
            stored = await people.current_password(tx, user.id)
            domain = await projects.get_domain(tx, user.domain_id)
            failures = await people.failures(tx, user.id) if _counts(service, user) else None
        locked = failures is not None and _is_locked(service, *failures)
    right = await service.hasher.verify(password, stored.hash if stored else None)
    if user is not None and not locked and _counts(service, user):
        locked = await _count(service, user, right=right)
    if not right or locked or user is None or stored is None or domain is None:
        raise NotAuthenticated()
    if not user.enabled or not domain.enabled:
        raise NotAuthenticated()
    return user, stored


def _counts(service: IdentityService, user: User) -> bool:
    return service.settings.lockout_failures is not None and not user.options.get("ignore_lockout_failure_attempts")


def _is_locked(service: IdentityService, count: int, last_at: datetime) -> bool:
    most = service.settings.lockout_failures
    until = last_at + timedelta(seconds=service.settings.lockout_s)
    return most is not None and count >= most and service.clock.now() < until


async def _count(service: IdentityService, user: User, *, right: bool) -> bool:
    """A right password ends the row of failures; a wrong one prolongs it, or begins a new one after a lock-out.

    Whether the account was locked while the password was being looked at, by guesses made at the same time.
    """
    now = service.clock.now()
    async with service.db.transaction() as tx:
        before = await people.failures(tx, user.id)
        if before is not None and _is_locked(service, *before):
            return True
        count = before[0] if before is not None else 0
        if service.settings.lockout_failures is not None and count >= service.settings.lockout_failures:
            count = 0
        if before is not None or not right:
            await people.set_failures(tx, user.id, 0 if right else count + 1, now)
        return False
