"""Users, their passwords, groups and who is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select

from kilonova.identity.model.nouns import Group, Password, User
from kilonova.identity.store.records import Records, pairs, value_of
from kilonova.identity.store.tables import assignments, failed_logins, groups, memberships, passwords, users
from kilonova.kernel.db import Transaction

USERS: Records[User] = Records(users, User)
GROUPS: Records[Group] = Records(groups, Group)
_PASSWORDS: Records[Password] = Records(passwords, Password)
_groups_of = select(memberships.c.group_id).where(memberships.c.user_id == bindparam("id"))
_latest = _PASSWORDS.select.where(passwords.c.user_id == bindparam("id")).order_by(passwords.c.id.desc()).limit(1)


async def user_named(tx: Transaction, name: str, domain_id: str) -> User | None:
    """The user of that name in the domain."""
    return await USERS.one(tx, users.c.name == name, users.c.domain_id == domain_id)


async def current_password(tx: Transaction, user_id: str) -> Password | None:
    """The password that counts, or None for a user without."""
    row = await tx.first(_latest, {"id": user_id})
    return None if row is None else value_of(Password, row)


async def expiries(tx: Transaction, user_ids: list[str]) -> dict[str, datetime | None]:
    """When the current password of each user expires."""
    found: dict[str, datetime | None] = {}
    for at in range(0, len(user_ids), 500):
        statement = (
            select(passwords.c.user_id, passwords.c.expires_at)
            .where(passwords.c.user_id.in_(user_ids[at : at + 500]))
            .order_by(passwords.c.id)
        )
        found.update(await pairs(tx, statement))
    return found


async def earlier_passwords(tx: Transaction, user_id: str, count: int) -> list[Password]:
    """The last ``count`` passwords, the current one first."""
    rows = await tx.all(
        _PASSWORDS.select.where(passwords.c.user_id == user_id).order_by(passwords.c.id.desc()).limit(count)
    )
    return [value_of(Password, row) for row in rows]


async def set_password(
    tx: Transaction, user_id: str, hashed: str, now: datetime, expires_at: datetime | None, keep: int
) -> None:
    """Store a new current password; ``keep`` earlier ones stay for comparison."""
    old = await tx.column(select(passwords.c.id).where(passwords.c.user_id == user_id).order_by(passwords.c.id.desc()))
    if old[keep:]:
        await tx.run(delete(passwords).where(passwords.c.id.in_(old[keep:])))
    await tx.run(insert(passwords), {"user_id": user_id, "hash": hashed, "created_at": now, "expires_at": expires_at})


async def failures(tx: Transaction, user_id: str) -> tuple[int, datetime] | None:
    """How many logins failed in a row, and when the last one did; None for none."""
    statement = select(failed_logins.c.count, failed_logins.c.last_at).where(failed_logins.c.user_id == user_id)
    found = await pairs(tx, statement)
    return found[0] if found else None


async def set_failures(tx: Transaction, user_id: str, count: int, now: datetime) -> None:
    """Remember how many logins have failed in a row; zero forgets."""
    await tx.run(delete(failed_logins).where(failed_logins.c.user_id == user_id))
    if count:
        await tx.run(insert(failed_logins), {"user_id": user_id, "count": count, "last_at": now})


async def group_ids_of(tx: Transaction, user_id: str) -> list[str]:
    """Ids of the groups that the user is in."""
    return [str(i) for i in await tx.column(_groups_of, {"id": user_id})]


async def user_ids_in(tx: Transaction, group_id: str) -> list[str]:
    """Ids of the users in the group."""
    return [str(i) for i in await tx.column(select(memberships.c.user_id).where(memberships.c.group_id == group_id))]


async def is_member(tx: Transaction, user_id: str, group_id: str) -> bool:
    """Whether the user is in the group."""
    return await tx.first(_membership(user_id, group_id)) is not None


async def join(tx: Transaction, user_id: str, group_id: str) -> None:
    """Put the user into the group; being in it already is fine."""
    if not await is_member(tx, user_id, group_id):
        await tx.run(insert(memberships), {"user_id": user_id, "group_id": group_id})


async def leave(tx: Transaction, user_id: str, group_id: str) -> bool:
    """Take the user out; whether it was in."""
    statement = delete(memberships).where(memberships.c.user_id == user_id, memberships.c.group_id == group_id)
    return await tx.run(statement) > 0


async def members(tx: Transaction, group_ids: list[str]) -> dict[str, list[str]]:
    """User ids by group id."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(group_ids), 500):
        statement = select(memberships.c.group_id, memberships.c.user_id).where(
            memberships.c.group_id.in_(group_ids[at : at + 500])
        )
        for group_id, user_id in await pairs(tx, statement):
            found.setdefault(group_id, []).append(user_id)
    return found


async def remove_actor(tx: Transaction, actor_type: str, identifier: str) -> None:
    """Delete a user or group and what it was assigned; the rest goes by foreign keys."""
    records: Records[User] | Records[Group] = USERS if actor_type == "user" else GROUPS
    await tx.run(
        delete(assignments).where(assignments.c.actor_type == actor_type, assignments.c.actor_id == identifier)
    )
    await records.remove(tx, identifier)


def _membership(user_id: str, group_id: str) -> Select[Any]:
    return select(memberships.c.user_id).where(memberships.c.user_id == user_id, memberships.c.group_id == group_id)
