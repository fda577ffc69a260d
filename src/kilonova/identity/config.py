"""Options of identity, under upstream's group and option names, read once into :class:`Settings`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import Group

GROUPS: tuple[Group, ...] = (
    (
        "identity_database",
        [cfg.StrOpt("connection", help="URL of identity's database; empty: a file in the state directory.")],
    ),
    (
        "identity",
        [
            cfg.StrOpt("default_domain_id", default="default", help="Id of the domain made at bootstrap."),
            cfg.IntOpt("password_hash_rounds", default=12, min=4, max=31, help="Cost of bcrypt: 2^rounds."),
            cfg.IntOpt("max_password_length", default=4096, min=1, max=4096, help="Longer passwords are refused."),
            cfg.IntOpt("list_limit", min=1, help="Longest list answered; longer ones are cut and say so."),
        ],
    ),
    (
        "token",
        [
            cfg.IntOpt("expiration", default=3600, min=1, help="Seconds that a token lives."),
            cfg.BoolOpt("allow_rescope_scoped_token", default=True, help="May a scoped token be traded?"),
            cfg.IntOpt("allow_expired_window", default=172800, min=0, help="Seconds that services may still read it."),
        ],
    ),
    (
        "fernet_tokens",
        [
            cfg.StrOpt("key_repository", help="Folder of token keys; empty: in the state directory."),
            cfg.IntOpt("max_active_keys", default=3, min=1, help="Keys kept by a rotation."),
        ],
    ),
    ("credential", [cfg.StrOpt("key_repository", help="Folder of keys that encrypt stored credentials.")]),
    (
        "revoke",
        [cfg.IntOpt("expiration_buffer", default=1800, min=0, help="Seconds an event outlives its tokens.")],
    ),
    (
        "security_compliance",
        [
            cfg.IntOpt("password_expires_days", min=1, help="Days until a password expires; unset: never."),
            cfg.IntOpt("unique_last_password_count", default=0, min=0, help="Earlier passwords that may not return."),
            cfg.IntOpt("lockout_failure_attempts", min=1, help="Failed logins in a row that lock; unset: never."),
            cfg.IntOpt("lockout_duration", default=1800, min=1, help="Seconds that an account stays locked."),
            cfg.StrOpt("password_regex", help="What a password must match; unset: anything."),
            cfg.StrOpt("password_regex_description", help="The words in which users are told of password_regex."),
        ],
    ),
    (
        "application_credential",
        [cfg.IntOpt("user_limit", default=-1, help="Application credentials a user may own.")],
    ),
    (
        "trust",
        [cfg.IntOpt("max_redelegation_count", default=3, min=0, help="Longest chain of redelegation.")],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Identity's options, plain. Times in seconds unless the name says days; ``list_limit`` None: no limit."""

    token_keys: Path
    credential_keys: Path
    default_domain_id: str = "default"
    password_hash_rounds: int = 12
    max_password_length: int = 4096
    list_limit: int | None = None
    token_lifetime_s: int = 3600
    allow_rescope: bool = True
    allow_expired_window_s: int = 172800
    max_active_keys: int = 3
    event_buffer_s: int = 1800
    password_expires_days: int | None = None
    unique_last_passwords: int = 0
    lockout_failures: int | None = None
    lockout_s: int = 1800
    password_regex: str | None = None
    password_regex_description: str | None = None
    application_credentials_per_user: int = -1
    max_redelegation_count: int = 3


def settings(conf: Any, state_directory: Path) -> Settings:
    """Read ``conf`` (an oslo.config instance with :data:`GROUPS`) once; paths default into ``state_directory``."""
    home = state_directory / "identity"
    return Settings(
        token_keys=Path(conf.fernet_tokens.key_repository or home / "fernet-keys"),
        credential_keys=Path(conf.credential.key_repository or home / "credential-keys"),
        default_domain_id=conf.identity.default_domain_id,
        password_hash_rounds=conf.identity.password_hash_rounds,
        max_password_length=conf.identity.max_password_length,
        list_limit=conf.identity.list_limit,
        token_lifetime_s=conf.token.expiration,
        allow_rescope=conf.token.allow_rescope_scoped_token,
        allow_expired_window_s=conf.token.allow_expired_window,
        max_active_keys=conf.fernet_tokens.max_active_keys,
        event_buffer_s=conf.revoke.expiration_buffer,
        password_expires_days=conf.security_compliance.password_expires_days,
        unique_last_passwords=conf.security_compliance.unique_last_password_count,
        lockout_failures=conf.security_compliance.lockout_failure_attempts,
        lockout_s=conf.security_compliance.lockout_duration,
        password_regex=conf.security_compliance.password_regex,
        password_regex_description=conf.security_compliance.password_regex_description,
        application_credentials_per_user=conf.application_credential.user_limit,
        max_redelegation_count=conf.trust.max_redelegation_count,
    )
