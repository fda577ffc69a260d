"""Logging in: from the body of POST /v3/auth/tokens to a token. Each way to fail gives the same answer.

The methods are a table; each one turns its part of the body into :class:`Proof`: who it is, and what bounds the token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kilonova.identity.errors import NoRescope, NoSuchToken, NotAuthenticated, PasswordExpired, UnknownMethod
from kilonova.identity.facts import Facts
from kilonova.identity.model import token as tokens
from kilonova.identity.model.nouns import ApplicationCredential, Project, Trust, User
from kilonova.identity.model.token import ALL_OF_THE_SYSTEM, NO_SCOPE, Scope, Token
from kilonova.identity.model.token_document import Subject
from kilonova.identity.passwords import prove
from kilonova.identity.service import IdentityService
from kilonova.identity.store import delegation, people, projects
from kilonova.identity.subjects import Held, hold, subject_of, validate
from kilonova.kernel.db import Transaction
from kilonova.kernel.errors import BadRequest

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """A user who has shown who they are.

    ``parent``: the token that was traded. ``application_credential``: what was used, which also fixes the scope.
    """

    user_id: str
    methods: tuple[str, ...]
    parent: Token | None = None
    application_credential: ApplicationCredential | None = None


async def log_in(service: IdentityService, auth: Body) -> tuple[str, Held]:
    """The new token's text and what it stands for. Raises NotAuthenticated, BadRequest, NoRescope."""
    # Issued at the moment before the proof is looked at: a password changed meanwhile revokes this token too.
    now = service.clock.now()
    proof = await _prove(service, auth["identity"])
    async with service.db.read() as tx:
        generation = await service.generation(tx)
        facts = await service.facts(tx, generation)
        trust = await _asked_trust(tx, auth.get("scope"))
        scope = await _scope(tx, proof, auth.get("scope"), trust)
        token = _token(service, proof, scope, trust, now)
        try:
            subject = await subject_of(tx, facts, token, now)
        except NoSuchToken:
            fallback = auth.get("scope") is None and proof.application_credential is None
            if not fallback or scope == NO_SCOPE:
                raise NotAuthenticated() from None
            # A default project without roles, or disabled, is no reason to refuse: the token has no scope then.
            token = replace(token, scope=NO_SCOPE)
            subject = await _subject_or_refuse(tx, facts, token, now)
    if trust is not None and trust.remaining_uses is not None:
        async with service.write() as tx:
            if not await delegation.use_trust(tx, trust.id):
                raise NotAuthenticated()
    text = service.tokens.seal(token)
    held = hold(subject, facts, text)
    if trust is None:
        service.held.put(text, generation, held)
    return text, held


async def _subject_or_refuse(tx: Transaction, facts: Facts, token: Token, now: datetime) -> Subject:
    try:
        return await subject_of(tx, facts, token, now)
    except NoSuchToken:
        raise NotAuthenticated() from None


async def _prove(service: IdentityService, identity: Body) -> Proof:
    names = list(dict.fromkeys(identity["methods"]))
    for name in names:
        if name not in METHODS:
            raise UnknownMethod(method=name[:64])
        if name not in identity:
            raise BadRequest(f"The member {name} is missing beside methods.")
    proofs = [await METHODS[name](service, identity[name]) for name in names]
    if not proofs or len({p.user_id for p in proofs}) != 1:
        raise NotAuthenticated()
    methods: dict[str, None] = {}
    for proof in proofs:
        methods.update(dict.fromkeys(proof.methods))
    return Proof(
        proofs[0].user_id,
        tuple(methods),
        next((p.parent for p in proofs if p.parent), None),
        next((p.application_credential for p in proofs if p.application_credential), None),
    )


async def _by_password(service: IdentityService, body: Body) -> Proof:
    wanted = body["user"]
    async with service.db.read() as tx:
        found = await _find_user(tx, wanted)
    user, stored = await prove(service, found, wanted["password"])
    if stored.expires_at is not None and stored.expires_at <= service.clock.now():
        raise PasswordExpired(user_id=user.id)
    return Proof(user.id, ("password",))


async def _by_token(service: IdentityService, body: Body) -> Proof:
    # Upstream says 404 here, and not 401: the token is what was not found.
    token = (await validate(service, body["id"])).subject.token
    if token.application_credential_id is not None:
        raise NoRescope(why="it comes from an application credential")
    if token.trust_id is not None:
        raise NoRescope(why="it comes from a trust")
    if token.scope != NO_SCOPE and not service.settings.allow_rescope:
        raise NoRescope(why="tokens with a scope may not be exchanged in this cloud")
    return Proof(token.user_id, ("token", *(m for m in token.methods if m != "token")), parent=token)


