"""What stands in for a user: credentials, application credentials with their access rules, trusts."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from kilonova.identity.model.nouns import AccessRule, ApplicationCredential, Credential, Trust
from kilonova.identity.store.records import Records
from kilonova.identity.store.tables import (
    access_rules,
    application_credentials,
    credentials,
    trusts,
)
from kilonova.kernel.db import Transaction

CREDENTIALS: Records[Credential] = Records(credentials, Credential)
APPLICATION_CREDENTIALS: Records[ApplicationCredential] = Records(application_credentials, ApplicationCredential)
ACCESS_RULES: Records[AccessRule] = Records(access_rules, AccessRule)
TRUSTS: Records[Trust] = Records(trusts, Trust)


async def application_credential_named(tx: Transaction, user_id: str, name: str) -> ApplicationCredential | None:
    """The user's application credential of that name."""
    return await APPLICATION_CREDENTIALS.one(
        tx, application_credentials.c.user_id == user_id, application_credentials.c.name == name
    )


async def count_application_credentials(tx: Transaction, user_id: str) -> int:
    """How many the user owns."""
    statement = select(func.count()).where(application_credentials.c.user_id == user_id)
    return int(await tx.scalar(statement))


async def same_access_rule(tx: Transaction, rule: AccessRule) -> AccessRule | None:
    """A stored rule of the user that says the same."""
    return await ACCESS_RULES.one(
        tx,
        access_rules.c.user_id == rule.user_id,
        access_rules.c.service == rule.service,
        access_rules.c.path == rule.path,
        access_rules.c.method == rule.method,
    )


async def remove_user_project_credentials(tx: Transaction, user_id: str, project_id: str) -> None:
    """Application credentials of a user on a project: they go with the user's last role there."""
    await tx.run(
        delete(application_credentials).where(
            application_credentials.c.user_id == user_id, application_credentials.c.project_id == project_id
        )
    )


async def use_trust(tx: Transaction, trust_id: str) -> bool:
    """Count one use of a limited trust; False when none is left."""
    statement = (
        update(trusts)
        .where(trusts.c.id == trust_id, trusts.c.remaining_uses > 0)
        .values(remaining_uses=trusts.c.remaining_uses - 1)
    )
    return await tx.run(statement) > 0
