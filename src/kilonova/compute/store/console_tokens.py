"""One-time tokens for consoles. Only their hashes are kept, so a copy of the database opens nothing."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, delete, insert, select

from kilonova.compute.store.tables import console_tokens
from kilonova.kernel.db import Transaction


def token_hash(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode()).hexdigest()


async def insert_token(
    tx: Transaction,
    token: str,
    *,
    server_id: str,
    console_type: str,
    host: str,
    path: str,
    url_base: str,
    now: datetime,
    expires_at: datetime,
) -> None:
    """A new token for a console at `path` on `host`; old ones that have ended go."""
    await tx.run(delete(console_tokens).where(console_tokens.c.expires_at < now))
    await tx.run(
        insert(console_tokens).values(
            token_hash=token_hash(token),
            server_id=server_id,
            console_type=console_type,
            host=host,
            internal_access_path=path,
            access_url_base=url_base,
            created_at=now,
            expires_at=expires_at,
        )
    )


async def find(tx: Transaction, token: str, now: datetime) -> Row[Any] | None:
    """The console that a token opens, if it has not ended."""
    return await tx.first(
        select(console_tokens).where(
            console_tokens.c.token_hash == token_hash(token), console_tokens.c.expires_at >= now
        )
    )


async def use(tx: Transaction, token: str, now: datetime) -> Row[Any] | None:
    """Like `find`, and the token opens nothing any more: for the proxy, in one transaction."""
    row = await find(tx, token, now)
    if row is None or not await tx.run(delete(console_tokens).where(console_tokens.c.number == row.number)):
        return None
    return row


async def forget_server(tx: Transaction, server_id: str) -> None:
    """All tokens of a server: called when it is deleted."""
    await tx.run(delete(console_tokens).where(console_tokens.c.server_id == server_id))