async def _by_application_credential(service: IdentityService, body: Body) -> Proof:
    async with service.db.read() as tx:
        found = await _find_application_credential(tx, body)
        user = await people.USERS.get(tx, found.user_id) if found else None
    matching = await service.hasher.verify(body["secret"], found.secret_hash if found else None)
    if not matching or found is None or user is None or not user.enabled:
        raise NotAuthenticated()
    if found.expires_at is not None and found.expires_at <= service.clock.now():
        raise NotAuthenticated()
    return Proof(found.user_id, ("application_credential",), application_credential=found)


METHODS: dict[str, Callable[[IdentityService, Body], Awaitable[Proof]]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
}


async def _find_user(tx: Transaction, wanted: Body) -> User | None:
    if "id" in wanted:
        return await people.USERS.get(tx, wanted["id"])
    domain = await _find_domain(tx, wanted.get("domain"))
    if domain is None or "name" not in wanted:
        return None
    return await people.user_named(tx, wanted["name"], domain.id)


async def _find_domain(tx: Transaction, wanted: Body | None) -> Project | None:
    if not wanted:
        return None
    if "id" in wanted:
        return await projects.get_domain(tx, wanted["id"])
    return await projects.domain_named(tx, wanted["name"]) if "name" in wanted else None


async def _find_application_credential(tx: Transaction, wanted: Body) -> ApplicationCredential | None:
    if "id" in wanted:
        return await delegation.APPLICATION_CREDENTIALS.get(tx, wanted["id"])
    user = await _find_user(tx, wanted.get("user") or {})
    if user is None or "name" not in wanted:
        return None
    return await delegation.application_credential_named(tx, user.id, wanted["name"])


async def _asked_trust(tx: Transaction, asked: Any) -> Trust | None:
    if not isinstance(asked, dict) or "OS-TRUST:trust" not in asked:
        return None
    trust = await delegation.TRUSTS.get(tx, asked["OS-TRUST:trust"]["id"])
    if trust is None:
        raise NotAuthenticated()
    return trust


async def _scope(tx: Transaction, proof: Proof, asked: Any, trust: Trust | None) -> Scope:
    """The scope that is asked for, or the one that goes without saying."""
    if proof.application_credential is not None:
        given = Scope(tokens.PROJECT, proof.application_credential.project_id)
        if asked is not None and await _named_scope(tx, asked) != given:
            raise NotAuthenticated()
        return given
    if trust is not None:
        if trust.trustee_user_id != proof.user_id or (proof.parent is not None and proof.parent.trust_id):
            raise NotAuthenticated()
        return NO_SCOPE if trust.project_id is None else Scope(tokens.PROJECT, trust.project_id)
    if asked is None:
        user = await people.USERS.get(tx, proof.user_id)
        default = user.default_project_id if user else None
        return Scope(tokens.PROJECT, default) if default else NO_SCOPE
    return await _named_scope(tx, asked)


async def _named_scope(tx: Transaction, asked: Any) -> Scope:
    if asked == "unscoped" or (isinstance(asked, dict) and "unscoped" in asked):
        return NO_SCOPE
    if sum(kind in asked for kind in ("project", "domain", "system", "OS-TRUST:trust")) != 1:
        raise BadRequest("A scope names exactly one of project, domain, system and OS-TRUST:trust.")
    if "system" in asked:
        if asked["system"].get("all") is not True:
            raise BadRequest('The scope of the system is {"system": {"all": true}}.')
        return ALL_OF_THE_SYSTEM
    if "domain" in asked:
        domain = await _find_domain(tx, asked["domain"])
        if domain is None:
            raise NotAuthenticated()
        return Scope(tokens.DOMAIN, domain.id)
    wanted = asked["project"]
    if "id" in wanted:
        project = await projects.PROJECTS.get(tx, wanted["id"])
    else:
        domain = await _find_domain(tx, wanted.get("domain"))
        if domain is None and "domain" not in wanted:
            raise BadRequest("A project in a scope needs an id, or a name with its domain.")
        project = await projects.project_named(tx, wanted["name"], domain.id) if domain else None
    if project is None:
        raise NotAuthenticated()
    return Scope(tokens.PROJECT, project.id)


def _token(service: IdentityService, proof: Proof, scope: Scope, trust: Trust | None, now: datetime) -> Token:
    """The new token. It ends no later than what it was obtained with."""
    ends = [now + timedelta(seconds=service.settings.token_lifetime_s)]
    if proof.parent is not None:
        ends = [proof.parent.expires_at]
    if proof.application_credential is not None and proof.application_credential.expires_at is not None:
        ends.append(proof.application_credential.expires_at)
    if trust is not None and trust.expires_at is not None:
        ends.append(trust.expires_at)
    return Token(
        user_id=trust.trustor_user_id if trust is not None and trust.impersonation else proof.user_id,
        methods=proof.methods,
        scope=scope,
        audit_ids=tokens.next_audit_ids(proof.parent),
        issued_at=now,
        expires_at=min(ends),
        application_credential_id=proof.application_credential.id if proof.application_credential else None,
        trust_id=trust.id if trust else None,
    )
