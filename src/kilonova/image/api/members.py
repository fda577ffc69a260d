"""Members: the projects that a shared image is shared with, and what they say to it."""

from __future__ import annotations

from typing import Any

from kilonova.image.api.attributes import check_count
from kilonova.image.api.fields import MEMBER, render_members
from kilonova.image.api.reading import find, target_of
from kilonova.image.errors import MemberExists, MemberNotFound, NotShared
from kilonova.image.model.image import PENDING, SHARED, Member
from kilonova.image.service import ImageService, Seen
from kilonova.image.store import members
from kilonova.kernel.db import Duplicate, Transaction
from kilonova.kernel.web import Request, Response, answer, no_content


async def list_members(request: Request[ImageService]) -> Response:
    """All members for the owner; a member sees itself."""
    async with request.service.db.read() as tx:
        seen = await _find_shared(request, tx)
        found = await members.of_image(tx, seen.image.id)
    mine = request.context.project_id
    request.allow(_target(seen, mine if seen.is_member else None))
    if not _is_owner(request, seen):
        found = [member for member in found if member.project_id == mine]
    return answer({"members": render_members(found), "schema": "/v2/schemas/members"})


async def show_member(request: Request[ImageService]) -> Response:
    """One member."""
    async with request.service.db.read() as tx:
        seen, member = await _find_member(request, tx)
    request.allow(_target(seen, member.project_id))
    return answer(MEMBER.render(member))


async def add_member(request: Request[ImageService]) -> Response:
    """Share an image with a project, which then may accept it."""
    service, project_id = request.service, request.body["member"]
    now = service.clock.now()
    async with service.db.transaction() as tx:
        seen = await _find_shared(request, tx)
        request.allow(_target(seen, None))
        count = await members.count(tx, seen.image.id)
        check_count("members", count + 1, count, service.settings.member_quota)
        member = Member(seen.image.id, project_id, PENDING, now, now)
        try:
            await members.add(tx, member)
        except Duplicate:
            raise MemberExists(member_id=project_id, image_id=seen.image.id) from None
    return answer(MEMBER.render(member))


async def update_member(request: Request[ImageService]) -> Response:
    """Accept or reject: the member's own word, not the owner's."""
    service, status = request.service, request.body["status"]
    async with service.db.transaction() as tx:
        seen, member = await _find_member(request, tx)
        request.allow(_target(seen, member.project_id))
        await members.set_status(tx, seen.image.id, member.project_id, status, service.clock.now())
        changed = await members.get(tx, seen.image.id, member.project_id)
    return answer(MEMBER.render(changed))


async def remove_member(request: Request[ImageService]) -> Response:
    """Stop sharing."""
    async with request.service.db.transaction() as tx:
        seen = await _find_shared(request, tx)
        request.allow(_target(seen, None))
        if not await members.remove(tx, seen.image.id, request.params["member_id"]):
            raise MemberNotFound(member_id=request.params["member_id"], image_id=seen.image.id)
    return no_content()


async def _find_shared(request: Request[ImageService], tx: Transaction) -> Seen:
    seen = await find(request, tx)
    if seen.image.visibility != SHARED:
        raise NotShared(image_id=seen.image.id, visibility=seen.image.visibility)
    return seen


async def _find_member(request: Request[ImageService], tx: Transaction) -> tuple[Seen, Member]:
    """The member of the path; a member does not learn of the others."""
    seen, member_id = await _find_shared(request, tx), request.params["member_id"]
    member = await members.get(tx, seen.image.id, member_id)
    if member is None or not (_is_owner(request, seen) or member_id == request.context.project_id):
        raise MemberNotFound(member_id=member_id, image_id=seen.image.id)
    return seen, member


def _is_owner(request: Request[ImageService], seen: Seen) -> bool:
    return request.context.is_admin or seen.image.owner == request.context.project_id


def _target(seen: Seen, member_id: str | None) -> dict[str, Any]:
    return {**target_of(seen.image), **({} if member_id is None else {"member_id": member_id})}
