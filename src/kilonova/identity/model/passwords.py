"""What a password must be like. Hashing is in drivers/hasher.py."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from kilonova.identity.config import Settings
from kilonova.identity.errors import WeakPassword


def check_strength(password: str, settings: Settings) -> None:
    """Raise WeakPassword unless ``password`` fulfils the configured rules."""
    if not password:
        raise WeakPassword(rules="it must not be empty.")
    if len(password) > settings.max_password_length:
        raise WeakPassword(rules=f"it may have {settings.max_password_length} characters at most.")
    pattern = settings.password_regex
    if pattern and not re.match(pattern, password):
        raise WeakPassword(rules=settings.password_regex_description or f"it must match {pattern}")


def expiry(now: datetime, settings: Settings, options: dict[str, object]) -> datetime | None:
    """When a password set ``now`` expires; None: never."""
    if settings.password_expires_days is None or options.get("ignore_password_expiry"):
        return None
    return now + timedelta(days=settings.password_expires_days)
