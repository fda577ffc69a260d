"""Credentials: secrets of users in whatever form (``ec2``, ``totp``, ``cert``), encrypted at rest.

Tokens of restricted application credentials may not come here at all (OSSA-2026-005). Whoever owns a credential, it
stays theirs: user, and what an ec2 credential was made with, do not change (OSSA-2020-004). Lists show the caller's
own, unless the caller may read all (OSSA-2019-006).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken

from kilonova.identity.api.listing import Ask, collection, filters, merged, split, url, window
from kilonova.identity.api.targets import allow_or_missing, caller, refuse_restricted, target
from kilonova.identity.errors import CannotChange, NotAllowedHere, Taken, UnknownReference
from kilonova.identity.model.nouns import Credential
from kilonova.identity.service import IdentityService
from kilonova.identity.store.delegation import CREDENTIALS
from kilonova.identity.store.people import USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.records import Filter
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.errors import BadRequest, ServiceUnavailable
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content

_KNOWN = ("type", "blob", "user_id", "project_id")
_FIXED = ("trust_id", "app_cred_id", "access_token_id", "access_id")


def seal_blob(service: IdentityService, blob: str) -> str:
    """Encrypted as it is stored."""
    return service.secrets.fernet().encrypt(blob.encode()).decode()


def open_blob(service: IdentityService, sealed: str) -> str:
    """What was sealed. Raises ServiceUnavailable when its key is gone."""
    try:
        return service.secrets.fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise ServiceUnavailable("The key that encrypted this credential is not in the repository.") from None


def credential_id(access: str) -> str:
    """The id of an ec2 credential follows from its access."""
    return hashlib.sha256(access.encode("utf-8", "surrogatepass")).hexdigest()


def _body(request: Ask, one: Credential) -> dict[str, Any]:
    found = {
        "id": one.id,
        "type": one.type,
        "blob": open_blob(request.service, one.blob),
        "user_id": one.user_id,
        "project_id": one.project_id,
    }
    return {**one.extra, **found, "links": {"self": url(request, f"/credentials/{one.id}")}}


async def list_credentials(request: Ask) -> Response:
    await refuse_restricted(request)
    request.allow({"target.credential.user_id": request.context.user_id})
    wanted = filters(request, "type", "user_id")
    if not request.may("identity:list_credentials", {}):
        wanted.append(Filter("user_id", request.context.user_id))
    limit, marker = window(request)
    async with request.service.db.read() as tx:
        found = await CREDENTIALS.page(tx, wanted, limit=limit, marker=marker)
    return collection(request, "credentials", (_body(request, c) for c in found.items), more=found.more)


async def show_credential(request: Ask) -> Response:
    await refuse_restricted(request)
    async with request.service.db.read() as tx:
        return answer({"credential": _body(request, await _credential(request, tx))})


async def create_credential(request: Ask) -> Response:
    await refuse_restricted(request)
    held = await caller(request)
    own, extra = split(request.body["credential"], *_KNOWN)
    user_id = own.get("user_id") or held.subject.user.id
    blob = own["blob"]
    identifier = new_hex()
    if own["type"] == "ec2":
        content = _ec2(blob)
        if own.get("project_id") is None:
            raise BadRequest("A credential of type ec2 needs a project_id.")
        if held.subject.trust is not None:
            content["trust_id"] = held.subject.trust.id
        if held.subject.application_credential is not None:
            content["app_cred_id"] = held.subject.application_credential.id
        blob = msgspec.json.encode(content).decode()
        identifier = credential_id(content["access"])
    one = Credential(identifier, user_id, own.get("project_id"), own["type"], seal_blob(request.service, blob), extra)
    request.allow(target(credential=one))
    async with request.service.write() as tx:
        if await USERS.get(tx, user_id) is None:
            raise UnknownReference(what="user", id=user_id)
        if one.project_id is not None and await PROJECTS.get(tx, one.project_id) is None:
            raise UnknownReference(what="project", id=one.project_id)
        try:
            await CREDENTIALS.add(tx, one)
        except Duplicate:
            raise Taken(what="credential", name=one.id) from None
    return created({"credential": _body(request, one)})


async def update_credential(request: Ask) -> Response:
    await refuse_restricted(request)
    own, extra = split(request.body["credential"], *_KNOWN)
    async with request.service.write() as tx:
        one = await _credential(request, tx)
        if own.get("user_id", one.user_id) != one.user_id:
            raise CannotChange(what="credential", member="user_id")
        if "project_id" in own and own["project_id"] != one.project_id and one.type == "ec2":
            raise CannotChange(what="credential", member="project_id")
        if own.get("project_id") and await PROJECTS.get(tx, own["project_id"]) is None:
            raise UnknownReference(what="project", id=own["project_id"])
        kind = own.get("type", one.type)
        if (kind == "ec2") != (one.type == "ec2"):
            raise CannotChange(what="credential", member="type")
        if "blob" in own:
            if kind == "ec2":
                _same_origin(_ec2(open_blob(request.service, one.blob)), _ec2(own["blob"]))
            own["blob"] = seal_blob(request.service, own["blob"])
        await CREDENTIALS.change(tx, one.id, {**own, "extra": merged(one.extra, extra)})
        after = await _credential(request, tx)
    return answer({"credential": _body(request, after)})


async def delete_credential(request: Ask) -> Response:
    await refuse_restricted(request)
    async with request.service.write() as tx:
        one = await _credential(request, tx)
        await CREDENTIALS.remove(tx, one.id)
    return no_content()


def _ec2(blob: str) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(blob)
    except (msgspec.DecodeError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("access"), str):
        raise BadRequest("The blob of an ec2 credential is a JSON object with access and secret.")
    return content


def _same_origin(old: dict[str, Any], new: dict[str, Any]) -> None:
    for member in _FIXED:
        if old.get(member) != new.get(member):
            raise NotAllowedHere(why=f"{member} of an ec2 credential stays as it was made.")


async def _credential(request: Ask, tx: Transaction) -> Credential:
    identifier = request.params["credential_id"]
    one = await CREDENTIALS.get(tx, identifier)
    allow_or_missing(request, "credential", identifier, one)
    assert one is not None
    return one
