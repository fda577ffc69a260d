"""From a token to what it stands for, and whether it still holds.

Nothing about a token is stored. Each time the world has changed it is looked at anew: are user, project and their
domains there and enabled, has the user still roles in the scope, does a revocation event name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kilonova.identity.errors import NoSuchToken
from kilonova.identity.facts import Facts
from kilonova.identity.model import catalog as catalogs
from kilonova.identity.model import roles as role_rules
from kilonova.identity.model import token as tokens
from kilonova.identity.model.nouns import AccessRule, ApplicationCredential, Project, Role, Trust, User
from kilonova.identity.model.revocation import matches
from kilonova.identity.model.token_document import Subject, context, document
from kilonova.identity.service import IdentityService
from kilonova.identity.store import people, projects, roles
from kilonova.identity.store.delegation import ACCESS_RULES, APPLICATION_CREDENTIALS, TRUSTS
from kilonova.identity.store.people import USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.kernel.context import Context
from kilonova.kernel.db import Transaction
from kilonova.kernel.web.message import encode


@dataclass(frozen=True, slots=True)
class Held:
    """A token found to hold, ready to be answered: its JSON with and without the catalog."""

    subject: Subject
    context: Context
    full: bytes
    bare: bytes


async def validate(service: IdentityService, text: str, *, allow_expired: bool = False) -> Held:
    """The token's standing now. Raises NoSuchToken. ``allow_expired``: also for a while after its end."""
    async with service.db.read() as tx:
        generation = await service.generation(tx)
        held = service.held.get(text, generation)
        if held is None:
            token = service.tokens.open(text)
            _check_end(service, token, allow_expired=allow_expired)
            facts = await service.facts(tx, generation)
            held = hold(await subject_of(tx, facts, token, service.clock.now()), facts, text)
            service.held.put(text, generation, held)
            return held
    _check_end(service, held.subject.token, allow_expired=allow_expired)
    return held


def hold(subject: Subject, facts: Facts, text: str) -> Held:
    """The answers for a token."""
    full = document(subject, catalog_for(subject, facts))
    bare = {"token": {name: value for name, value in full["token"].items() if name != "catalog"}}
    return Held(subject, context(subject, text), encode(full), encode(bare))


def catalog_for(subject: Subject, facts: Facts) -> list[dict[str, object]]:
    """The catalog as this subject sees it."""
    project_id = subject.project.id if subject.project is not None else None
    return catalogs.catalog(facts.services, facts.endpoints, project_id=project_id, user_id=subject.user.id)


def _check_end(service: IdentityService, token: tokens.Token, *, allow_expired: bool) -> None:
    end = token.expires_at
    if allow_expired:
        end += timedelta(seconds=service.settings.allow_expired_window_s)
    if end <= service.clock.now():
        raise NoSuchToken()


async def subject_of(tx: Transaction, facts: Facts, token: tokens.Token, now: datetime) -> Subject:
    """What ``token`` stands for now. Raises NoSuchToken when it does not hold; its end is not looked at."""
    user = await _enabled_user(tx, token.user_id)
    domains = {user.domain_id: await _enabled(tx, user.domain_id)}
    project = domain = None
    if token.scope.kind == tokens.PROJECT:
        project = await _enabled(tx, token.scope.id)
        owner = project.owning_domain_id
        domains[owner] = domains.get(owner) or await _enabled(tx, owner)
    elif token.scope.kind == tokens.DOMAIN:
        domain = await _enabled(tx, token.scope.id)
        if not domain.is_domain:
            raise NoSuchToken()
    credential, rules = await _application_credential(tx, token, now)
    trust = await _trust(tx, token, now)
    holder = trust.trustor_user_id if trust is not None else user.id
    group_ids = await people.group_ids_of(tx, holder)
    granted = await _roles(tx, facts, token, project, [holder, *group_ids])
    granted = _narrowed(facts, granted, credential, trust)
    if not granted and token.scope.kind != tokens.UNSCOPED:
        raise NoSuchToken()
    touched = {*domains, *([domain.id] if domain else [])}
    persons = {user.id, *((trust.trustor_user_id, trust.trustee_user_id) if trust else ())}
    if any(matches(event, token, frozenset(touched), frozenset(persons)) for event in facts.events):
        raise NoSuchToken()
    password = await people.current_password(tx, user.id)
    return Subject(
        token=token,
        user=user,
        domains=domains,
        roles=granted,
        project=project,
        domain=domain,
        password_expires_at=password.expires_at if password else None,
        application_credential=credential,
        access_rules=rules,
        trust=trust,
        group_ids=tuple(group_ids),
    )


async def _enabled_user(tx: Transaction, user_id: str) -> User:
    user = await USERS.get(tx, user_id)
    if user is None or not user.enabled:
        raise NoSuchToken()
    return user


async def _enabled(tx: Transaction, project_id: str) -> Project:
    project = await PROJECTS.get(tx, project_id)
    if project is None or not project.enabled:
        raise NoSuchToken()
    return project


async def _application_credential(
    tx: Transaction, token: tokens.Token, now: datetime
) -> tuple[ApplicationCredential | None, tuple[AccessRule, ...]]:
    if token.application_credential_id is None:
        return None, ()
    found = await APPLICATION_CREDENTIALS.get(tx, token.application_credential_id)
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        raise NoSuchToken()
    rules = await ACCESS_RULES.many(tx, found.access_rule_ids)
    if len(rules) != len(set(found.access_rule_ids)):
        raise NoSuchToken()
    return found, tuple(rules[i] for i in found.access_rule_ids)


async def _trust(tx: Transaction, token: tokens.Token, now: datetime) -> Trust | None:
    if token.trust_id is None:
        return None
    trust = await TRUSTS.get(tx, token.trust_id)
    if trust is None or (trust.expires_at is not None and trust.expires_at <= now):
        raise NoSuchToken()
    for person in (trust.trustor_user_id, trust.trustee_user_id):
        user = await _enabled_user(tx, person)
        await _enabled(tx, user.domain_id)
    return trust


async def _roles(
    tx: Transaction, facts: Facts, token: tokens.Token, project: Project | None, actors: list[str]
) -> tuple[Role, ...]:
    if token.scope.kind == tokens.UNSCOPED:
        return ()
    assignments = await roles.assignments_of(tx, actors)
    if token.scope.kind == tokens.SYSTEM:
        return facts.effective(role_rules.roles_on_system(assignments))
    if token.scope.kind == tokens.DOMAIN:
        return facts.effective(role_rules.roles_on_domain(assignments, token.scope.id))
    assert project is not None
    above = [p.id for p in await projects.ancestors(tx, project)] if any(a.inherited for a in assignments) else []
    return facts.effective(role_rules.roles_on_project(assignments, project, above))


def _narrowed(
    facts: Facts, granted: tuple[Role, ...], credential: ApplicationCredential | None, trust: Trust | None
) -> tuple[Role, ...]:
    if credential is not None:
        allowed = {role.id for role in facts.effective(credential.role_ids)}
        return tuple(role for role in granted if role.id in allowed)
    if trust is not None and trust.project_id is not None:
        delegated = facts.effective(trust.role_ids)
        if not {role.id for role in delegated} <= {role.id for role in granted}:
            raise NoSuchToken()
        return delegated
    return granted
