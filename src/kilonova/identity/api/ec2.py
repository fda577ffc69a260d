"""Access keys of the EC2 kind: pairs of access and secret for a user on a project.

They are credentials of type ``ec2``, looked up by their access. A key made with a trust or an application credential
remembers that, so that it can never do more than what it was made with.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.identity.api.credentials import credential_id, open_blob, seal_blob
from kilonova.identity.api.listing import Ask, collection, url
from kilonova.identity.api.targets import caller, refuse_restricted, target
from kilonova.identity.errors import NoSuch, NotAllowedHere, UnknownReference
from kilonova.identity.model.nouns import Credential
from kilonova.identity.store.delegation import CREDENTIALS
from kilonova.identity.store.people import USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.kernel.db import Transaction
from kilonova.kernel.ids import new_hex
from kilonova.kernel.web import Response, answer, created, no_content


def _body(request: Ask, one: Credential) -> dict[str, Any]:
    content = msgspec.json.decode(open_blob(request.service, one.blob))
    path = f"/users/{one.user_id}/credentials/OS-EC2/{content.get('access')}"
    return {
        "user_id": one.user_id,
        "tenant_id": one.project_id,
        "access": content.get("access"),
        "secret": content.get("secret"),
        "trust_id": content.get("trust_id"),
        "links": {"self": url(request, path)},
    }


async def list_keys(request: Ask) -> Response:
    await refuse_restricted(request)
    user_id = request.params["user_id"]
    request.allow({"target.user.id": user_id})
    async with request.service.db.read() as tx:
        await _check_user(tx, user_id)
        found = await CREDENTIALS.matching(tx, user_id=user_id, type="ec2")
    return collection(request, "credentials", (_body(request, one) for one in found))


async def show_key(request: Ask) -> Response:
    await refuse_restricted(request)
    async with request.service.db.read() as tx:
        return answer({"credential": _body(request, await _key(request, tx))})


async def create_key(request: Ask) -> Response:
    """A delegated token makes keys for its own user and project only. What a key may do is decided at its use."""
    service, user_id, project_id = request.service, request.params["user_id"], request.body["tenant_id"]
    request.allow({"target.user.id": user_id})
    await refuse_restricted(request)
    subject = (await caller(request)).subject
    content = {"access": new_hex(), "secret": new_hex(), "trust_id": None}
    if subject.trust is not None or subject.application_credential is not None:
        if subject.project is None or subject.project.id != project_id or subject.user.id != user_id:
            raise NotAllowedHere(why="A delegated token makes access keys for its own user and project only.")
        content["trust_id"] = subject.trust.id if subject.trust is not None else None
        if subject.application_credential is not None:
            content["app_cred_id"] = subject.application_credential.id
    one = Credential(
        id=credential_id(str(content["access"])),
        user_id=user_id,
        project_id=project_id,
        type="ec2",
        blob=seal_blob(service, msgspec.json.encode(content).decode()),
        extra={},
    )
    async with service.write() as tx:
        await _check_user(tx, user_id)
        if await PROJECTS.get(tx, project_id) is None:
            raise UnknownReference(what="project", id=project_id)
        await CREDENTIALS.add(tx, one)
    return created({"credential": _body(request, one)})


async def delete_key(request: Ask) -> Response:
    await refuse_restricted(request)
    async with request.service.write() as tx:
        await CREDENTIALS.remove(tx, (await _key(request, tx)).id)
    return no_content()


async def _check_user(tx: Transaction, user_id: str) -> None:
    if await USERS.get(tx, user_id) is None:
        raise NoSuch(what="user", id=user_id)


async def _key(request: Ask, tx: Transaction) -> Credential:
    access = request.params["credential_id"]
    one = await CREDENTIALS.get(tx, credential_id(access))
    if one is None or one.type != "ec2":  # upstream tells anybody that an access names no key
        raise NoSuch(what="access key", id=access)
    request.allow(target(credential=one))  # by its owner, whoever the path names
    return one
