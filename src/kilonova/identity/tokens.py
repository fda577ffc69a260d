"""Tokens as they travel: a :class:`Token` packed by MessagePack and encrypted by Fernet, the padding cut off.

Nothing is stored when a token is issued; what it says is inside it, and revocation is by events.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken

from kilonova.identity.drivers.keys import KeyRepository
from kilonova.identity.errors import NoSuchToken
from kilonova.identity.model.token import DOMAIN, PROJECT, SYSTEM, UNSCOPED, Scope, Token

_FORM = 1
_KINDS = (UNSCOPED, PROJECT, DOMAIN, SYSTEM)
METHODS = ("password", "token", "application_credential")
LONGEST = 2048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


class TokenFormat:
    """Encrypts and decrypts tokens with the keys of a repository."""

    def __init__(self, keys: KeyRepository):
        self.keys = keys

    def seal(self, token: Token) -> str:
        """The text to hand out: 180 to 260 characters."""
        content = _pack(
            [
                _FORM,
                _short(token.user_id),
                sum(1 << METHODS.index(m) for m in token.methods),
                _KINDS.index(token.scope.kind),
                _short(token.scope.id),
                _micros(token.issued_at),
                _micros(token.expires_at),
                list(token.audit_ids),
                _short(token.application_credential_id or ""),
                _short(token.trust_id or ""),
            ]
        )
        return self.keys.fernet().encrypt(content).rstrip(b"=").decode("ascii")

    def open(self, text: str) -> Token:
        """What the token says; whether it still holds is not looked at. Raises NoSuchToken."""
        if not text or len(text) > LONGEST:
            raise NoSuchToken()
        try:
            raw = text.encode("ascii")
            content = self.keys.fernet().decrypt(raw + b"=" * (-len(raw) % 4))
            return _token(_unpack(content))
        except (InvalidToken, UnicodeEncodeError, msgspec.DecodeError, ValueError, TypeError, IndexError):
            raise NoSuchToken() from None


def _token(content: list[Any]) -> Token:
    form, user, methods, kind, scope, issued, expires, audit_ids, application_credential, trust = content
    if form != _FORM:
        raise ValueError(form)
    return Token(
        user_id=_long(user),
        methods=tuple(m for at, m in enumerate(METHODS) if methods >> at & 1),
        scope=Scope(_KINDS[kind], _long(scope)),
        audit_ids=tuple(audit_ids),
        issued_at=_EPOCH + issued * _MICROSECOND,
        expires_at=_EPOCH + expires * _MICROSECOND,
        application_credential_id=_long(application_credential) or None,
        trust_id=_long(trust) or None,
    )


def _short(identifier: str) -> str | bytes:
    """32 hexadecimal digits as 16 bytes; anything else as it is."""
    if len(identifier) == 32:
        try:
            raw = bytes.fromhex(identifier)
        except ValueError:
            return identifier
        if raw.hex() == identifier:
            return raw
    return identifier


def _long(packed: str | bytes) -> str:
    return packed.hex() if isinstance(packed, bytes) else packed


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
