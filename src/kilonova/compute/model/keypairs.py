"""Key pairs: the public keys that a user wants in their servers. They belong to a user, not to a project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Keypair:
    """A public key by name. `type` is ssh or x509; the private half is never kept."""

    number: int
    user_id: str
    name: str
    type: str
    fingerprint: str
    public_key: str
    created_at: datetime
